"""Recurrent language models: embedding, recurrent layers, softmax over the next token.

Read `Rnnlm.forward` and `Rnnlm.backward`: the list of layers, once forwards, once reversed.
"""

import contextlib
import copy
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

from rnn_xp._typing import Array
from rnn_xp.backend import Backend, get_backend, to_host
from rnn_xp.checkpoint import load_arrays, save_arrays
from rnn_xp.errors import CheckpointError
from rnn_xp.layers.composite import is_recurrent, random_parts
from rnn_xp.layers.state import copy_state
from rnn_xp.models.base import Model
from rnn_xp.models.build import build_layers
from rnn_xp.models.config import LMConfig
from rnn_xp.models.flat import FlatParameters
from rnn_xp.namespace import namespace_of


class Rnnlm(Model):
    """Language model: embedding, L recurrent layers of any cell, affine, softmax, loss.

    The recurrent layers are stateful: each call of `forward` goes on where the last one
    ended, which is truncated backpropagation through time over contiguous streams.

    Parameters
    ----------
    vocab_size : int
        V.
    wordvec_size : int
        D, the width of the embedding.
    hidden_size : int
        H, the width of every recurrent layer.
    backend : str or Backend, optional
        Default: what ``RNN_BACKEND`` names.
    **settings
        The other fields of `LMConfig`: ``cell``, ``layers``, ``dropout``, ``tied``,
        ``init``, ``seed``, ``dtype``, …

    Attributes
    ----------
    config : LMConfig
    layers : list of layer
    params, grads : list of array
        Views of the flat buffers; a shared parameter is listed once, a frozen one not at all.
    flat_params, flat_grads : array, shape (total,)
        All parameters, all gradients; the gaps of the alignment are zero.
    frozen : set of str
        Names of parameters that are not trained.

    Notes
    -----
    The defaults are those of ``Rnnlm`` in "Deep Learning from Scratch 2", ch. 6: normal
    initial weights over ``sqrt(fan_in)``, embedding over 100, no forget bias.
    """

    def __init__(
        self,
        vocab_size: int = 10000,
        wordvec_size: int = 100,
        hidden_size: int = 100,
        *,
        backend: str | Backend | None = None,
        **settings: Any,
    ):
        config = LMConfig(vocab_size, embed=wordvec_size, hidden=hidden_size, **settings)
        self._build(config, get_backend(backend))

    def _build(self, config: LMConfig, backend: Backend) -> None:
        self.config = config
        self.layers, named = build_layers(config, backend)
        self._flat = FlatParameters(named, 8 if config.dtype == "float64" else 4)
        self.frozen: set[str] = {"embedding.W"} if config.one_hot else set()

    @classmethod
    def from_config(cls, config: LMConfig, backend: str | Backend | None = None) -> Self:
        """Model with the initial weights that `config` (and its seed) names."""
        model = cls.__new__(cls)
        model._build(config, get_backend(backend))
        return model

    def forward(self, xs: Any, ts: Any, train: bool = True) -> Array:
        """Mean loss of a batch.

        Parameters
        ----------
        xs : array of int, shape (N, T)
            Token ids.
        ts : array of int, shape (N, T)
            Target ids, -1 where a step does not count.
        train : bool
            Whether dropout is on and `backward` will follow.

        Returns
        -------
        loss : array, 0-d
            Nats per counted token, on the device (NumPy makes a scalar of it).
        """
        *hidden_layers, output = self.layers
        for layer in hidden_layers:
            xs = layer.forward(xs, train=train)
        return output.forward(xs, ts, train=train)

    def backward(self, dout: Any = 1) -> None:
        """Gradient of the last `forward`, into `grads` (and `flat_grads`)."""
        embedding, *others = self.layers
        for layer in reversed(others):
            dout = layer.backward(dout)
        if "embedding.W" not in self.frozen:
            embedding.backward(dout)

    def predict(self, xs: Any) -> Array:
        """Scores (logits) of the next token after every step, without dropout.

        Parameters
        ----------
        xs : array of int, shape (N, T)

        Returns
        -------
        scores : array, shape (N, T, V)
        """
        *hidden_layers, output = self.layers
        for layer in hidden_layers:
            xs = layer.forward(xs, train=False)
        scores = output.predict(xs)
        return namespace_of(scores).permute_dims(scores, (1, 0, 2))

    def token_losses(self, xs: Any, ts: Any) -> Array:
        """Loss of every token, nats, shape (N, T); 0 where the target is ignored."""
        self.forward(xs, ts, train=False)
        losses = self.layers[-1].losses
        return namespace_of(losses).permute_dims(losses, (1, 0))

    @property
    def counted(self) -> Any:
        """How many targets of the last `forward` counted."""
        return self.layers[-1].count

    @property
    def recurrent_layers(self) -> list[Any]:
        """The layers that have a state."""
        return [layer for layer in self.layers if is_recurrent(layer)]

    @property
    def state(self) -> list[Any]:
        """State of each recurrent layer: an array (N, H) or a tuple of them, None for zeros."""
        return [layer.state for layer in self.recurrent_layers]

    @state.setter
    def state(self, values: Iterable[Any]) -> None:
        for layer, value in zip(self.recurrent_layers, values, strict=True):
            layer.state = copy_state(value)

    def reset_state(self) -> None:
        """Start the next call from zeros."""
        for layer in self.recurrent_layers:
            layer.reset_state()

    @contextlib.contextmanager
    def fresh_state(self, start: Iterable[Any] | None = None) -> Iterator[None]:
        """Start from zeros inside the block, or from `start`; restore the state after it.

        Parameters
        ----------
        start : list, optional
            A state of each recurrent layer, as `state` gives it; adopted, not copied.
        """
        layers = self.recurrent_layers
        kept = [layer.state for layer in layers]
        for layer, value in zip(
            layers, [None] * len(layers) if start is None else start, strict=True
        ):
            layer.state = value
        try:
            yield
        finally:
            for layer, value in zip(layers, kept, strict=True):
                layer.state = value

    @property
    def dropout_counters(self) -> list[int]:
        """Number of training calls of all that draws masks: part of what a resume restores."""
        return [part.counter for part in self._random_parts]

    @dropout_counters.setter
    def dropout_counters(self, values: Iterable[int]) -> None:
        for part, value in zip(self._random_parts, values, strict=True):
            part.counter = int(value)

    @property
    def _random_parts(self) -> list[Any]:
        return [part for layer in self.layers for part in random_parts(layer)]

    def __getstate__(self) -> dict[str, Any]:
        """What `copy` and `pickle` take: a copy on the host, the state, and where they belong."""
        states = [part._keeper.mapped(to_host) for part in _stateful_parts(self.layers)]
        kept = (self.backend.label, states, [leaf.precision for leaf in self._leaves])
        return self._copied(get_backend("numpy"), self) | {"_kept": kept}

    def __setstate__(self, attributes: dict[str, Any]) -> None:
        self.__dict__.update(attributes)
        label, states, precisions = self.__dict__.pop("_kept")
        backend = get_backend(label)
        if backend != self.backend:
            self.__dict__.update(self._copied(backend, self))
        for part, state in zip(_stateful_parts(self.layers), states, strict=True):
            part._keeper = state.mapped(backend.asarray)
        for leaf, precision in zip(self._leaves, precisions, strict=True):
            leaf.precision = precision

    def to(self, backend: str | Backend) -> Self:
        """A copy of this model on another backend; its state stays behind.

        Weights, settings of the layers, dropout counters and the attributes that a subclass
        or a caller added are copied.
        """
        moved = type(self).__new__(type(self))
        moved.__dict__.update(self._copied(get_backend(backend), moved))
        return moved

    def _copied(self, backend: Backend, owner: Self) -> dict[str, Any]:
        """The attributes of a copy that `owner` is to be, with the layers on `backend`."""
        layers = [layer.to(backend) for layer in self.layers]
        # What refers to this model or to a layer of it will refer to the copy and to its layers.
        twins = dict(zip(map(id, _parts(self.layers)), _parts(layers), strict=True))
        own = {name: a for name, a in self.__dict__.items() if name not in ("config", "_flat")}
        copied: dict[str, Any] = copy.deepcopy(own, {id(self): owner, **twins})
        return {"config": self.config, **copied, "_flat": self._flat.over(twins)}

    def save(self, path: str | Path) -> None:
        """Write weights and configuration to a safetensors file, atomically."""
        document = {"config": self.config.to_json(), "frozen": sorted(self.frozen)}
        save_arrays(path, self.named_parameters, document)

    @classmethod
    def load(
        cls, path: str | Path, backend: str | Backend | None = None, dtype: str | None = None
    ) -> Self:
        """Read a model that `save` wrote, on any backend.

        Of a subclass it is an instance of that, made as `from_config` makes one: without
        calling ``__init__``.

        Parameters
        ----------
        path : path
        backend : str or Backend, optional
            Default: what ``RNN_BACKEND`` names.
        dtype : {"float32", "float64"}, optional
            Default: that of the file.

        Raises
        ------
        CheckpointError
            If the file is missing, damaged, or does not hold a language model.
        """
        return cls.from_arrays(*load_arrays(path), str(path), backend, dtype)

    @classmethod
    def from_arrays(
        cls,
        arrays: dict[str, Array],
        document: dict[str, Any],
        where: str,
        backend: str | Backend | None = None,
        dtype: str | None = None,
    ) -> Self:
        """Make a model of what is in a file of `save`; `where` is its name, for messages."""
        try:
            config = LMConfig.from_json(document["config"])
        except (KeyError, TypeError, ValueError) as error:
            raise CheckpointError(
                f"{where}: does not describe a language model ({error})"
            ) from error
        if dtype is not None:
            config = replace(config, dtype=dtype)
        model = cls.from_config(config, backend)
        model.set_parameters(arrays, where)
        model.frozen = set(document.get("frozen", []))
        return model


def _parts(layers: list[Any]) -> list[Any]:
    """The layers, and those that they are made of and that own parameters."""
    return [part for layer in layers for part in dict.fromkeys((layer, *layer.leaves()))]


def _stateful_parts(layers: list[Any]) -> list[Any]:
    """Those of them that keep a state between calls."""
    return [part for part in _parts(layers) if hasattr(part, "_keeper")]
