"""The cells, under the name of ``tf.nn.rnn_cell``."""

from rnn_xp.compat.tf1.base import RNNCell
from rnn_xp.compat.tf1.basic import BasicRNNCell, GRUCell
from rnn_xp.compat.tf1.dropout import DropoutWrapper
from rnn_xp.compat.tf1.lstm import BasicLSTMCell, LSTMCell
from rnn_xp.compat.tf1.multi import MultiRNNCell
from rnn_xp.compat.tf1.structure import LSTMStateTuple
from rnn_xp.compat.tf1.wrapper import ResidualWrapper

__all__ = [
    "BasicLSTMCell",
    "BasicRNNCell",
    "DropoutWrapper",
    "GRUCell",
    "LSTMCell",
    "LSTMStateTuple",
    "MultiRNNCell",
    "RNNCell",
    "ResidualWrapper",
]
