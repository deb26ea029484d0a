"""Fast twins for CuPy: few launches, and none that waits for the device."""

from rnn_xp.kernels.cuda.dropout import DROPOUT
from rnn_xp.kernels.cuda.embedding import EMBEDDING
from rnn_xp.kernels.cuda.loss import LOSS
from rnn_xp.kernels.cuda.norm import NORM
from rnn_xp.kernels.cuda.updates import UPDATES
from rnn_xp.kernels.table import FastKernels

FAST: list[FastKernels] = [DROPOUT, EMBEDDING, LOSS, NORM, UPDATES]
