"""`Stack`: recurrent layers on top of each other."""

from collections.abc import Sequence
from itertools import count
from typing import Any

from rnn_xp._typing import Array
from rnn_xp.backend import Backend
from rnn_xp.errors import ShapeError
from rnn_xp.layers.bidirectional import Bidirectional
from rnn_xp.layers.composite import Composite, is_recurrent
from rnn_xp.layers.dropout import TimeDropout
from rnn_xp.layers.initial_state import TrainableState
from rnn_xp.layers.recurrent import RecurrentLayer
from rnn_xp.layers.residual import Residual
from rnn_xp.layers.weight_drop import WeightDrop
from rnn_xp.namespace import namespace_of
from rnn_xp.rng import Generator, make_generator


class Stack(Composite):
    """Time layers run one after the other, with the same mask.

    Parameters
    ----------
    layers : list of layer
        `TimeRNN`, `TimeLSTM`, `TimeGRU`, `TimeCell`, `Bidirectional`, `TimeDropout`, another
        `Stack`, or any of them in a wrapper (`Residual`, `WeightDrop`, ...), of any widths
        that fit together.

    Attributes
    ----------
    params, grads : list of array
        Those of all layers, in order.
    state, dstate : list
        State of each recurrent layer, None for the others; the gradient with respect to the
        state that the last call started from.
    """

    def __init__(self, layers: list[Any]):
        if not isinstance(layers, list | tuple):
            raise TypeError(
                f"Stack: layers is a {type(layers).__name__}, expected a list of layers"
            )
        if not layers:
            raise ValueError("Stack: needs at least one layer")
        for k, layer in enumerate(layers):
            if not all(hasattr(layer, name) for name in ("forward", "backward", "params")):
                raise TypeError(f"Stack: layer {k} is a {type(layer).__name__}, expected a layer")
        if len({id(layer) for layer in layers}) < len(layers):
            raise ValueError("Stack: a layer is there twice; it keeps one cache, so make another")
        orders = {layer.time_major for layer in layers if hasattr(layer, "time_major")}
        if len(orders) > 1:
            raise ValueError("Stack: some layers are time_major, others are not")
        super().__init__()
        self.layers = list(layers)
        self._output_size = self._check_widths()

    def _check_widths(self) -> int | None:
        """Width of the output, None if not known; raise if a layer does not take what it gets."""
        width = None
        for k, layer in enumerate(self.layers):
            if isinstance(layer, TimeDropout):
                continue
            D = getattr(layer, "input_size", None)
            if None not in (width, D) and width != D:
                raise ShapeError(
                    f"Stack: layer {k} takes an input {D} wide, but what reaches it is {width} wide"
                )
            width = getattr(layer, "output_size", None)
        return width

    @property
    def input_size(self) -> int | None:
        """D, or None if the first layer with weights does not tell it."""
        own = (layer for layer in self.layers if not isinstance(layer, TimeDropout))
        return getattr(next(own, None), "input_size", None)

    @property
    def output_size(self) -> int | None:
        """Width of the output, or None if it is not known."""
        return self._output_size

    @classmethod
    def create(
        cls,
        kind: type[RecurrentLayer],
        D: int,
        widths: Sequence[int],
        *,
        bidirectional: bool = False,
        merge: str = "concat",
        residual: bool = False,
        dropout: float = 0.0,
        variational: bool = False,
        weight_drop: float = 0.0,
        trainable_state: bool = False,
        rng: int | Generator = 0,
        seed: int = 0,
        **options: Any,
    ) -> "Stack":
        """Stack of one kind of layer with new weights, and with these options around each.

        Parameters
        ----------
        kind : class
            `TimeRNN`, `TimeLSTM` or `TimeGRU`.
        D : int
            Width of the input.
        widths : sequence of int
            H of each layer, from the lowest to the highest.
        bidirectional, merge : bool, str
            Whether each layer is two, in `Bidirectional` (whose `merge` this is).
        residual : bool
            Whether each layer whose input is as wide as its output adds it to its output.
        dropout, variational : float, bool
            Ratio of a `TimeDropout` between the layers, and whether it is the same for all steps.
        weight_drop : float
            Ratio of a `WeightDrop` on every ``Wh``.
        trainable_state : bool
            Whether the initial states are learned.
        rng : int or numpy.random.Generator
            What the weights are drawn with.
        seed : int
            What the dropout masks are drawn with.
        **options
            The others of ``kind.create``: ``backend``, ``dtype``, ``stateful``, ``time_major``,
            ``forget_bias`` or ``reset_after``.
        """
        generator, streams = make_generator(rng), count()

        def one(width: int, H: int) -> Any:
            layer: Any = kind.create(width, H, rng=generator, **options)
            if weight_drop > 0.0:
                layer = WeightDrop(layer, weight_drop, seed=seed, stream=next(streams))
            return layer

        layers: list[Any] = []
        for number, H in enumerate(widths):
            if number and dropout > 0.0:
                layers.append(
                    TimeDropout(
                        dropout,
                        variational=variational,
                        seed=seed,
                        stream=next(streams),
                        time_major=bool(options.get("time_major", False)),
                    )
                )
            layer = one(D, H)
            if bidirectional:
                layer = Bidirectional(layer, one(D, H), merge)
            width = 2 * H if bidirectional and merge == "concat" else H
            if residual and width == D:
                layer = Residual(layer)
            layers.append(TrainableState(layer) if trainable_state else layer)
            D = width
        return cls(layers)

    @property
    def children(self) -> list[Any]:
        """The layers, from the input to the output."""
        return self.layers

    def forward(
        self, xs: Array, lengths: Any = None, mask: Any = None, train: bool = True
    ) -> Array:
        """Run all layers; arguments and result as in `rnn_xp.layers.TimeRNN.forward`."""
        for layer in self.layers:
            if is_recurrent(layer):
                xs = layer.forward(xs, lengths=lengths, mask=mask, train=train)
            else:
                xs = layer.forward(xs, train=train)
        self._cache = None
        if not is_recurrent(self.layers[-1]):
            self._cache = (namespace_of(xs), tuple(xs.shape), xs.dtype, xs.device)
        return xs

    def backward(self, dhs: Array | None, dstate: Any = None) -> Array:
        """Gradient of the last `forward`, through all layers in reverse.

        Parameters
        ----------
        dhs : array, shape of what `forward` returned, or None
            Gradient with respect to the output; None is zeros.
        dstate : list, optional
            For each layer the gradient with respect to its final state, or None; see the
            ``dstate`` of the layer's own ``backward``.

        Returns
        -------
        dxs : array, shape of `xs`
        """
        self._check_upstream(dhs, dstate)
        if dhs is None and not is_recurrent(self.layers[-1]):
            dhs = self._zeros()
        own = self._each(dstate, "dstate")
        for layer, dfinal in zip(reversed(self.layers), reversed(own), strict=True):
            dhs = layer.backward(dhs, dstate=dfinal) if is_recurrent(layer) else layer.backward(dhs)
        return dhs

    def _zeros(self) -> Array:
        """Zeros of the output's shape, for a layer on top that takes no None."""
        xp, shape, dtype, device = self._held_cache()
        return xp.zeros(shape, dtype=dtype, device=device)

    def _check_upstream(self, dout: Any, dstate: Any = None) -> None:
        own = self._each(dstate, "dstate")
        for layer, dfinal in zip(reversed(self.layers), reversed(own), strict=True):
            if is_recurrent(layer):
                layer._check_upstream(dout, dfinal)
            elif dout is not None:
                layer._check_upstream(dout)
            dout = None  # what reaches the lower layers is not known yet

    def to(self, backend: str | Backend) -> "Stack":
        """A copy on another backend."""
        return Stack([layer.to(backend) for layer in self.layers])
