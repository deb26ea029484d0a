"""`LSTMCell` and `LSTM`, as in keras/src/layers/rnn/lstm.py."""

from typing import Any

from rnn_xp import cells
from rnn_xp.backend import to_host
from rnn_xp.compat.keras.cell import Cell
from rnn_xp.compat.keras.cell_config import arguments_of
from rnn_xp.compat.keras.cell_layer import CellLayer
from rnn_xp.compat.keras.initializers import Ones
from rnn_xp.compat.keras.masked_cells import MaskedLSTMCell
from rnn_xp.layers import TimeLSTM
from rnn_xp.namespace import namespace_of


class LSTMCell(Cell):
    """One step of the LSTM; gate blocks ``i, f, c, o``, state ``[h, c]``.

    Parameters
    ----------
    units : int
        H.
    activation, recurrent_activation : str, Activation, callable or None
        None is linear.
    use_bias : bool
    kernel_initializer, recurrent_initializer, bias_initializer : str, Initializer or callable
        See `rnn_xp.compat.keras.initializers.get`.
    kernel_regularizer, ..., bias_constraint : None
        Anything else is refused: they belong to the training loop here.
    dropout, recurrent_dropout : float
        Shares of the inputs, and of the state in the recurrent product, dropped in training.
        A mask is drawn for each row and holds for all steps of a call.
    seed : int, optional
        Of the dropout masks.
    unit_forget_bias : bool
        Whether the forget block of the bias starts as ones; `bias_initializer` fills the
        other blocks, as Keras does it (its documentation speaks of zeros).
    implementation : {2, 1}
        1 draws a dropout mask for each gate; a `recurrent_dropout` sets it to 1.
    **kwargs
        As for `rnn_xp.compat.keras.layer.Layer`: `name`, `trainable`, `dtype`, `backend`.
    """

    gates = 4
    parts = 2
    core_class = cells.LSTMCell
    masked_class = MaskedLSTMCell
    time_layer_class = TimeLSTM

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        recurrent_activation: Any = "sigmoid",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        unit_forget_bias: bool = True,
        kernel_regularizer: None = None,
        recurrent_regularizer: None = None,
        bias_regularizer: None = None,
        kernel_constraint: None = None,
        recurrent_constraint: None = None,
        bias_constraint: None = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        seed: int | None = None,
        *,
        implementation: int = 2,
        **kwargs: Any,
    ):
        super().__init__(arguments_of(locals()), kwargs)
        self.unit_forget_bias = bool(unit_forget_bias)

    def _initial_bias(self, shape: tuple[int, ...], dtype: Any = None) -> Any:
        if not self.unit_forget_bias:
            return super()._initial_bias(shape, dtype)
        H = self.units
        blocks = [
            to_host(self.bias_initializer((H,), dtype=dtype)),
            Ones()((H,)),
            to_host(self.bias_initializer((2 * H,), dtype=dtype)),
        ]
        return namespace_of(blocks[1]).concat(blocks)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments, in Keras's form."""
        return {**super().get_config(), "unit_forget_bias": self.unit_forget_bias}


class LSTM(CellLayer):
    """The LSTM layer: `LSTMCell` over a sequence. The states are ``[h, c]``.

    Parameters
    ----------
    units, ..., seed
        As for `LSTMCell`.
    return_sequences, return_state, go_backwards, stateful, unroll : bool
        As for `rnn_xp.compat.keras.RNN`.
    use_cudnn : {"auto", False}
        Accepted and without effect.
    **kwargs
        `zero_output_for_mask`, `implementation`, `name`, `trainable`, `dtype`, `backend`.
    """

    cell_class = LSTMCell

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        recurrent_activation: Any = "sigmoid",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        unit_forget_bias: bool = True,
        kernel_regularizer: None = None,
        recurrent_regularizer: None = None,
        bias_regularizer: None = None,
        activity_regularizer: None = None,
        kernel_constraint: None = None,
        recurrent_constraint: None = None,
        bias_constraint: None = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        seed: int | None = None,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        use_cudnn: Any = "auto",
        **kwargs: Any,
    ):
        super().__init__(arguments_of(locals()), kwargs)
