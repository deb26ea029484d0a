"""Layers over time with hand-written backward passes, and the book's one-step layers.

Every recurrent layer, net and wrapper has one contract::

    ys = layer.forward(xs, lengths=None, mask=None, train=True)
    dxs = layer.backward(dys, dstate=None)  # gradients into the output and the final state
    layer.state, layer.dstate               # where the last call ended; gradient where it began
    layer.set_state(state), layer.reset_state(), layer.zero_state(N), layer.stateful

A state is a tuple of arrays (N, H) (``(h,)``, ``(h, c)``), what its cell says for `TimeCell`, and
for a net a list with an entry for each layer. A `backward` that is refused uses nothing up.
"""

from rnn_xp.layers.affine import TimeAffine
from rnn_xp.layers.base import Layer
from rnn_xp.layers.bidirectional import Bidirectional
from rnn_xp.layers.dropout import TimeDropout
from rnn_xp.layers.embedding import TimeEmbedding
from rnn_xp.layers.initial_state import TrainableState
from rnn_xp.layers.loss import TimeAffineSoftmaxWithLoss, TimeSoftmaxWithLoss
from rnn_xp.layers.resets import TimeReset
from rnn_xp.layers.residual import Residual
from rnn_xp.layers.reverse import Reversed
from rnn_xp.layers.stack import Stack
from rnn_xp.layers.step import GRU, LSTM, RNN
from rnn_xp.layers.time_cell import TimeCell
from rnn_xp.layers.time_gru import TimeGRU
from rnn_xp.layers.time_lstm import TimeLSTM
from rnn_xp.layers.time_rnn import TimeRNN
from rnn_xp.layers.weight_drop import WeightDrop

__all__ = [
    "GRU",
    "LSTM",
    "RNN",
    "Bidirectional",
    "Layer",
    "Residual",
    "Reversed",
    "Stack",
    "TimeAffine",
    "TimeAffineSoftmaxWithLoss",
    "TimeCell",
    "TimeDropout",
    "TimeEmbedding",
    "TimeGRU",
    "TimeLSTM",
    "TimeRNN",
    "TimeReset",
    "TimeSoftmaxWithLoss",
    "TrainableState",
    "WeightDrop",
]
