"""The GRU cell in both of its variants: one time step, forward and backward."""

from typing import Any

from rnn_xp._typing import Array
from rnn_xp.cells.activations import ActivationLike, get_activation
from rnn_xp.cells.base import GatedCell
from rnn_xp.namespace import namespace_of


class GRUCell(GatedCell):
    """Gated recurrent unit; gate blocks in the order ``r, z, n``.

    The shape of the bias names the variant, because the two are different functions:

    * ``b`` of shape (2, 3H): the reset gate acts *after* the recurrent product, as in
      PyTorch, cuDNN and Keras' default. Row 0 is the input bias, row 1 the recurrent one.
    * ``b`` of shape (3H,): the reset gate acts *before* it, as in the paper, TensorFlow 1
      and "Deep Learning from Scratch 2".

    Parameters
    ----------
    Wx : array, shape (D, 3H)
        Input weights, float32 or float64.
    Wh : array, shape (H, 3H)
        Recurrent weights.
    b : array, shape (2, 3H) or (3H,)
        Bias; see above.
    activation : str, Activation, callable or None
        Of the candidate n; default tanh. Other activations than the defaults run here, in
        `TimeCell`; `TimeGRU` and its fast kernels have none.
    recurrent_activation : str, Activation, callable or None
        Of the two gates; default sigmoid.
    grads : list of array, optional
        Arrays that `backward` adds into.

    Notes
    -----
    With the default activations::

        reset after:   ax = x Wx + b_0;  ah = h Wh + b_1
        reset before:  ax = x Wx + b;    ah = h Wh_rz
        r, z = sigmoid(ax_rz + ah_rz)
        reset after:   n = tanh(ax_n + r * ah_n)
        reset before:  n = tanh(ax_n + (r * h) Wh_n)
        h' = (1 - z) * n + z * h

    The state is ``h``; the output is ``h'``. One step costs 6NH(D + H) flops forward
    and twice that backward. No input is modified.

    References
    ----------
    Cho et al., "Learning phrase representations using RNN encoder-decoder",
    arXiv:1406.1078 (reset before); the cuDNN documentation (reset after). Here ``z``
    keeps the old state, as in PyTorch and Keras; in the paper's formula it does too.
    """

    gates = 3
    takes_recurrent_mask = True

    @classmethod
    def bias_shapes(cls, Wh: Array) -> tuple[tuple[int, ...], ...]:
        """``(2, 3H)`` for reset after, ``(3H,)`` for reset before."""
        return ((2, 3 * Wh.shape[0]), (3 * Wh.shape[0],))

    def __init__(
        self,
        Wx: Array,
        Wh: Array,
        b: Array,
        *,
        activation: ActivationLike = "tanh",
        recurrent_activation: ActivationLike = "sigmoid",
        grads: list[Array] | None = None,
    ):
        super().__init__(Wx, Wh, b, grads=grads)
        self.activation = get_activation(activation)
        self.recurrent_activation = get_activation(recurrent_activation)

    @property
    def reset_after(self) -> bool:
        """Whether the reset gate acts after the recurrent product."""
        return len(self.params[2].shape) == 2

    def forward(
        self, x: Array, h: Array, recurrent_mask: Array | None = None
    ) -> tuple[Array, Array, Any]:
        """One step.

        Parameters
        ----------
        x : array, shape (N, D)
        h : array, shape (N, H)
        recurrent_mask : array, shape (N, H), optional
            Multiplies ``h`` in the products (and under the reset gate), but not in ``z * h``.

        Returns
        -------
        output, state : array, shape (N, H)
            The same array.
        cache : tuple
            For one call of `backward`.
        """
        Wx, Wh, b = self.params
        xp = namespace_of(x)
        H = h.shape[1]
        gate = self.recurrent_activation
        seen = h if recurrent_mask is None else h * recurrent_mask
        if self.reset_after:
            ax = x @ Wx + b[0, :]  # (N, 3H)
            ah = seen @ Wh + b[1, :]  # (N, 3H)
        else:
            ax = x @ Wx + b
            ah = seen @ Wh[:, : 2 * H]  # (N, 2H)
        pair = gate.apply_to_pair(ax[:, : 2 * H] + ah[:, : 2 * H], xp)
        (r, kept_r), (z, kept_z) = pair
        if self.reset_after:
            inner = ah[:, 2 * H :]  # what the reset gate scales
            n, kept_n = self.activation.apply(ax[:, 2 * H :] + r * inner, xp)
        else:
            inner = r * seen  # what goes through Wh_n
            n, kept_n = self.activation.apply(ax[:, 2 * H :] + inner @ Wh[:, 2 * H :], xp)
        h_next = (1.0 - z) * n + z * h
        kept = (kept_r, kept_z, kept_n)  # mostly the same arrays once more
        return h_next, h_next, (x, h, seen, recurrent_mask, r, z, n, inner, kept)

    def backward(self, doutput: Array, dstate: Array | None, cache: Any) -> tuple[Array, Array]:
        """Gradient of one step; adds into `grads`.

        Parameters
        ----------
        doutput : array, shape (N, H)
            Gradient of the loss with respect to the output.
        dstate : array, shape (N, H), or None
            Gradient with respect to the new state; None stands for zeros.
        cache : tuple
            What `forward` returned.

        Returns
        -------
        dx : array, shape (N, D)
        dh : array, shape (N, H)
        """
        Wx, Wh, _ = self.params
        x, h, seen, recurrent_mask, r, z, n, inner, (kept_r, kept_z, kept_n) = cache
        xp = namespace_of(x)
        H = h.shape[1]
        gate = self.recurrent_activation
        dh_next = doutput if dstate is None else doutput + dstate
        da_n = self.activation.backward(dh_next * (1.0 - z), kept_n, xp)
        da_z = gate.backward(dh_next * (h - n), kept_z, xp)
        if self.reset_after:
            da_r = gate.backward(da_n * inner, kept_r, xp)
            dax = xp.concat([da_r, da_z, da_n], axis=1)
            dah = xp.concat([da_r, da_z, da_n * r], axis=1)
            db = xp.stack([xp.sum(dax, axis=0), xp.sum(dah, axis=0)], axis=0)
            self._add_to_grads(x.T @ dax, seen.T @ dah, db)
            dseen = dah @ Wh.T
        else:
            dinner = da_n @ Wh[:, 2 * H :].T
            da_r = gate.backward(dinner * seen, kept_r, xp)
            da_rz = xp.concat([da_r, da_z], axis=1)
            dax = xp.concat([da_r, da_z, da_n], axis=1)
            dWh = xp.concat([seen.T @ da_rz, inner.T @ da_n], axis=1)
            self._add_to_grads(x.T @ dax, dWh, xp.sum(dax, axis=0))
            dseen = da_rz @ Wh[:, : 2 * H].T + dinner * r
        dh = dseen if recurrent_mask is None else dseen * recurrent_mask
        return dax @ Wx.T, dh + dh_next * z
