"""The textbook: one time step of each cell, forward and backward. Read these first."""

from rnn_xp.cells.activations import Activation, sigmoid
from rnn_xp.cells.base import Cell
from rnn_xp.cells.gru import GRUCell
from rnn_xp.cells.lstm import LSTMCell
from rnn_xp.cells.rnn import RNNCell

__all__ = ["Activation", "Cell", "GRUCell", "LSTMCell", "RNNCell", "sigmoid"]
