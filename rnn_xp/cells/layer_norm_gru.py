"""The GRU cell with layer norm: one time step."""

from typing import Any

from rnn_xp._typing import Array
from rnn_xp.cells.activations import ActivationLike, get_activation
from rnn_xp.cells.base import WeightsCell, check_weights
from rnn_xp.cells.layer_norm import (
    EPS,
    check_eps,
    check_extra,
    normalize,
    normalize_backward,
)
from rnn_xp.namespace import namespace_of


class LayerNormGRUCell(WeightsCell):
    """GRU (reset after) with a layer norm of each product; gate blocks ``r, z, n``.

    Runs in `TimeCell`; there is no fast kernel.

    Parameters
    ----------
    Wx : array, shape (D, 3H)
        Input weights, float32 or float64.
    Wh : array, shape (H, 3H)
        Recurrent weights.
    b : array, shape (2, 3H)
        Biases after the normalisation: row 0 input, row 1 recurrent.
    gamma : array, shape (2, 3H)
        Gains, rows likewise; ones to start with.
    eps : float
        Added to the variances.
    activation, recurrent_activation : str, Activation, callable or None
        Default tanh and sigmoid.
    grads : list of array, optional
        Arrays that `backward` adds into, in the order of `params`: Wx, Wh, b, gamma.

    Notes
    -----
    ::

        ax = LN(x Wx) * gamma_0 + b_0;  ah = LN(h Wh) * gamma_1 + b_1
        r, z = sigmoid(ax_rz + ah_rz)
        n = tanh(ax_n + r * ah_n)
        h' = (1 - z) * n + z * h

    Each norm goes over all 3H numbers of a row at once, as in Haste. The state is ``h``; the
    output is ``h'``. No input is modified.

    References
    ----------
    Haste's ``LayerNormGRU`` (github.com/lmnt-com/haste), whose blocks are in the order z, r, n;
    after Ba, Kiros & Hinton, "Layer normalization", arXiv:1607.06450, supplement.
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
        check_weights(where, Wx, Wh, b, 3, lambda Wh: ((2, 3 * Wh.shape[0]),))
        check_extra(where, Wx, gamma=(gamma, (2, 3 * Wh.shape[0]), "(2, 3H)"))
        check_eps(where, eps)
        super().__init__([Wx, Wh, b, gamma], grads)
        self.eps = eps
        self.activation = get_activation(activation)
        self.recurrent_activation = get_activation(recurrent_activation)

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
        norm_h = normalize(seen @ Wh, self.eps, xp)
        ax = norm_x[0] * gamma[0, :] + b[0, :]  # (N, 3H)
        ah = norm_h[0] * gamma[1, :] + b[1, :]  # (N, 3H)
        pair = gate.apply_to_pair(ax[:, : 2 * H] + ah[:, : 2 * H], xp)
        (r, kept_r), (z, kept_z) = pair
        inner = ah[:, 2 * H :]  # what the reset gate scales
        n, kept_n = self.activation.apply(ax[:, 2 * H :] + r * inner, xp)
        h_next = (1.0 - z) * n + z * h
        kept = (kept_r, kept_z, kept_n)
        cache = (x, h, seen, recurrent_mask, r, z, n, inner, norm_x, norm_h, kept)
        return h_next, h_next, cache

    def backward(self, doutput: Array, dstate: Array | None, cache: Any) -> tuple[Array, Array]:
        """Gradient of one step, as in `rnn_xp.cells.GRUCell.backward`; adds into `grads`."""
        Wx, Wh, _, gamma = self.params
        x, h, seen, recurrent_mask, r, z, n, inner, norm_x, norm_h, kept = cache
        kept_r, kept_z, kept_n = kept
        xp = namespace_of(x)
        gate = self.recurrent_activation
        dh_next = doutput if dstate is None else doutput + dstate
        dn = self.activation.backward(dh_next * (1.0 - z), kept_n, xp)
        dz = gate.backward(dh_next * (h - n), kept_z, xp)
        dr = gate.backward(dn * inner, kept_r, xp)
        dvx = xp.concat([dr, dz, dn], axis=1)  # (N, 3H), into the two norms
        dvh = xp.concat([dr, dz, dn * r], axis=1)
        dax = normalize_backward(dvx * gamma[0, :], norm_x, xp)
        dah = normalize_backward(dvh * gamma[1, :], norm_h, xp)
        pairs = ((dvx, norm_x[0]), (dvh, norm_h[0]))
        db = xp.stack([xp.sum(d, axis=0) for d, _ in pairs], axis=0)
        dgamma = xp.stack([xp.sum(d * y, axis=0) for d, y in pairs], axis=0)
        self._add_to_grads(x.T @ dax, seen.T @ dah, db, dgamma)
        dseen = dah @ Wh.T
        dh = dseen if recurrent_mask is None else dseen * recurrent_mask
        return dax @ Wx.T, dh + dh_next * z
