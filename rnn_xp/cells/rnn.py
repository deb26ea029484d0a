"""The simple (Elman) cell: one time step, forward and backward."""

from typing import Any

from rnn_xp._typing import Array
from rnn_xp.cells.activations import ActivationLike, get_activation
from rnn_xp.cells.base import GatedCell
from rnn_xp.namespace import namespace_of


class RNNCell(GatedCell):
    """Simple recurrent cell.

    Parameters
    ----------
    Wx : array, shape (D, H)
        Input weights, float32 or float64.
    Wh : array, shape (H, H)
        Recurrent weights.
    b : array, shape (H,)
        Bias.
    activation : str, Activation, callable or None
        Default tanh; ``None`` is linear; see `rnn_xp.cells.get_activation`. Other activations
        than tanh run here, in `TimeCell`; `TimeRNN` and its fast kernels have none.
    grads : list of array, optional
        Arrays that `backward` adds into.

    Notes
    -----
    With the default activation::

        a = x Wx + h Wh + b
        h' = tanh(a)

    The state is ``h``; the output is ``h'``. One step costs 2NH(D + H) flops forward and twice
    that backward. No input is modified.

    References
    ----------
    Elman, "Finding structure in time", Cognitive Science 14, 1990.
    """

    gates = 1

    def __init__(
        self,
        Wx: Array,
        Wh: Array,
        b: Array,
        *,
        activation: ActivationLike = "tanh",
        grads: list[Array] | None = None,
    ):
        super().__init__(Wx, Wh, b, grads=grads)
        self.activation = get_activation(activation)

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
        a = x @ Wx + h @ Wh + b  # (N, H)
        h_next, kept = self.activation.apply(a, namespace_of(x))
        return h_next, h_next, (x, h, kept)

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
        x, h, kept = cache
        xp = namespace_of(x)
        dh_next = doutput if dstate is None else doutput + dstate
        da = self.activation.backward(dh_next, kept, xp)
        self._add_to_grads(x.T @ da, h.T @ da, xp.sum(da, axis=0))
        return da @ Wx.T, da @ Wh.T
