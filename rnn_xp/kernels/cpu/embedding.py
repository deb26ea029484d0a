"""NumPy: embedding lookup and its gradient."""

from typing import Any

import numpy as np

from rnn_xp._typing import Array
from rnn_xp.kernels.table import FastKernels

# Up to this many multiply-adds the product with the one-hot matrix is the fastest way to
# add rows up: one call, where the row loop below makes one for each repeated token.
ONE_HOT_WORK = 30_000_000


def embedding_forward(W: Array, ids: Any) -> Array:
    """See `rnn_xp.kernels.generic.embedding.embedding_forward`."""
    return W[ids.device]


def embedding_backward(dout: Array, ids: Any, dW: Array, *, accumulate: bool = False) -> None:
    """See `rnn_xp.kernels.generic.embedding.embedding_backward`."""
    V, D = dW.shape
    M = dout.shape[0]
    if V * M * D <= ONE_HOT_WORK:
        one_hot = np.zeros((V, M), dtype=dout.dtype)
        one_hot[ids.host, np.arange(M)] = 1.0
        if accumulate:
            dW += one_hot @ dout
        else:
            np.matmul(one_hot, dout, out=dW)
        return
    # The first occurrence of each id in one gather, each repetition by a row addition: for
    # D of 100 and more as fast as a sorted reduction, and it needs no sorted copy of dout.
    order, starts, unique = ids.sorted_runs()
    if accumulate:
        dW[unique] += dout[order[starts]]
    else:
        dW.fill(0.0)
        dW[unique] = dout[order[starts]]
    repeated = np.ones(M, dtype=bool)
    repeated[starts] = False
    places = order[repeated]
    for place, row in zip(places.tolist(), ids.host[places].tolist(), strict=True):
        dW[row] += dout[place]


EMBEDDING = FastKernels(
    functions={
        "embedding_forward": embedding_forward,
        "embedding_backward": embedding_backward,
    },
    dtypes=frozenset({"float32", "float64"}),
)
