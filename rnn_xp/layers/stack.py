"""`Stack`: recurrent layers on top of each other."""

from typing import Any

from rnn_xp._typing import Array
from rnn_xp.backend import Backend
from rnn_xp.layers.base import Layer


class Stack(Layer):
    """Time layers run one after the other, with the same mask.

    Parameters
    ----------
    layers : list of layer
        `TimeRNN`, `TimeLSTM`, `TimeGRU`, `TimeCell`, `Bidirectional`, `TimeDropout` or
        another `Stack`, of any widths that fit together.

    Attributes
    ----------
    params, grads : list of array
        Those of all layers, in order.
    state : list
        State of each recurrent layer, None for the others.
    """

    def __init__(self, layers: list[Any]):
        if not layers:
            raise ValueError("Stack: needs at least one layer")
        if len({id(layer) for layer in layers}) < len(layers):
            raise ValueError("Stack: a layer is there twice; it keeps one cache, so make another")
        orders = {layer.time_major for layer in layers if hasattr(layer, "time_major")}
        if len(orders) > 1:
            raise ValueError("Stack: some layers are time_major, others are not")
        self.layers = list(layers)
        self._kernels = None

    @property
    def time_major(self) -> bool:
        """Whether sequences are (T, N, ...)."""
        return any(getattr(layer, "time_major", False) for layer in self.layers)

    @property
    def params(self) -> list[Array]:  # type: ignore[override]
        """Parameters of all layers."""
        return [p for layer in self.layers for p in layer.params]

    @property
    def grads(self) -> list[Array]:  # type: ignore[override]
        """Gradients of all layers."""
        return [g for layer in self.layers for g in layer.grads]

    def leaves(self) -> list[Layer]:
        """The layers that own parameters."""
        return [leaf for layer in self.layers for leaf in layer.leaves()]

    @property
    def state(self) -> list[Any]:
        """State of each layer; None for those without."""
        return [getattr(layer, "state", None) for layer in self.layers]

    @state.setter
    def state(self, values: list[Any]) -> None:
        for layer, value in zip(self.layers, values, strict=True):
            if hasattr(layer, "state"):
                layer.state = value

    def reset_state(self) -> None:
        """Start the next call of every layer from zeros."""
        for layer in self.layers:
            if hasattr(layer, "reset_state"):
                layer.reset_state()

    def forward(
        self, xs: Array, lengths: Any = None, mask: Any = None, train: bool = True
    ) -> Array:
        """Run all layers; arguments and result as in `rnn_xp.layers.TimeRNN.forward`."""
        for layer in self.layers:
            if hasattr(layer, "reset_state"):
                xs = layer.forward(xs, lengths=lengths, mask=mask, train=train)
            else:
                xs = layer.forward(xs, train=train)
        return xs

    def backward(self, dhs: Array) -> Array:
        """Gradient of the last `forward`, through all layers in reverse."""
        for layer in reversed(self.layers):
            dhs = layer.backward(dhs)
        return dhs

    def to(self, backend: str | Backend) -> "Stack":
        """A copy on another backend."""
        return Stack([layer.to(backend) for layer in self.layers])
