"""The GRU cell in both of its variants: one time step, forward and backward."""

from typing import Any

from rnn_xp._typing import Array
from rnn_xp.cells.activations import sigmoid
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
    grads : list of array, optional
        Arrays that `backward` adds into.

    Notes
    -----
    ::

        r, z = sigmoid(x Wx_rz + h Wh_rz + biases)
        reset after:   n = tanh(x Wx_n + b0_n + r * (h Wh_n + b1_n))
        reset before:  n = tanh(x Wx_n + b_n + (r * h) Wh_n)
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

    @classmethod
    def bias_shapes(cls, Wh: Array) -> tuple[tuple[int, ...], ...]:
        """``(2, 3H)`` for reset after, ``(3H,)`` for reset before."""
        return ((2, 3 * Wh.shape[0]), (3 * Wh.shape[0],))

    @property
    def reset_after(self) -> bool:
        """Whether the reset gate acts after the recurrent product."""
        return len(self.params[2].shape) == 2

    def forward(self, x: Array, h: Array) -> tuple[Array, Array, Any]:
        """One step.

        Parameters
        ----------
        x : array, shape (N, D)
        h : array, shape (N, H)

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
        if self.reset_after:
            ax = x @ Wx + b[0, :]  # (N, 3H)
            ah = h @ Wh + b[1, :]  # (N, 3H)
            rz = sigmoid(ax[:, : 2 * H] + ah[:, : 2 * H], xp)
            r, z = rz[:, :H], rz[:, H:]
            inner = ah[:, 2 * H :]  # what the reset gate scales
            n = xp.tanh(ax[:, 2 * H :] + r * inner)
        else:
            ax = x @ Wx + b
            rz = sigmoid(ax[:, : 2 * H] + h @ Wh[:, : 2 * H], xp)
            r, z = rz[:, :H], rz[:, H:]
            inner = r * h  # what goes through Wh_n
            n = xp.tanh(ax[:, 2 * H :] + inner @ Wh[:, 2 * H :])
        h_next = (1.0 - z) * n + z * h
        return h_next, h_next, (x, h, r, z, n, inner)

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
        x, h, r, z, n, inner = cache
        xp = namespace_of(x)
        H = h.shape[1]
        dh_next = doutput if dstate is None else doutput + dstate
        da_n = dh_next * (1.0 - z) * (1.0 - n * n)
        da_z = dh_next * (h - n) * z * (1.0 - z)
        if self.reset_after:
            da_r = da_n * inner * r * (1.0 - r)
            dax = xp.concat([da_r, da_z, da_n], axis=1)
            dah = xp.concat([da_r, da_z, da_n * r], axis=1)
            db = xp.stack([xp.sum(dax, axis=0), xp.sum(dah, axis=0)], axis=0)
            self._add_to_grads(x.T @ dax, h.T @ dah, db)
            return dax @ Wx.T, dah @ Wh.T + dh_next * z
        dinner = da_n @ Wh[:, 2 * H :].T
        da_r = dinner * h * r * (1.0 - r)
        da_rz = xp.concat([da_r, da_z], axis=1)
        dax = xp.concat([da_r, da_z, da_n], axis=1)
        dWh = xp.concat([h.T @ da_rz, inner.T @ da_n], axis=1)
        self._add_to_grads(x.T @ dax, dWh, xp.sum(dax, axis=0))
        dh = da_rz @ Wh[:, : 2 * H].T + dinner * r + dh_next * z
        return dax @ Wx.T, dh
