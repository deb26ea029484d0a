"""The textbook: one time step of each cell, forward and backward. Read these first.

Begin with `RNNCell`, `LSTMCell` and `GRUCell`, the classic three, with fast kernels behind the
layers `TimeRNN`, `TimeLSTM` and `TimeGRU`. Then `LSTMPCell` (peepholes, projection, clipping) and
the cells with layer norm; then the cells around cells. Those run in `rnn_xp.layers.TimeCell`,
which runs the step as it is written.

In all of them x is the input, h and c are the state, and a prime marks the new one (``h_next`` in
the code); ``a`` is what goes into the nonlinearities, ``*`` is element by element, and ``x Wx`` is
a product of matrices. N is the number of rows of a batch, D the width of x, H that of the state.
The gradient of the loss with respect to ``a`` is ``da``.
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
