"""Fast twins for CuPy: few launches, and none that waits for the device."""

from rnn_xp.kernels.cuda.dropout import DROPOUT
from rnn_xp.kernels.cuda.embedding import EMBEDDING
from rnn_xp.kernels.cuda.gru import GRU
from rnn_xp.kernels.cuda.loss import LOSS
from rnn_xp.kernels.cuda.loss_scale import LOSS_SCALE
from rnn_xp.kernels.cuda.lstm import LSTM
from rnn_xp.kernels.cuda.norm import NORM
from rnn_xp.kernels.cuda.rnn import RNN
from rnn_xp.kernels.cuda.updates import UPDATES
from rnn_xp.kernels.table import FastKernels

FAST: list[FastKernels] = [RNN, LSTM, GRU, DROPOUT, EMBEDDING, LOSS, LOSS_SCALE, NORM, UPDATES]
