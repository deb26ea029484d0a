"""The one-step layers of "Deep Learning from Scratch 2": `RNN`, `LSTM`, `GRU`.

They are the cells of `rnn_xp.cells` behind the book's protocol: the last cache is kept,
and `backward` overwrites the gradients in place. (The listing of the book that circulates
on the web has ``dh_prev = np.dot(x.T, dt)``; right is ``dt @ Wh.T``.)
"""

from typing import Any

from rnn_xp._typing import Array, State
from rnn_xp.cells import GRUCell, LSTMCell, RNNCell
from rnn_xp.errors import ShapeError
from rnn_xp.layers.base import Layer
from rnn_xp.namespace import namespace_of, require_like, require_shape


class StepLayer(Layer):
    """A cell with its last cache kept."""

    cell_class: type[RNNCell | LSTMCell | GRUCell]

    def __init__(self, Wx: Array, Wh: Array, b: Array):
        super().__init__(self.cell_class(Wx, Wh, b).params)

    def _step(self, x: Array, *state: Array) -> State:
        Wx, Wh = self.params[0], self.params[1]
        require_like(x, Wx, self.name, "x")
        if len(x.shape) != 2 or x.shape[1] != Wx.shape[0]:
            raise ShapeError(
                f"{self.name}: x has shape {tuple(x.shape)}, expected (N, D) with D = {Wx.shape[0]}"
            )
        shape = (x.shape[0], Wh.shape[0])
        for name, part in zip(("h_prev", "c_prev"), state, strict=False):
            require_like(part, Wx, self.name, name)
            require_shape(part, shape, self.name, name, "(N, H)")
        _, new, cache = self._current().forward(x, state if len(state) > 1 else state[0])
        self._cache = (cache, shape)
        return new

    def _step_backward(self, *dstate: Array) -> tuple[Array, State]:
        _, shape = self._held_cache()
        xp = namespace_of(self.params[0])
        for name, part in zip(("dh_next", "dc_next"), dstate, strict=False):
            require_like(part, self.params[0], self.name, name)
            require_shape(part, shape, self.name, name, "(N, H)")
        cache, _ = self._take_cache()
        cell = self._current()
        for grad in self.grads:
            grad[...] = xp.zeros_like(grad)
        nothing = xp.zeros_like(dstate[0])
        dx, before = cell.backward(nothing, dstate if len(dstate) > 1 else dstate[0], cache)
        return dx, before

    def _current(self) -> Any:
        """The cell, over the arrays that `params` and `grads` hold now."""
        Wx, Wh, b = self.params
        return self.cell_class(Wx, Wh, b, grads=self.grads)


class RNN(StepLayer):
    """One step of the simple recurrent layer.

    Parameters
    ----------
    Wx, Wh, b : array, shapes (D, H), (H, H), (H,)
    """

    cell_class = RNNCell

    def forward(self, x: Array, h_prev: Array) -> Array:
        """``x (N, D), h_prev (N, H) -> h_next (N, H)``."""
        return self._step(x, h_prev)

    def backward(self, dh_next: Array) -> tuple[Array, Array]:
        """``dh_next (N, H) -> (dx (N, D), dh_prev (N, H))``; overwrites `grads`."""
        return self._step_backward(dh_next)


class LSTM(StepLayer):
    """One step of the LSTM layer, gate blocks i, f, g, o.

    Parameters
    ----------
    Wx, Wh, b : array, shapes (D, 4H), (H, 4H), (4H,)
    """

    cell_class = LSTMCell

    def forward(self, x: Array, h_prev: Array, c_prev: Array) -> tuple[Array, Array]:
        """``x (N, D), h_prev, c_prev (N, H) -> (h_next, c_next)``."""
        h_next, c_next = self._step(x, h_prev, c_prev)
        return h_next, c_next

    def backward(self, dh_next: Array, dc_next: Array) -> tuple[Array, Array, Array]:
        """``dh_next, dc_next -> (dx, dh_prev, dc_prev)``; overwrites `grads`."""
        dx, (dh_prev, dc_prev) = self._step_backward(dh_next, dc_next)
        return dx, dh_prev, dc_prev


class GRU(StepLayer):
    """One step of the GRU layer, gate blocks r, z, n.

    Parameters
    ----------
    Wx, Wh : array, shapes (D, 3H), (H, 3H)
    b : array, shape (2, 3H) or (3H,)
        Reset after or before the recurrent product; see `rnn_xp.cells.GRUCell`.
    """

    cell_class = GRUCell

    def forward(self, x: Array, h_prev: Array) -> Array:
        """``x (N, D), h_prev (N, H) -> h_next (N, H)``."""
        return self._step(x, h_prev)

    def backward(self, dh_next: Array) -> tuple[Array, Array]:
        """``dh_next (N, H) -> (dx (N, D), dh_prev (N, H))``; overwrites `grads`."""
        return self._step_backward(dh_next)
