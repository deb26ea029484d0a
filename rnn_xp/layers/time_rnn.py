"""`TimeRNN`: the simple recurrent layer over time."""

from typing import Any

from rnn_xp._typing import Array
from rnn_xp.layers.recurrent import RecurrentLayer


class TimeRNN(RecurrentLayer):
    """Simple recurrent layer, ``h' = tanh(x Wx + h Wh + b)``; G = 1.

    The step is `rnn_xp.cells.RNNCell`; other activations are that cell in `TimeCell`.

    Parameters
    ----------
    Wx : array, shape (D, H)
        Input weights, float32 or float64; the layer adopts the array, it makes no copy.
    Wh : array, shape (H, H)
        Recurrent weights.
    b : array, shape (H,)
        Bias.
    stateful : bool
        Whether a call starts from the state in which the last one ended. The gradient
        stops at the border between two calls (truncated BPTT).
    time_major : bool
        Whether sequences are (T, N, ...) instead of (N, T, ...).

    Attributes
    ----------
    params, grads : list of array
        ``[Wx, Wh, b]`` and their gradients, overwritten by `backward`.
    h : array, shape (N, H), or None
        State after the last step of the last call (each row's last valid step).
    dh : array, shape (N, H), or None
        Gradient with respect to the initial state of the call that `backward` was for.
    """

    gates = 1
    products = ("rnn_forward", "rnn_backward")

    def set_state(self, h: Array | None) -> None:
        """Set the state that the next call starts from.

        Parameters
        ----------
        h : array, shape (N, H), or None
            Copied; None is zeros. A layer that is not stateful uses it for one call.
            A `state` of such a layer, ``(h,)``, is taken too.
        """
        self._set_state(h)

    def backward(self, dhs: Array | None, dhT: Array | None = None, *, dstate: Any = None) -> Array:
        """Gradient of the last `forward`; overwrites `grads` and sets `dh`.

        Parameters
        ----------
        dhs : array, shape (N, T, H) or (T, N, H) if `time_major`, or None
            Gradient with respect to `hs`; None is zeros.
        dhT : array, shape (N, H), optional
            Gradient with respect to the final state.
        dstate : tuple ``(dhT,)``, optional
            The same in the form that every recurrent layer takes.

        Returns
        -------
        dxs : array, shape of `xs`

        Raises
        ------
        StaleCacheError
            If no ``forward(train=True)`` went before.
        """
        return self._backward(dhs, (dhT,), dstate)

    def _kernel(self, direction: str) -> Any:
        k = self.kernels
        return k.rnn_forward if direction == "forward" else k.rnn_backward
