"""Keras 3's recurrent layers and cells: its names, arguments, defaults and weights.

They run on this package's cells and layers, on any backend, and have a ``backward`` each, since
there is no automatic differentiation here::

    layer = LSTM(units=8, return_sequences=True)
    ys = layer(xs, mask=mask)          # (N, T, D) -> (N, T, 8)
    dxs = layer.backward(dys)          # overwrites layer.grads, in the order of layer.weights

Where Keras's backends disagree, its TensorFlow and torch backends are followed: see
`RNN` on masked steps. Weights and configurations go both ways between Keras and this facade.
Different on purpose: inputs of another dtype or array library are errors; regularisers,
constraints and ``use_cudnn=True`` are refused; names are not made unique; a seed gives other
random numbers than Keras's; configurations also hold what Keras's forget (the gain of
``Identity``, the seed of ``SimpleRNN``).
"""

from rnn_xp.compat.keras import activations, initializers
from rnn_xp.compat.keras.bidirectional import Bidirectional
from rnn_xp.compat.keras.gru import GRU, GRUCell
from rnn_xp.compat.keras.lstm import LSTM, LSTMCell
from rnn_xp.compat.keras.rnn import RNN
from rnn_xp.compat.keras.simple_rnn import SimpleRNN, SimpleRNNCell
from rnn_xp.compat.keras.stacked import StackedRNNCells
from rnn_xp.compat.keras.time_distributed import TimeDistributed

LAYERS = (
    "GRU",
    "LSTM",
    "RNN",
    "Bidirectional",
    "GRUCell",
    "LSTMCell",
    "SimpleRNN",
    "SimpleRNNCell",
    "StackedRNNCells",
    "TimeDistributed",
)

__all__ = [
    "GRU",
    "LSTM",
    "RNN",
    "Bidirectional",
    "GRUCell",
    "LSTMCell",
    "SimpleRNN",
    "SimpleRNNCell",
    "StackedRNNCells",
    "TimeDistributed",
    "activations",
    "initializers",
]
