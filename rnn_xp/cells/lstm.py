"""The LSTM cell: one time step, forward and backward."""

from typing import Any

from rnn_xp._typing import Array
from rnn_xp.cells.activations import ActivationLike, get_activation
from rnn_xp.cells.base import GatedCell
from rnn_xp.namespace import namespace_of


class LSTMCell(GatedCell):
    """Long short-term memory with a forget gate; gate blocks in the order ``i, f, g, o``.

    Parameters
    ----------
    Wx : array, shape (D, 4H)
        Input weights, float32 or float64.
    Wh : array, shape (H, 4H)
        Recurrent weights.
    b : array, shape (4H,)
        Bias. A forget bias, where it is wanted, is part of it: add it to ``b[H:2H]``.
    activation : str, Activation, callable or None
        Of the candidate g and of c' on its way to h'; default tanh. Other activations than
        the defaults run here, in `TimeCell`; `TimeLSTM` and its fast kernels have none.
    recurrent_activation : str, Activation, callable or None
        Of the three gates; default sigmoid.
    grads : list of array, optional
        Arrays that `backward` adds into.

    Notes
    -----
    With the default activations::

        a = x Wx + h Wh + b                  split into a_i, a_f, a_g, a_o
        i, f, o = sigmoid(a_i), sigmoid(a_f), sigmoid(a_o);  g = tanh(a_g)
        c' = f * c + i * g
        h' = o * tanh(c')

    The state is ``(h, c)``; the output is ``h'``. One step costs 8NH(D + H) flops
    forward and twice that backward. No input is modified.

    References
    ----------
    Hochreiter & Schmidhuber, "Long short-term memory", Neural Computation 9(8), 1997;
    forget gate: Gers, Schmidhuber & Cummins, Neural Computation 12(10), 2000.
    """

    gates = 4

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
    def state_size(self) -> tuple[int, int]:
        """``(H, H)``: the widths of h and c."""
        return (self.output_size, self.output_size)

    def zero_state(self, N: int) -> tuple[Array, Array]:
        """``(h, c)`` of zeros, each of shape (N, H)."""
        return (self._zeros(N), self._zeros(N))

    def forward(self, x: Array, state: tuple[Array, Array]) -> tuple[Array, Any, Any]:
        """One step.

        Parameters
        ----------
        x : array, shape (N, D)
        state : tuple of array
            ``(h, c)``, each (N, H).

        Returns
        -------
        output : array, shape (N, H)
        state : tuple of array
            ``(h', c')``; h' is the output.
        cache : tuple
            For one call of `backward`.
        """
        Wx, Wh, b = self.params
        h, c = state
        xp = namespace_of(x)
        H = h.shape[1]
        a = x @ Wx + h @ Wh + b  # (N, 4H)
        gate, activation = self.recurrent_activation, self.activation
        i, kept_i = gate.apply(a[:, :H], xp)
        f, kept_f = gate.apply(a[:, H : 2 * H], xp)
        g, kept_g = activation.apply(a[:, 2 * H : 3 * H], xp)
        o, kept_o = gate.apply(a[:, 3 * H :], xp)
        c_next = f * c + i * g
        y, kept_y = activation.apply(c_next, xp)
        h_next = o * y
        kept = (kept_i, kept_f, kept_g, kept_o, kept_y)  # mostly the same arrays once more
        return h_next, (h_next, c_next), (x, h, c, i, f, g, o, y, kept)

    def backward(
        self, doutput: Array, dstate: tuple[Array, Array] | None, cache: Any
    ) -> tuple[Array, tuple[Array, Array]]:
        """Gradient of one step; adds into `grads`.

        Parameters
        ----------
        doutput : array, shape (N, H)
            Gradient of the loss with respect to the output.
        dstate : tuple of array, or None
            ``(dh', dc')``, each (N, H); None stands for zeros.
        cache : tuple
            What `forward` returned.

        Returns
        -------
        dx : array, shape (N, D)
        dstate : tuple of array
            ``(dh, dc)``, each (N, H).
        """
        Wx, Wh, _ = self.params
        x, h, c, i, f, g, o, y, (kept_i, kept_f, kept_g, kept_o, kept_y) = cache
        xp = namespace_of(x)
        gate, activation = self.recurrent_activation, self.activation
        dh_next = doutput if dstate is None else doutput + dstate[0]
        dc_next = activation.backward(dh_next * o, kept_y, xp)
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
        self._add_to_grads(x.T @ da, h.T @ da, xp.sum(da, axis=0))
        return da @ Wx.T, (da @ Wh.T, dc_next * f)
