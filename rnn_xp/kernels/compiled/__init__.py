"""Twins for NumPy arrays of float32, compiled by Numba; importing this imports Numba.

The matrix products stay NumPy's. What is compiled is everything between them: the gates of
one step in one pass, the softmax of a block of rows in two, an optimiser's update in one.

Only what was measured to win is here. Not the simple tanh layer, whose step is one sum and
one tanh, which NumPy does as fast (0.90 to 1.05 times); not the global norm (0.1 to 0.8: BLAS's
dot product is as fast as the memory); not the embedding, which is copies of rows.
"""

from rnn_xp.kernels.compiled.gru import gru_backward, gru_forward
from rnn_xp.kernels.compiled.loss import LOSS
from rnn_xp.kernels.compiled.lstm import lstm_backward, lstm_forward
from rnn_xp.kernels.compiled.updates import UPDATES
from rnn_xp.kernels.table import FastKernels
from rnn_xp.numba_probe import COMPILED_DTYPES

SEQUENCES = FastKernels(
    functions={
        "lstm_forward": lstm_forward,
        "lstm_backward": lstm_backward,
        "gru_forward": gru_forward,
        "gru_backward": gru_backward,
    },
    dtypes=COMPILED_DTYPES,
    compiled=True,
)

FAST: list[FastKernels] = [SEQUENCES, LOSS, UPDATES]
