"""`Bidirectional`: one layer forwards in time, one backwards, and their outputs together."""

from typing import Any

from rnn_xp._typing import Array
from rnn_xp.backend import Backend
from rnn_xp.errors import ShapeError
from rnn_xp.host import time_mask
from rnn_xp.layers.base import Layer
from rnn_xp.namespace import namespace_of, require_float, require_shape

MERGES = ("concat", "sum", "mean", None)


class Bidirectional(Layer):
    """Two time layers over the same input, the second one in reversed time.

    The second layer sees input and mask flipped in time, and its output is flipped back.
    A row that is shorter than the batch is thus padded on the left there; since the state
    is copied through masked steps, it starts at the row's last valid step.

    Parameters
    ----------
    forward_layer, backward_layer : layer
        Two recurrent layers with the same `time_major`.
    merge : {"concat", "sum", "mean", None}
        How the outputs become one: side by side, (N, T, H1 + H2); added; averaged; or, for
        None, a tuple of both.
    """

    def __init__(self, forward_layer: Any, backward_layer: Any, merge: str | None = "concat"):
        if merge not in MERGES:
            raise ValueError(f"Bidirectional: merge = {merge!r}, expected one of {MERGES}")
        if forward_layer.time_major != backward_layer.time_major:
            raise ValueError("Bidirectional: one layer is time_major, the other is not")
        if forward_layer is backward_layer:
            raise ValueError("Bidirectional: the two directions need a layer each, got one twice")
        self.forward_layer = forward_layer
        self.backward_layer = backward_layer
        self.merge = merge
        self._cache = None
        self._kernels = None

    @property
    def time_major(self) -> bool:
        """Whether sequences are (T, N, ...)."""
        return bool(self.forward_layer.time_major)

    @property
    def params(self) -> list[Array]:  # type: ignore[override]
        """Parameters of the forward, then of the backward layer."""
        return [*self.forward_layer.params, *self.backward_layer.params]

    @property
    def grads(self) -> list[Array]:  # type: ignore[override]
        """Gradients in the order of `params`."""
        return [*self.forward_layer.grads, *self.backward_layer.grads]

    def leaves(self) -> list[Layer]:
        """The layers that own parameters."""
        return [*self.forward_layer.leaves(), *self.backward_layer.leaves()]

    @property
    def state(self) -> list[Any]:
        """State of the forward and of the backward layer."""
        return [self.forward_layer.state, self.backward_layer.state]

    @state.setter
    def state(self, values: list[Any]) -> None:
        self.forward_layer.state, self.backward_layer.state = values

    def reset_state(self) -> None:
        """Start the next call of both layers from zeros."""
        self.forward_layer.reset_state()
        self.backward_layer.reset_state()

    def forward(self, xs: Array, lengths: Any = None, mask: Any = None, train: bool = True) -> Any:
        """Run both layers; arguments as in `rnn_xp.layers.TimeRNN.forward`.

        Returns
        -------
        hs : array, shape (N, T, H1 + H2) for "concat"; (N, T, H) for "sum" and "mean"
            Or a tuple of two arrays if `merge` is None.
        """
        require_float(xs, self.name, "xs")
        if len(xs.shape) != 3:
            raise ShapeError(f"{self.name}: xs has shape {tuple(xs.shape)}, expected (N, T, D)")
        xp = namespace_of(xs)
        axis = 0 if self.time_major else 1
        T, N = xs.shape[axis], xs.shape[1 - axis]
        valid = time_mask(lengths, mask, N, T, xs, self.time_major, self.name)
        if valid is not None and not self.time_major:
            valid = xp.permute_dims(valid, (1, 0))
        flipped = None if valid is None else xp.flip(valid, axis=axis)
        there = self.forward_layer.forward(xs, mask=valid, train=train)
        back = self.backward_layer.forward(xp.flip(xs, axis=axis), mask=flipped, train=train)
        back = xp.flip(back, axis=axis)
        self._cache = (tuple(there.shape), tuple(back.shape)) if train else None
        if self.merge is None:
            return there, back
        if self.merge == "concat":
            return xp.concat([there, back], axis=2)
        require_shape(back, tuple(there.shape), self.name, "the backward output", "(N, T, H)")
        return there + back if self.merge == "sum" else 0.5 * (there + back)

    def backward(self, dhs: Any) -> Array:
        """Gradient of the last `forward`.

        Parameters
        ----------
        dhs : array, shape of what `forward` returned, or a tuple of two if `merge` is None
            Gradient with respect to the output; None, also in the tuple, is zeros.
        """
        there_shape, back_shape = self._take_cache()
        axis = 0 if self.time_major else 1
        if dhs is None:
            dthere = dback = None
        elif self.merge is None:
            dthere, dback = dhs
        elif self.merge == "concat":
            H = there_shape[2]
            whole = (*there_shape[:2], H + back_shape[2])
            require_shape(dhs, whole, self.name, "dhs", "(N, T, H1 + H2)")
            dthere, dback = dhs[:, :, :H], dhs[:, :, H:]
        else:
            require_shape(dhs, there_shape, self.name, "dhs", "(N, T, H)")
            dthere = dback = dhs if self.merge == "sum" else 0.5 * dhs
        dx = self.forward_layer.backward(dthere)
        xp = namespace_of(dx)
        dx_back = self.backward_layer.backward(None if dback is None else xp.flip(dback, axis=axis))
        return dx + xp.flip(dx_back, axis=axis)

    def to(self, backend: str | Backend) -> "Bidirectional":
        """A copy on another backend."""
        return Bidirectional(
            self.forward_layer.to(backend), self.backward_layer.to(backend), self.merge
        )
