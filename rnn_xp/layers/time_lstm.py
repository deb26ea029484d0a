"""`TimeLSTM`: the LSTM layer over time."""

from typing import Any

from rnn_xp._typing import Array
from rnn_xp.layers.recurrent import RecurrentLayer


class TimeLSTM(RecurrentLayer):
    """Long short-term memory layer, gate blocks ``i, f, g, o``; G = 4.

    The step is `rnn_xp.cells.LSTMCell`. ``c`` is the cell state.

    Parameters
    ----------
    Wx : array, shape (D, 4H)
        Input weights, float32 or float64; the layer adopts the array, it makes no copy.
    Wh : array, shape (H, 4H)
        Recurrent weights.
    b : array, shape (4H,)
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
    h, c : array, shape (N, H), or None
        State after the last step of the last call (each row's last valid step).
    dh, dc : array, shape (N, H), or None
        Gradient with respect to the initial state of the call that `backward` was for.
    """

    gates = 4
    products = ("lstm_forward", "lstm_backward")
    state_names = ("h", "c")

    @classmethod
    def _initial_bias(cls, H: int, forget_bias: float = 1.0) -> Any:
        return [0.0] * H + [forget_bias] * H + [0.0] * (2 * H)

    @property
    def c(self) -> Array | None:
        """Cell state after the last call, (N, H)."""
        return None if self.state is None else self.state[1]

    @property
    def dc(self) -> Array | None:
        """Gradient with respect to the initial cell state, (N, H)."""
        return None if self._dstate is None else self._dstate[1]

    def set_state(self, h: Array | None, c: Array | None = None) -> None:
        """Set the state that the next call starts from.

        Parameters
        ----------
        h, c : array, shape (N, H), or None
            Copied; None is zeros. A layer that is not stateful uses it for one call.
            A `state` of such a layer, ``(h, c)``, is taken too, as the first argument.
        """
        self._set_state(h, c)

    def backward(
        self,
        dhs: Array | None,
        dhT: Array | None = None,
        dcT: Array | None = None,
        *,
        dstate: Any = None,
    ) -> Array:
        """Gradient of the last `forward`; overwrites `grads`, sets `dh` and `dc`.

        Parameters
        ----------
        dhs : array, shape (N, T, H) or (T, N, H) if `time_major`, or None
            Gradient with respect to `hs`; None is zeros.
        dhT, dcT : array, shape (N, H), optional
            Gradients with respect to the final state.
        dstate : tuple ``(dhT, dcT)``, optional
            The same in the form that every recurrent layer takes.

        Returns
        -------
        dxs : array, shape of `xs`

        Raises
        ------
        StaleCacheError
            If no ``forward(train=True)`` went before.
        """
        return self._backward(dhs, (dhT, dcT), dstate)

    def _kernel(self, direction: str) -> Any:
        k = self.kernels
        return k.lstm_forward if direction == "forward" else k.lstm_backward
