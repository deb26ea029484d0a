"""`TimeGRU`: the GRU layer over time, in both of its variants."""

from typing import Any

from rnn_xp._typing import Array
from rnn_xp.cells import GRUCell
from rnn_xp.layers.recurrent import RecurrentLayer
from rnn_xp.layers.time_rnn import TimeRNN


class TimeGRU(RecurrentLayer):
    """Gated recurrent unit layer, gate blocks ``r, z, n``; G = 3.

    The step is `rnn_xp.cells.GRUCell`. ``b`` of shape (2, 3H) means that the reset gate
    acts after the recurrent product (PyTorch, Keras' default), (3H,) that it acts before
    (the paper, TensorFlow 1, "Deep Learning from Scratch 2"). The two are different
    functions.

    Parameters
    ----------
    Wx : array, shape (D, 3H)
        Input weights, float32 or float64; the layer adopts the array, it makes no copy.
    Wh : array, shape (H, 3H)
        Recurrent weights.
    b : array, shape (2, 3H) or (3H,)
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

    gates = 3
    products = ("gru_forward", "gru_backward")

    @classmethod
    def _bias_shapes(cls, Wh: Array) -> tuple[tuple[int, ...], ...]:
        return GRUCell.bias_shapes(Wh)

    @classmethod
    def _initial_bias(cls, H: int, reset_after: bool = True) -> Any:
        zeros = [0.0] * (3 * H)
        return [zeros, zeros] if reset_after else zeros

    @property
    def reset_after(self) -> bool:
        """Whether the reset gate acts after the recurrent product."""
        return len(self.params[2].shape) == 2

    set_state = TimeRNN.set_state
    backward = TimeRNN.backward

    def _kernel(self, direction: str) -> Any:
        k = self.kernels
        return k.gru_forward if direction == "forward" else k.gru_backward
