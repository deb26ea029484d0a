"""CuPy: embedding gradient from ids that were sorted on the host. Deterministic."""

from typing import Any

import numpy as np

from rnn_xp._typing import Array
from rnn_xp.kernels.cuda.module import function
from rnn_xp.kernels.generic import embedding as generic
from rnn_xp.kernels.table import FastKernels

THREADS = 128


def embedding_forward(W: Array, ids: Any) -> Array:
    """See `rnn_xp.kernels.generic.embedding.embedding_forward`."""
    return generic.embedding_forward(W, ids)


def embedding_backward(dout: Array, ids: Any, dW: Array, *, accumulate: bool = False) -> None:
    """See `rnn_xp.kernels.generic.embedding.embedding_backward`.

    Ids that came as a device array are not sorted on the host (that would stop the device);
    for them, and for a `dW` that is not C-contiguous, the generic form runs.
    """
    if ids.host is None or not dW.flags.c_contiguous:
        generic.embedding_backward(dout, ids, dW, accumulate=accumulate)
        return
    import cupy

    if not accumulate:
        dW.fill(0.0)
    if not len(ids.host):
        return  # a launch of no blocks is an error
    D = dW.shape[1]
    dtype = dW.dtype.name
    tiles = -(-D // THREADS)
    M, U = len(ids.host), len(ids.sorted_runs()[2])
    uploaded = ids.uploaded_runs()
    add = function("embedding", "embedding_backward", dtype)
    add(
        (U, tiles),
        (THREADS,),
        (
            cupy.ascontiguousarray(dout),
            uploaded[:M],
            uploaded[M : M + U + 1],
            uploaded[M + U + 1 :],
            dW,
            np.int32(D),
        ),
    )


EMBEDDING = FastKernels(
    functions={
        "embedding_forward": embedding_forward,
        "embedding_backward": embedding_backward,
    },
    dtypes=frozenset({"float32", "float64"}),
)
