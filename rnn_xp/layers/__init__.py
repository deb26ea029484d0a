"""Layers over time with hand-written backward passes, and the book's one-step layers."""

from rnn_xp.layers.affine import TimeAffine
from rnn_xp.layers.base import Layer
from rnn_xp.layers.bidirectional import Bidirectional
from rnn_xp.layers.dropout import TimeDropout
from rnn_xp.layers.embedding import TimeEmbedding
from rnn_xp.layers.loss import TimeAffineSoftmaxWithLoss, TimeSoftmaxWithLoss
from rnn_xp.layers.stack import Stack
from rnn_xp.layers.step import GRU, LSTM, RNN
from rnn_xp.layers.time_cell import TimeCell
from rnn_xp.layers.time_gru import TimeGRU
from rnn_xp.layers.time_lstm import TimeLSTM
from rnn_xp.layers.time_rnn import TimeRNN

__all__ = [
    "GRU",
    "LSTM",
    "RNN",
    "Bidirectional",
    "Layer",
    "Stack",
    "TimeAffine",
    "TimeAffineSoftmaxWithLoss",
    "TimeCell",
    "TimeDropout",
    "TimeEmbedding",
    "TimeGRU",
    "TimeLSTM",
    "TimeRNN",
    "TimeSoftmaxWithLoss",
]
