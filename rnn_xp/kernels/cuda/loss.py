"""CuPy: softmax, cross-entropy and gradient in one launch, in place over the logits."""

from typing import Any

import numpy as np

from rnn_xp._typing import Array
from rnn_xp.kernels.cuda.module import function
from rnn_xp.kernels.table import FastKernels
from rnn_xp.kernels.workspace import Workspace

# As in cu/softmax_loss.cu.
THREADS = 256
# Bytes of logits that exist at a time: large enough that one product fills the device.
CHUNK_BYTES = 256 << 20


def softmax_cross_entropy(
    logits: Array, targets: Any, *, scale: Any = None
) -> tuple[Array, Array | None]:
    """See `rnn_xp.kernels.generic.loss.softmax_cross_entropy`."""
    work = logits.copy(order="C")
    losses = _in_place(work, None, targets, scale)
    return losses, None if scale is None else work


def affine_softmax_cross_entropy(
    x: Array,
    W: Array,
    b: Array | None,
    targets: Any,
    *,
    transposed: bool = False,
    grads: list[Array] | None = None,
    scale: Any = None,
    workspace: Any = None,
) -> tuple[Array, Array | None]:
    """See `rnn_xp.kernels.generic.loss.affine_softmax_cross_entropy`."""
    import cupy

    work = Workspace() if workspace is None else workspace
    matrix = W.T if transposed else W  # (H, V)
    M, V = x.shape[0], matrix.shape[1]
    losses = cupy.empty(M, dtype=x.dtype)
    dx = None if grads is None else cupy.empty((M, x.shape[1]), dtype=x.dtype)
    limit = max(1, CHUNK_BYTES // (V * x.dtype.itemsize))
    chunk = -(-M // -(-M // limit))
    for start in range(0, M, chunk):
        stop = min(start + chunk, M)
        rows = x[start:stop]
        logits = work.get("logits", (chunk, V), x)[: stop - start]
        cupy.matmul(rows, matrix, out=logits)
        losses[start:stop] = _in_place(
            logits, b, targets.rows(start, stop), None if grads is None else scale
        )
        if grads is None or dx is None:
            continue
        cupy.matmul(logits, matrix.T, out=dx[start:stop])
        dW = logits.T @ rows if transposed else rows.T @ logits
        grads[0][...] = dW if start == 0 else grads[0] + dW
        if b is not None:
            db = logits.sum(axis=0)
            grads[1][...] = db if start == 0 else grads[1] + db
    return losses, dx


def _in_place(logits: Array, bias: Array | None, targets: Any, scale: Any) -> Array:
    """Turn `logits` into the gradient (if there is a `scale`); return the losses."""
    import cupy

    M, V = logits.shape
    real = logits.dtype.type
    losses = cupy.empty(M, dtype=logits.dtype)
    on_device = isinstance(scale, cupy.ndarray)
    kernel = function("softmax_loss", "softmax_loss", logits.dtype.name)
    kernel(
        (M,),
        (THREADS,),
        (
            logits,
            np.uintp(0) if bias is None else bias,
            cupy.ascontiguousarray(targets.ids, dtype=np.int64),
            np.uintp(0) if targets.valid is None else cupy.ascontiguousarray(targets.valid),
            losses,
            np.int32(V),
            real(0.0 if scale is None or on_device else scale),
            scale.astype(logits.dtype) if on_device else np.uintp(0),
            np.int32(scale is not None),
        ),
    )
    return losses


LOSS = FastKernels(
    functions={
        "softmax_cross_entropy": softmax_cross_entropy,
        "affine_softmax_cross_entropy": affine_softmax_cross_entropy,
    },
    dtypes=frozenset({"float32", "float64"}),
)
