"""The LSTM cell with layer norm and peepholes, projection or clipping: one time step."""

from typing import Any

from rnn_xp._typing import Array
from rnn_xp.cells.activations import ActivationLike
from rnn_xp.cells.layer_norm import (
    EPS,
    check_eps,
    check_extra,
    normalize,
    normalize_backward,
)
from rnn_xp.cells.lstmp import LSTMPCell


class LayerNormLSTMPCell(LSTMPCell):
    """`LSTMPCell` with the three layer norms of `LayerNormLSTMCell`; gates ``i, f, g, o``.

    Runs in `TimeCell`; there is no fast kernel. Without options it is `LayerNormLSTMCell`.

    Parameters
    ----------
    Wx : array, shape (D, 4H)
        Input weights, float32 or float64.
    Wh : array, shape (P, 4H)
        Recurrent weights; P is the width of h, and H without a projection.
    b : array, shape (4H,)
        Bias, after the normalisation.
    gamma : array, shape (2, 4H)
        Gains: row 0 of the input product, row 1 of the recurrent one; ones to start with.
    gamma_c, beta_c : array, shape (H,)
        Gain and bias of the cell state's norm; ones and zeros to start with.
    peepholes : array, shape (3, H), optional
        What the gates i, f, o see of the cell state, rows in that order.
    Wp : array, shape (H, P), optional
        Projection of the output; it has no bias.
    cell_clip : float, optional
        The new cell state is clipped to ``[-cell_clip, cell_clip]``.
    projection_clip : float, optional
        The projected output likewise; needs `Wp`.
    eps : float
        Added to the variances.
    activation, recurrent_activation : str, Activation, callable or None
        Default tanh and sigmoid.
    grads : list of array, optional
        Arrays that `backward` adds into, in the order of `params`.

    Attributes
    ----------
    params : list of array
        ``[Wx, Wh, b, gamma, gamma_c, beta_c]``, then `peepholes` and `Wp`, each if it was given.

    Notes
    -----
    ::

        a = LN(x Wx) * gamma_0 + LN(h Wh) * gamma_1 + b    split into a_i, a_f, a_g, a_o
        i = sigmoid(a_i + p_i * c);  f = sigmoid(a_f + p_f * c);  g = tanh(a_g)
        c' = clip(f * c + i * g)
        o = sigmoid(a_o + p_o * c')         the new cell state, clipped but not normalised
        u = LN(c') * gamma_c + beta_c
        h' = clip((o * tanh(u)) Wp)

    * The norms of the products go over all 4H numbers of a row at once, as in Haste.
    * A peephole is no product with a matrix: it is added behind the norms, before the gate, as
      in TensorFlow 1. So all three see the state itself, which is kept without its norm.
    * The clip bounds that state, so it comes before the norm of c'. Behind it, it would bound
      numbers that the norm has bounded already, while the state grows. TensorFlow 1 clips
      behind the norm, but its norm is of the state that it keeps.
    * The projection is last, and has no norm: the next step's norm of ``h Wh`` takes the scale
      of h away.

    The state is ``(h (N, P), c (N, H))``, the output is ``h'``. The gradient of a clipped
    element is zero. No input is modified.

    References
    ----------
    Layer norm: Ba, Kiros & Hinton, arXiv:1607.06450, supplement, in the form of Haste's
    ``LayerNormLSTM``; the other options: see `LSTMPCell`; both together, with norms gate by
    gate: ``tf.contrib.rnn.LayerNormLSTMCell`` of TensorFlow 1.
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
        peepholes: Array | None = None,
        Wp: Array | None = None,
        cell_clip: float | None = None,
        projection_clip: float | None = None,
        eps: float = EPS,
        activation: ActivationLike = "tanh",
        recurrent_activation: ActivationLike = "sigmoid",
        grads: list[Array] | None = None,
    ):
        super().__init__(
            Wx,
            Wh,
            b,
            peepholes=peepholes,
            Wp=Wp,
            cell_clip=cell_clip,
            projection_clip=projection_clip,
            activation=activation,
            recurrent_activation=recurrent_activation,
            grads=grads,
        )
        where, H = type(self).__name__, self.cell_size
        check_extra(
            where,
            Wx,
            gamma=(gamma, (2, 4 * H), "(2, 4H)"),
            gamma_c=(gamma_c, (H,), "(H,)"),
            beta_c=(beta_c, (H,), "(H,)"),
        )
        check_eps(where, eps)
        self.params[3:3] = [gamma, gamma_c, beta_c]  # before peepholes and Wp
        self.eps = eps

    def _compute_a(self, x: Array, h: Array, xp: Any) -> tuple[Array, Any]:
        Wx, Wh, b, gamma = self.params[:4]
        norm_x = normalize(x @ Wx, self.eps, xp)
        norm_h = normalize(h @ Wh, self.eps, xp)
        a = norm_x[0] * gamma[0, :] + norm_h[0] * gamma[1, :] + b
        return a, (x, h, norm_x, norm_h)

    def _backward_a(self, da: Array, kept: Any, xp: Any) -> tuple[Array, Array, list[Array]]:
        Wx, Wh, _, gamma = self.params[:4]
        x, h, norm_x, norm_h = kept
        dpx = normalize_backward(da * gamma[0, :], norm_x, xp)  # into the products
        dph = normalize_backward(da * gamma[1, :], norm_h, xp)
        dgamma = [xp.sum(da * norm[0], axis=0) for norm in (norm_x, norm_h)]
        terms = [x.T @ dpx, h.T @ dph, xp.sum(da, axis=0), xp.stack(dgamma, axis=0)]
        return dpx @ Wx.T, dph @ Wh.T, terms

    def _compute_u(self, c_next: Array, xp: Any) -> tuple[Array, Any]:
        gamma_c, beta_c = self.params[4:6]
        norm_c = normalize(c_next, self.eps, xp)
        return norm_c[0] * gamma_c + beta_c, norm_c

    def _backward_u(self, du: Array, kept: Any, xp: Any) -> tuple[Array, list[Array]]:
        dc_next = normalize_backward(du * self.params[4], kept, xp)
        return dc_next, [xp.sum(du * kept[0], axis=0), xp.sum(du, axis=0)]
