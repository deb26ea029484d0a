"""`SimpleRNNCell` and `SimpleRNN`, as in keras/src/layers/rnn/simple_rnn.py."""

from typing import Any

from rnn_xp.cells import RNNCell
from rnn_xp.compat.keras.cell import Cell
from rnn_xp.compat.keras.cell_config import arguments_of
from rnn_xp.compat.keras.cell_layer import CellLayer
from rnn_xp.compat.keras.masked_cells import MaskedSimpleRNNCell
from rnn_xp.layers import TimeRNN


class SimpleRNNCell(Cell):
    """One step of the simple recurrent net, ``h' = activation(x kernel + h recurrent + bias)``.

    Parameters
    ----------
    units : int
        H.
    activation : str, Activation, callable or None
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
    **kwargs
        As for `rnn_xp.compat.keras.layer.Layer`: `name`, `trainable`, `dtype`, `backend`.
    """

    gates = 1
    core_class = RNNCell
    masked_class = MaskedSimpleRNNCell
    time_layer_class = TimeRNN
    drops_all = True

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        kernel_regularizer: None = None,
        recurrent_regularizer: None = None,
        bias_regularizer: None = None,
        kernel_constraint: None = None,
        recurrent_constraint: None = None,
        bias_constraint: None = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        seed: int | None = None,
        **kwargs: Any,
    ):
        super().__init__(arguments_of(locals()), kwargs)


class SimpleRNN(CellLayer):
    """The simple recurrent layer: `SimpleRNNCell` over a sequence.

    Parameters
    ----------
    units, ..., recurrent_dropout
        As for `SimpleRNNCell`.
    return_sequences, return_state, go_backwards, stateful, unroll : bool
        As for `rnn_xp.compat.keras.RNN`.
    seed : int, optional
    **kwargs
        `zero_output_for_mask`, `name`, `trainable`, `dtype`, `backend`.
    """

    cell_class = SimpleRNNCell

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        kernel_regularizer: None = None,
        recurrent_regularizer: None = None,
        bias_regularizer: None = None,
        activity_regularizer: None = None,
        kernel_constraint: None = None,
        recurrent_constraint: None = None,
        bias_constraint: None = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        seed: int | None = None,
        **kwargs: Any,
    ):
        super().__init__(arguments_of(locals()), kwargs)
