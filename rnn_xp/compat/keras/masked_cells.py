"""Cells with a dropout mask for each gate: Keras's ``implementation=1``.

They follow the protocol of `rnn_xp.cells`, with the core's gate order. Gate k sees
``x * input_masks[k]`` and ``h * recurrent_masks[k]`` in its products; the carry ``z * h`` of
the GRU sees ``h`` itself. The masks hold for all steps (keras/src/layers/rnn/lstm.py, gru.py).
"""

from typing import Any

from rnn_xp._typing import Array
from rnn_xp.cells.activations import Activation
from rnn_xp.cells.base import GatedCell
from rnn_xp.namespace import namespace_of


class MaskedCell(GatedCell):
    """Base: weights, activations and masks.

    Parameters
    ----------
    params : list of array
        ``[Wx, Wh, b]`` as the core's cell of the same kind takes them.
    activation : Activation
    recurrent_activation : Activation or None
        Of the gates; None in a cell that has none.
    input_masks, recurrent_masks : array, shape (G, N, D) and (G, N, H), or None
        One mask for each gate in the core's order, or none.
    """

    def __init__(
        self,
        params: list[Array],
        activation: Activation,
        recurrent_activation: Any,
        input_masks: Array | None,
        recurrent_masks: Array | None,
    ):
        super().__init__(*params)
        self.activation = activation
        self.gate = recurrent_activation
        self.input_masks = input_masks
        self.recurrent_masks = recurrent_masks


class MaskedSimpleRNNCell(MaskedCell):
    """``h' = act((x m) Wx + (h m') Wh + b)``."""

    gates = 1

    def forward(self, x: Array, h: Array) -> tuple[Array, Array, Any]:
        """One step; see the core's cell."""
        Wx, Wh, b = self.params
        xp = namespace_of(x)
        xs, hs = seen(x, self.input_masks, 1), seen(h, self.recurrent_masks, 1)
        h_next, kept = self.activation.apply(xs[0] @ Wx + hs[0] @ Wh + b, xp)
        return h_next, h_next, (xs, hs, kept)

    def backward(self, doutput: Array, dstate: Array | None, cache: Any) -> tuple[Array, Array]:
        """Gradient of one step; adds into `grads`."""
        xs, hs, kept = cache
        xp = namespace_of(doutput)
        dh_next = doutput if dstate is None else doutput + dstate
        da = [self.activation.backward(dh_next, kept, xp)]
        dx, dWx = product_backward(da, xs, self.params[0], self.input_masks)
        dh, dWh = product_backward(da, hs, self.params[1], self.recurrent_masks)
        self._add_to_grads(dWx, dWh, xp.sum(da[0], axis=0))
        return dx, dh


class MaskedLSTMCell(MaskedCell):
    """The LSTM's step; gates ``i, f, g, o``."""

    gates = 4

    @property
    def state_size(self) -> tuple[int, int]:
        """``(H, H)``."""
        return (self.output_size, self.output_size)

    def zero_state(self, N: int) -> tuple[Array, Array]:
        """``(h, c)`` of zeros."""
        return (self._zeros(N), self._zeros(N))

    def forward(self, x: Array, state: tuple[Array, Array]) -> tuple[Array, Any, Any]:
        """One step; see the core's cell."""
        Wx, Wh, b = self.params
        h, c = state
        xp = namespace_of(x)
        xs, hs = seen(x, self.input_masks, 4), seen(h, self.recurrent_masks, 4)
        products = zip(product(xs, Wx), product(hs, Wh), blocks(b, 4), strict=True)
        a_i, a_f, a_g, a_o = (u + v + w for u, v, w in products)
        i, kept_i = self.gate.apply(a_i, xp)
        f, kept_f = self.gate.apply(a_f, xp)
        g, kept_g = self.activation.apply(a_g, xp)
        o, kept_o = self.gate.apply(a_o, xp)
        c_next = f * c + i * g
        y, kept_y = self.activation.apply(c_next, xp)
        h_next = o * y
        kept = (kept_i, kept_f, kept_g, kept_o, kept_y)
        return h_next, (h_next, c_next), (xs, hs, c, i, f, g, o, y, kept)

    def backward(
        self, doutput: Array, dstate: tuple[Array, Array] | None, cache: Any
    ) -> tuple[Array, tuple[Array, Array]]:
        """Gradient of one step; adds into `grads`."""
        xs, hs, c, i, f, g, o, y, (kept_i, kept_f, kept_g, kept_o, kept_y) = cache
        xp = namespace_of(doutput)
        dh_next = doutput if dstate is None else doutput + dstate[0]
        dc_next = self.activation.backward(dh_next * o, kept_y, xp)
        dc_next = dc_next if dstate is None else dc_next + dstate[1]
        da = [
            self.gate.backward(dc_next * g, kept_i, xp),
            self.gate.backward(dc_next * c, kept_f, xp),
            self.activation.backward(dc_next * i, kept_g, xp),
            self.gate.backward(dh_next * y, kept_o, xp),
        ]
        dx, dWx = product_backward(da, xs, self.params[0], self.input_masks)
        dh, dWh = product_backward(da, hs, self.params[1], self.recurrent_masks)
        self._add_to_grads(dWx, dWh, xp.sum(xp.concat(da, axis=1), axis=0))
        return dx, (dh, dc_next * f)


class MaskedGRUCell(MaskedCell):
    """The GRU's step in both variants; gates ``r, z, n``."""

    gates = 3

    @classmethod
    def bias_shapes(cls, Wh: Array) -> tuple[tuple[int, ...], ...]:
        """``(2, 3H)`` for reset after, ``(3H,)`` for reset before."""
        return ((2, 3 * Wh.shape[0]), (3 * Wh.shape[0],))

    def forward(self, x: Array, h: Array) -> tuple[Array, Array, Any]:
        """One step; see the core's cell."""
        Wx, Wh, b = self.params
        xp = namespace_of(x)
        xs, hs = seen(x, self.input_masks, 3), seen(h, self.recurrent_masks, 3)
        reset_after = len(b.shape) == 2
        bias = blocks(b[0, :] if reset_after else b, 3)
        ax_r, ax_z, ax_n = (u + w for u, w in zip(product(xs, Wx), bias, strict=True))
        U_r, U_z, U_n = blocks(Wh, 3)
        ah_r, ah_z = hs[0] @ U_r, hs[1] @ U_z
        if reset_after:
            bias_r, bias_z, bias_n = blocks(b[1, :], 3)
            ah_r, ah_z = ah_r + bias_r, ah_z + bias_z
        r, kept_r = self.gate.apply(ax_r + ah_r, xp)
        z, kept_z = self.gate.apply(ax_z + ah_z, xp)
        if reset_after:
            inner = hs[2] @ U_n + bias_n  # what the reset gate scales
            n, kept_n = self.activation.apply(ax_n + r * inner, xp)
        else:
            inner = r * hs[2]  # what goes through U_n
            n, kept_n = self.activation.apply(ax_n + inner @ U_n, xp)
        h_next = (1.0 - z) * n + z * h
        return h_next, h_next, (xs, hs, h, r, z, n, inner, (kept_r, kept_z, kept_n))

    def backward(self, doutput: Array, dstate: Array | None, cache: Any) -> tuple[Array, Array]:
        """Gradient of one step; adds into `grads`."""
        Wx, Wh, b = self.params
        xs, hs, h, r, z, n, inner, (kept_r, kept_z, kept_n) = cache
        xp = namespace_of(doutput)
        dh_next = doutput if dstate is None else doutput + dstate
        da_n = self.activation.backward(dh_next * (1.0 - z), kept_n, xp)
        da_z = self.gate.backward(dh_next * (h - n), kept_z, xp)
        if len(b.shape) == 2:
            da_r = self.gate.backward(da_n * inner, kept_r, xp)
            dah = [da_r, da_z, da_n * r]
            dh, dWh = product_backward(dah, hs, Wh, self.recurrent_masks)
        else:
            U_r, U_z, U_n = blocks(Wh, 3)
            dinner = da_n @ U_n.T
            da_r = self.gate.backward(dinner * hs[2], kept_r, xp)
            dseen = [da_r @ U_r.T, da_z @ U_z.T, dinner * r]
            dh = through_masks(dseen, self.recurrent_masks)
            dWh = xp.concat([hs[0].T @ da_r, hs[1].T @ da_z, inner.T @ da_n], axis=1)
        dax = [da_r, da_z, da_n]
        dx, dWx = product_backward(dax, xs, Wx, self.input_masks)
        db = xp.sum(xp.concat(dax, axis=1), axis=0)
        if len(b.shape) == 2:
            db = xp.stack([db, xp.sum(xp.concat(dah, axis=1), axis=0)], axis=0)
        self._add_to_grads(dWx, dWh, db)
        return dx, dh + dh_next * z


def seen(a: Array, masks: Array | None, gates: int) -> list[Array]:
    """What each gate sees of `a` (N, K)."""
    return [a] * gates if masks is None else [a * masks[k, :, :] for k in range(gates)]


def blocks(W: Array, gates: int) -> list[Array]:
    """The gate blocks on the last axis."""
    H = W.shape[-1] // gates
    return [W[..., k * H : (k + 1) * H] for k in range(gates)]


def product(inputs: list[Array], W: Array) -> list[Array]:
    """Each gate's input times its block of `W`."""
    return [a @ block for a, block in zip(inputs, blocks(W, len(inputs)), strict=True)]


def product_backward(
    da: list[Array], inputs: list[Array], W: Array, masks: Array | None
) -> tuple[Array, Array]:
    """Gradient of `seen` and `product`: with respect to what was masked, and to `W`."""
    dinputs = [d @ block.T for d, block in zip(da, blocks(W, len(da)), strict=True)]
    dW = [a.T @ d for a, d in zip(inputs, da, strict=True)]
    return through_masks(dinputs, masks), namespace_of(W).concat(dW, axis=1)


def through_masks(dseen: list[Array], masks: Array | None) -> Array:
    """Gradient of `seen`."""
    total = dseen[0] if masks is None else dseen[0] * masks[0, :, :]
    for k in range(1, len(dseen)):
        total = total + (dseen[k] if masks is None else dseen[k] * masks[k, :, :])
    return total
