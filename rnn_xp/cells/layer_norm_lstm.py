"""The LSTM cell with layer norm: one time step."""

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


class LayerNormLSTMCell(WeightsCell):
    """LSTM with three layer norms; gate blocks in the order ``i, f, g, o``.

    Runs in `TimeCell`; there is no fast kernel. With peepholes, a projection or clipping it is
    `LayerNormLSTMPCell`.

    Parameters
    ----------
    Wx : array, shape (D, 4H)
        Input weights, float32 or float64.
    Wh : array, shape (H, 4H)
        Recurrent weights.
    b : array, shape (4H,)
        Bias, after the normalisation.
    gamma : array, shape (2, 4H)
        Gains: row 0 of the input product, row 1 of the recurrent one; ones to start with.
    gamma_c, beta_c : array, shape (H,)
        Gain and bias of the cell state's norm; ones and zeros to start with.
    eps : float
        Added to the variances.
    activation, recurrent_activation : str, Activation, callable or None
        Default tanh and sigmoid.
    grads : list of array, optional
        Arrays that `backward` adds into, in the order of `params`: Wx, Wh, b, gamma, gamma_c,
        beta_c.

    Notes
    -----
    ::

        a = LN(x Wx) * gamma_0 + LN(h Wh) * gamma_1 + b    split into a_i, a_f, a_g, a_o
        i, f, o = sigmoid(a_i), sigmoid(a_f), sigmoid(a_o);  g = tanh(a_g)
        c' = f * c + i * g
        u = LN(c') * gamma_c + beta_c
        h' = o * tanh(u)

    The norms of the products go over all 4H numbers of a row at once, as in Haste; the cell
    state is kept as it was before its norm. The state is ``(h, c)``, the output is ``h'``.
    No input is modified.

    References
    ----------
    Ba, Kiros & Hinton, "Layer normalization", arXiv:1607.06450, supplement, whose two biases
    are one here, as in Haste's ``LayerNormLSTM``.
    """

    def __init__(
        self,
        Wx: Array,
        Wh: Array,
        b: Array,
        gamma: Array,
        gamma_c: Array,
        beta_c: Array,
        *,
        eps: float = EPS,
        activation: ActivationLike = "tanh",
        recurrent_activation: ActivationLike = "sigmoid",
        grads: list[Array] | None = None,
    ):
        where = type(self).__name__
        check_weights(where, Wx, Wh, b, 4, lambda Wh: ((4 * Wh.shape[0],),))
        H = Wh.shape[0]
        check_extra(
            where,
            Wx,
            gamma=(gamma, (2, 4 * H), "(2, 4H)"),
            gamma_c=(gamma_c, (H,), "(H,)"),
            beta_c=(beta_c, (H,), "(H,)"),
        )
        check_eps(where, eps)
        super().__init__([Wx, Wh, b, gamma, gamma_c, beta_c], grads)
        self.eps = eps
        self.activation = get_activation(activation)
        self.recurrent_activation = get_activation(recurrent_activation)

    @property
    def state_size(self) -> tuple[int, int]:
        """``(H, H)``: the widths of h and c."""
        return (self.output_size, self.output_size)

    def zero_state(self, N: int) -> tuple[Array, Array]:
        """``(h, c)`` of zeros, each of shape (N, H)."""
        return (self._zeros(N), self._zeros(N))

    def forward(self, x: Array, state: tuple[Array, Array]) -> tuple[Array, Any, Any]:
        """One step; shapes and results as in `rnn_xp.cells.LSTMCell.forward`."""
        Wx, Wh, b, gamma, gamma_c, beta_c = self.params
        h, c = state
        xp = namespace_of(x)
        H = h.shape[1]
        gate, activation = self.recurrent_activation, self.activation
        norm_x = normalize(x @ Wx, self.eps, xp)
        norm_h = normalize(h @ Wh, self.eps, xp)
        a = norm_x[0] * gamma[0, :] + norm_h[0] * gamma[1, :] + b  # (N, 4H)
        i, kept_i = gate.apply(a[:, :H], xp)
        f, kept_f = gate.apply(a[:, H : 2 * H], xp)
        g, kept_g = activation.apply(a[:, 2 * H : 3 * H], xp)
        o, kept_o = gate.apply(a[:, 3 * H :], xp)
        c_next = f * c + i * g
        norm_c = normalize(c_next, self.eps, xp)
        u = norm_c[0] * gamma_c + beta_c
        y, kept_y = activation.apply(u, xp)
        h_next = o * y
        kept = (kept_i, kept_f, kept_g, kept_o, kept_y)
        return h_next, (h_next, c_next), (x, h, c, i, f, g, o, y, norm_x, norm_h, norm_c, kept)

    def backward(
        self, doutput: Array, dstate: tuple[Array, Array] | None, cache: Any
    ) -> tuple[Array, tuple[Array, Array]]:
        """Gradient of one step, as in `rnn_xp.cells.LSTMCell.backward`; adds into `grads`."""
        Wx, Wh, _, gamma, gamma_c, _ = self.params
        x, h, c, i, f, g, o, y, norm_x, norm_h, norm_c, kept = cache
        kept_i, kept_f, kept_g, kept_o, kept_y = kept
        xp = namespace_of(x)
        gate, activation = self.recurrent_activation, self.activation
        dh_next = doutput if dstate is None else doutput + dstate[0]
        du = activation.backward(dh_next * o, kept_y, xp)
        dc_next = normalize_backward(du * gamma_c, norm_c, xp)
        if dstate is not None:
            dc_next = dc_next + dstate[1]
        da = xp.concat(
            [
                gate.backward(dc_next * g, kept_i, xp),
                gate.backward(dc_next * c, kept_f, xp),
                activation.backward(dc_next * i, kept_g, xp),
                gate.backward(dh_next * y, kept_o, xp),
            ],
            axis=1,
        )  # (N, 4H)
        dpx = normalize_backward(da * gamma[0, :], norm_x, xp)  # into the products
        dph = normalize_backward(da * gamma[1, :], norm_h, xp)
        dgamma = [xp.sum(da * norm[0], axis=0) for norm in (norm_x, norm_h)]
        self._add_to_grads(
            x.T @ dpx,
            h.T @ dph,
            xp.sum(da, axis=0),
            xp.stack(dgamma, axis=0),
            xp.sum(du * norm_c[0], axis=0),
            xp.sum(du, axis=0),
        )
        return dpx @ Wx.T, (dph @ Wh.T, dc_next * f)
