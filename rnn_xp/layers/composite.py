"""`Composite` and `Wrapper`: layers that are made of layers."""

import copy
from typing import Any, Self

from rnn_xp._typing import Array
from rnn_xp.backend import Backend
from rnn_xp.cells.wrapper import random_cells
from rnn_xp.layers.base import Layer, precision_of


def is_recurrent(layer: Any) -> bool:
    """Whether `layer` has a state, and so takes ``lengths``, ``mask`` and ``dstate``."""
    return hasattr(layer, "reset_state")


def random_parts(layer: Any) -> list[Any]:
    """The parts of a layer, itself first, that count training calls.

    Their ``counter`` attributes are what a resume has to restore.
    """
    own = [layer] if hasattr(layer, "counter") else []
    if hasattr(layer, "cell"):
        return own + random_cells(layer.cell)
    return own + [part for child in getattr(layer, "children", []) for part in random_parts(child)]


class Composite(Layer):
    """Base of the layers that are made of several layers.

    Its state, and the gradient with respect to it, is a list with an entry for each of
    them; None for those without a state.
    """

    def __init__(self) -> None:
        self._cache = None
        self._kernels = None

    @property
    def children(self) -> list[Any]:
        """The layers that this one is made of, in order."""
        raise TypeError(f"{self.name}: a subclass says which layers it is made of")

    @property
    def params(self) -> list[Array]:  # type: ignore[override]
        """Parameters of all layers, in order."""
        return [p for child in self.children for p in child.params]

    @property
    def grads(self) -> list[Array]:  # type: ignore[override]
        """Gradients in the order of `params`."""
        return [g for child in self.children for g in child.grads]

    @property
    def precision(self) -> str:  # type: ignore[override]
        """Of the matrix products in its layers; see `set_precision`."""
        return precision_of(self.leaves())

    def leaves(self) -> list[Layer]:
        """The layers that own parameters, in the order of `params`."""
        return [leaf for child in self.children for leaf in child.leaves()]

    @property
    def time_major(self) -> bool:
        """Whether sequences are (T, N, ...)."""
        return any(getattr(child, "time_major", False) for child in self.children)

    @property
    def stateful(self) -> bool:
        """Whether a call of any of the layers starts where its last one ended."""
        return any(getattr(child, "stateful", False) for child in self.children)

    @property
    def runs_backwards(self) -> bool:
        """Whether a state of any of the layers goes against the time."""
        return any(getattr(child, "runs_backwards", False) for child in self.children)

    @property
    def takes_state(self) -> bool:
        """Whether a call may start from a state that is given to it."""
        return all(getattr(child, "takes_state", True) for child in self.children)

    @property
    def state(self) -> Any:
        """State of each layer after the last call; None for those without."""
        return [getattr(child, "state", None) for child in self.children]

    @state.setter
    def state(self, values: Any) -> None:
        """Set where the next call starts; the arrays are adopted, not copied."""
        for child, value in zip(self.children, self._each(values, "state"), strict=True):
            if is_recurrent(child):
                child.state = value

    def set_state(self, states: Any) -> None:
        """Set the state that the next call starts from.

        Parameters
        ----------
        states : list, or None
            For each layer what its own ``set_state`` takes, None for zeros and for a layer
            without a state. Copied. A layer that is not stateful uses it for one call.
        """
        for child, value in zip(self.children, self._each(states, "state"), strict=True):
            if is_recurrent(child):
                child.set_state(value)

    def reset_state(self) -> None:
        """Start the next call of every layer from zeros."""
        for child in self.children:
            if is_recurrent(child):
                child.reset_state()

    def zero_state(self, N: int) -> Any:
        """State of zeros for a batch of `N`, in the structure of `state`."""
        return [child.zero_state(N) if is_recurrent(child) else None for child in self.children]

    @property
    def dstate(self) -> Any:
        """Gradient with respect to the initial state of each layer, as `state`."""
        return [getattr(child, "dstate", None) for child in self.children]

    def _each(self, values: Any, what: str) -> list[Any]:
        """One entry of `values` for each layer.

        Raises
        ------
        TypeError
            If `values` is neither None nor a list or tuple of that many entries, or has an
            entry for a layer without a state.
        """
        children = self.children
        if values is None:
            return [None] * len(children)
        if not isinstance(values, list | tuple) or len(values) != len(children):
            given = type(values).__name__
            given += f" of {len(values)}" if isinstance(values, list | tuple) else ""
            raise TypeError(
                f"{self.name}: {what} is a {given}, expected a list of {len(children)}, "
                "one entry a layer"
            )
        for k, (child, value) in enumerate(zip(children, values, strict=True)):
            if value is not None and not is_recurrent(child):
                raise TypeError(
                    f"{self.name}: {what} has an entry for layer {k}, a {child.name}, "
                    "expected None there"
                )
        return list(values)

    def __copy__(self) -> Self:
        """A copy with copies of the layers: parameters shared, nothing of past calls."""
        made = type(self).__new__(type(self))
        for name, value in self.__getstate__().items():
            made.__dict__[name] = _copied(value)
        return made

    def _forget(self) -> None:
        self._cache = None


def _copied(value: Any) -> Any:
    if isinstance(value, Layer):
        return copy.copy(value)
    if isinstance(value, list):
        return [_copied(part) for part in value]
    return value


class Wrapper(Composite):
    """Base of the layers around one recurrent layer: its parameters and its state are theirs.

    Parameters
    ----------
    layer : layer
        `TimeRNN`, `TimeLSTM`, `TimeGRU`, `TimeCell`, a net of these or another wrapper.
    """

    def __init__(self, layer: Any):
        if not is_recurrent(layer):
            raise TypeError(
                f"{self.name}: wraps a {type(layer).__name__}, expected a recurrent layer"
            )
        super().__init__()
        self.layer = layer

    @property
    def children(self) -> list[Any]:
        """The one layer."""
        return [self.layer]

    @property
    def input_size(self) -> int | None:
        """D of the layer, or None if it does not tell it."""
        return getattr(self.layer, "input_size", None)

    @property
    def output_size(self) -> int | None:
        """Width of the layer's output, or None if it does not tell it."""
        return getattr(self.layer, "output_size", None)

    @property
    def params(self) -> list[Array]:  # type: ignore[override]
        """The layer's own list: a model may rebind its entries."""
        params: list[Array] = self.layer.params
        return params

    @property
    def grads(self) -> list[Array]:  # type: ignore[override]
        """Gradients in the order of `params`."""
        grads: list[Array] = self.layer.grads
        return grads

    @property
    def stateful(self) -> bool:
        """Whether a call starts where the last one ended."""
        return bool(self.layer.stateful)

    @stateful.setter
    def stateful(self, value: bool) -> None:
        self.layer.stateful = value

    @property
    def state(self) -> Any:
        """State after the last call, in the structure of the layer's."""
        return self.layer.state

    @state.setter
    def state(self, value: Any) -> None:
        """Set where the next call starts; the arrays are adopted, not copied."""
        self.layer.state = value

    def set_state(self, state: Any) -> None:
        """Set the state that the next call starts from.

        Parameters
        ----------
        state : as the layer's `state`, or None
            Copied; None is zeros. A layer that is not stateful uses it for one call.
        """
        self.layer.set_state(state)

    def zero_state(self, N: int) -> Any:
        """State of zeros for a batch of `N`, in the structure of `state`."""
        return self.layer.zero_state(N)

    @property
    def dstate(self) -> Any:
        """Gradient with respect to the state that the last call started from, as `state`."""
        return self.layer.dstate

    def _check_upstream(self, dout: Any, dstate: Any = None) -> None:
        self.layer._check_upstream(dout, dstate)

    def to(self, backend: str | Backend) -> Self:
        """A copy on another backend; state, caches and buffers stay behind."""
        moved = copy.copy(self)
        moved.layer = self.layer.to(backend)
        moved._kernels = None
        moved._forget()
        return moved
