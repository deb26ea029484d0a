"""The GRU cell with layer norm: one time step."""

from typing import Any

from rnn_xp._typing import Array
from rnn_xp.cells.activations import ActivationLike, get_activation
from rnn_xp.cells.base import WeightsCell, check_weights
from rnn_xp.cells.gru import GRUCell
from rnn_xp.cells.layer_norm import (
    EPS,
    check_eps,
    check_extra,
    normalize,
    normalize_backward,
)
from rnn_xp.namespace import namespace_of


class LayerNormGRUCell(WeightsCell):
    """GRU with a layer norm of each product; gate blocks ``r, z, n``.

    Runs in `TimeCell`; there is no fast kernel. As in `GRUCell`, the shape of the bias names
    the variant: (2, 3H) resets after the recurrent product, (3H,) before it.

    Parameters
    ----------
    Wx : array, shape (D, 3H)
        Input weights, float32 or float64.
    Wh : array, shape (H, 3H)
        Recurrent weights.
    b : array, shape (2, 3H) or (3H,)
        Bias, after the normalisation. Reset after: row 0 input, row 1 recurrent.
    gamma : array, shape (2, 3H)
        Gains: row 0 of the input product, row 1 of the recurrent ones; ones to start with.
    eps : float
        Added to the variances.
    activation, recurrent_activation : str, Activation, callable or None
        Default tanh and sigmoid.
    grads : list of array, optional
        Arrays that `backward` adds into, in the order of `params`: Wx, Wh, b, gamma.

    Notes
    -----
    Reset after, with the norm of each product over all 3H numbers of a row at once::

        ax = LN(x Wx) * gamma_0 + b_0;  ah = LN(h Wh) * gamma_1 + b_1
        r, z = sigmoid(ax_rz + ah_rz)
        n = tanh(ax_n + r * ah_n)
        h' = (1 - z) * n + z * h

    Reset before, where the candidate has a product of its own, and so a norm of its own; the
    three norms go over 3H, 2H and H numbers::

        ax = LN(x Wx) * gamma_0 + b
        r, z = sigmoid(ax_rz + LN(h Wh_rz) * gamma_1_rz)
        n = tanh(ax_n + LN((r * h) Wh_n) * gamma_1_n)
        h' = (1 - z) * n + z * h

    The state is ``h``; the output is ``h'``. No input is modified.

    References
    ----------
    Ba, Kiros & Hinton, "Layer normalization", arXiv:1607.06450, supplement. Reset after: in the
    form of Haste's ``LayerNormGRU`` (github.com/lmnt-com/haste), whose blocks are in the order
    z, r, n. Reset before: that form for the equations of Cho et al., arXiv:1406.1078.
    """

    takes_recurrent_mask = True

    def __init__(
        self,
        Wx: Array,
        Wh: Array,
        b: Array,
        gamma: Array,
        *,
        eps: float = EPS,
        activation: ActivationLike = "tanh",
        recurrent_activation: ActivationLike = "sigmoid",
        grads: list[Array] | None = None,
    ):
        where = type(self).__name__
        check_weights(where, Wx, Wh, b, 3, GRUCell.bias_shapes)
        check_extra(where, Wx, gamma=(gamma, (2, 3 * Wh.shape[0]), "(2, 3H)"))
        check_eps(where, eps)
        super().__init__([Wx, Wh, b, gamma], grads)
        self.eps = eps
        self.activation = get_activation(activation)
        self.recurrent_activation = get_activation(recurrent_activation)

    @property
    def reset_after(self) -> bool:
        """Whether the reset gate acts after the recurrent product."""
        return len(self.params[2].shape) == 2

    def forward(
        self, x: Array, h: Array, recurrent_mask: Array | None = None
    ) -> tuple[Array, Array, Any]:
        """One step; shapes and results as in `rnn_xp.cells.GRUCell.forward`."""
        Wx, Wh, b, gamma = self.params
        xp = namespace_of(x)
        H = h.shape[1]
        gate = self.recurrent_activation
        seen = h if recurrent_mask is None else h * recurrent_mask
        norm_x = normalize(x @ Wx, self.eps, xp)
        norm_n = None
        if self.reset_after:
            norm_h = normalize(seen @ Wh, self.eps, xp)
            ax = norm_x[0] * gamma[0, :] + b[0, :]  # (N, 3H)
            ah = norm_h[0] * gamma[1, :] + b[1, :]  # (N, 3H)
        else:
            norm_h = normalize(seen @ Wh[:, : 2 * H], self.eps, xp)
            ax = norm_x[0] * gamma[0, :] + b
            ah = norm_h[0] * gamma[1, : 2 * H]  # (N, 2H)
        pair = gate.apply_to_pair(ax[:, : 2 * H] + ah[:, : 2 * H], xp)
        (r, kept_r), (z, kept_z) = pair
        if self.reset_after:
            inner = ah[:, 2 * H :]  # what the reset gate scales
            ah_n = r * inner
        else:
            inner = r * seen  # what goes through Wh_n
            norm_n = normalize(inner @ Wh[:, 2 * H :], self.eps, xp)
            ah_n = norm_n[0] * gamma[1, 2 * H :]
        n, kept_n = self.activation.apply(ax[:, 2 * H :] + ah_n, xp)
        h_next = (1.0 - z) * n + z * h
        norms, kept = (norm_x, norm_h, norm_n), (kept_r, kept_z, kept_n)
        return h_next, h_next, (x, h, seen, recurrent_mask, r, z, n, inner, norms, kept)

    def backward(self, doutput: Array, dstate: Array | None, cache: Any) -> tuple[Array, Array]:
        """Gradient of one step, as in `rnn_xp.cells.GRUCell.backward`; adds into `grads`."""
        Wx, Wh, _, gamma = self.params
        x, h, seen, recurrent_mask, r, z, n, inner, norms, kept = cache
        (norm_x, norm_h, norm_n), (kept_r, kept_z, kept_n) = norms, kept
        xp = namespace_of(x)
        H = h.shape[1]
        gate = self.recurrent_activation
        dh_next = doutput if dstate is None else doutput + dstate
        da_n = self.activation.backward(dh_next * (1.0 - z), kept_n, xp)
        da_z = gate.backward(dh_next * (h - n), kept_z, xp)
        if self.reset_after:
            da_r = gate.backward(da_n * inner, kept_r, xp)
            dah = xp.concat([da_r, da_z, da_n * r], axis=1)  # (N, 3H)
            dph = normalize_backward(dah * gamma[1, :], norm_h, xp)  # into h Wh
            dWh = seen.T @ dph
            dgamma_h = xp.sum(dah * norm_h[0], axis=0)
            dseen = dph @ Wh.T
        else:
            dpn = normalize_backward(da_n * gamma[1, 2 * H :], norm_n, xp)  # into (r * h) Wh_n
            dinner = dpn @ Wh[:, 2 * H :].T
            da_r = gate.backward(dinner * seen, kept_r, xp)
            dah = xp.concat([da_r, da_z], axis=1)  # (N, 2H)
            dph = normalize_backward(dah * gamma[1, : 2 * H], norm_h, xp)  # into h Wh_rz
            dWh = xp.concat([seen.T @ dph, inner.T @ dpn], axis=1)
            dgamma_h = xp.sum(xp.concat([dah * norm_h[0], da_n * norm_n[0]], axis=1), axis=0)
            dseen = dph @ Wh[:, : 2 * H].T + dinner * r
        dax = xp.concat([da_r, da_z, da_n], axis=1)  # (N, 3H)
        dpx = normalize_backward(dax * gamma[0, :], norm_x, xp)  # into x Wx
        db = xp.sum(dax, axis=0)
        if self.reset_after:
            db = xp.stack([db, xp.sum(dah, axis=0)], axis=0)
        dgamma = xp.stack([xp.sum(dax * norm_x[0], axis=0), dgamma_h], axis=0)
        self._add_to_grads(x.T @ dpx, dWh, db, dgamma)
        dh = dseen if recurrent_mask is None else dseen * recurrent_mask
        return dpx @ Wx.T, dh + dh_next * z
