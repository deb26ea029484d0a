"""Fast twins for NumPy."""

from rnn_xp.kernels.cpu.embedding import EMBEDDING
from rnn_xp.kernels.cpu.gru import gru_backward, gru_forward
from rnn_xp.kernels.cpu.loss import LOSS
from rnn_xp.kernels.cpu.lstm import lstm_backward, lstm_forward
from rnn_xp.kernels.cpu.memory import keep_freed_memory
from rnn_xp.kernels.cpu.rnn import rnn_backward, rnn_forward
from rnn_xp.kernels.cpu.updates import UPDATES
from rnn_xp.kernels.table import FastKernels

keep_freed_memory()

_BOTH = frozenset({"float32", "float64"})

RNN = FastKernels({"rnn_forward": rnn_forward, "rnn_backward": rnn_backward}, _BOTH)
LSTM = FastKernels({"lstm_forward": lstm_forward, "lstm_backward": lstm_backward}, _BOTH)
GRU = FastKernels({"gru_forward": gru_forward, "gru_backward": gru_backward}, _BOTH)

FAST: list[FastKernels] = [RNN, LSTM, GRU, EMBEDDING, LOSS, UPDATES]
