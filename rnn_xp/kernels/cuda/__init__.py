"""Fast twins for CuPy: so far only what the array API cannot express well."""

from rnn_xp.kernels.cuda.embedding import EMBEDDING
from rnn_xp.kernels.cuda.loss import LOSS
from rnn_xp.kernels.table import FastKernels

FAST: list[FastKernels] = [EMBEDDING, LOSS]
