"""The functions, under the name of ``tf.nn``, and the cells as ``nn.rnn_cell``."""

from rnn_xp.compat.tf1 import rnn_cell
from rnn_xp.compat.tf1.bidirectional import bidirectional_dynamic_rnn, static_bidirectional_rnn
from rnn_xp.compat.tf1.dynamic import dynamic_rnn, static_rnn
from rnn_xp.compat.tf1.raw import raw_rnn

__all__ = [
    "bidirectional_dynamic_rnn",
    "dynamic_rnn",
    "raw_rnn",
    "rnn_cell",
    "static_bidirectional_rnn",
    "static_rnn",
]
