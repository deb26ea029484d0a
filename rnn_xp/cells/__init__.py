"""The textbook: one time step of each cell, forward and backward. Read these first.

`RNNCell`, `LSTMCell` and `GRUCell` are the classic three, with fast kernels behind the layers
`TimeRNN`, `TimeLSTM` and `TimeGRU`. The others, and wrappers around any cell, run in
`rnn_xp.layers.TimeCell`, which runs the step as it is written.
"""

from rnn_xp.cells.activations import Activation, get_activation, sigmoid
from rnn_xp.cells.base import Cell, cell_for_call
from rnn_xp.cells.dropout import DropoutCell
from rnn_xp.cells.gru import GRUCell
from rnn_xp.cells.layer_norm import LayerNormRNNCell
from rnn_xp.cells.layer_norm_gru import LayerNormGRUCell
from rnn_xp.cells.layer_norm_lstm import LayerNormLSTMCell
from rnn_xp.cells.layer_norm_lstmp import LayerNormLSTMPCell
from rnn_xp.cells.lstm import LSTMCell
from rnn_xp.cells.lstmp import LSTMPCell
from rnn_xp.cells.residual import ResidualCell
from rnn_xp.cells.rnn import RNNCell
from rnn_xp.cells.stacked import StackedCell
from rnn_xp.cells.states import StatesAsOutputCell
from rnn_xp.cells.wrapper import WrapperCell, random_cells
from rnn_xp.cells.zoneout import ZoneoutCell

__all__ = [
    "Activation",
    "Cell",
    "DropoutCell",
    "GRUCell",
    "LSTMCell",
    "LSTMPCell",
    "LayerNormGRUCell",
    "LayerNormLSTMCell",
    "LayerNormLSTMPCell",
    "LayerNormRNNCell",
    "RNNCell",
    "ResidualCell",
    "StackedCell",
    "StatesAsOutputCell",
    "WrapperCell",
    "ZoneoutCell",
    "cell_for_call",
    "get_activation",
    "random_cells",
    "sigmoid",
]
