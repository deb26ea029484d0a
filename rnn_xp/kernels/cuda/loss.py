"""CuPy: softmax, cross-entropy and gradient in one launch, in place over the logits."""

from typing import Any

import numpy as np

from rnn_xp._typing import Array
from rnn_xp.kernels.cuda.module import function
from rnn_xp.kernels.cuda.narrow import is_half, operand
from rnn_xp.kernels.cuda.product import product
from rnn_xp.kernels.table import FastKernels
from rnn_xp.kernels.workspace import Workspace

# As in cu/softmax_loss.cu.
THREADS = 256
RAISED = 2.0**15
# Bytes of logits that exist at a time: large enough that one product fills the device.
CHUNK_BYTES = 256 << 20


def softmax_cross_entropy(
    logits: Array, targets: Any, *, scale: Any = None
) -> tuple[Array, Array | None]:
    """See `rnn_xp.kernels.generic.loss.softmax_cross_entropy`."""
    import cupy

    work = logits.copy(order="C")
    losses = cupy.empty(work.shape[0], dtype=work.dtype)
    _in_place(work, None, targets, losses, scale)
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
    precision: str = "float32",
) -> tuple[Array, Array | None]:
    """See `rnn_xp.kernels.generic.loss.affine_softmax_cross_entropy`.

    In float16 and bfloat16 the gradient of the logits is rounded before `scale`, and `RAISED`; the
    sums are multiplied by what is missing.
    """
    import cupy

    work = Workspace() if workspace is None else workspace
    rows = operand(x, precision, work, "x bits")
    matrix = operand(W, precision, work, "W bits")
    matrix = matrix.T if transposed else matrix  # (H, V)
    M, V = x.shape[0], matrix.shape[1]
    losses = cupy.empty(M, dtype=x.dtype)
    dx = None if grads is None else cupy.empty(x.shape, dtype=x.dtype)
    limit = max(1, CHUNK_BYTES // (V * x.dtype.itemsize))
    chunk = -(-M // -(-M // limit))
    for start in range(0, M, chunk):
        stop = min(start + chunk, M)
        logits = work.get("logits", (chunk, V), x)[: stop - start]
        product(rows[start:stop], matrix, logits, precision)
        chosen, out = targets.rows(start, stop), losses[start:stop]
        if grads is None or dx is None:
            _in_place(logits, b, chosen, out, None)
            continue
        da, bits = logits, None
        if is_half(precision):
            da = bits = work.get("bits", (chunk, V), x, dtype="uint16")[: stop - start]
        _in_place(logits, b, chosen, out, scale, bits, precision)
        product(da, matrix.T, dx[start:stop], precision)
        dW = grads[0].T if transposed else grads[0]
        product(rows[start:stop].T, da, dW, precision, accumulate=start > 0)
        if b is not None and start == 0:
            cupy.sum(logits, axis=0, out=grads[1])
        elif b is not None:
            cupy.add(grads[1], cupy.sum(logits, axis=0), out=grads[1])
    if grads is not None and dx is not None and is_half(precision):
        missing = scale / RAISED
        cupy.multiply(dx, missing, out=dx)
        cupy.multiply(grads[0], missing, out=grads[0])
    return losses, dx


def _in_place(
    logits: Array,
    bias: Array | None,
    targets: Any,
    losses: Array,
    scale: Any,
    bits: Array | None = None,
    precision: str = "float32",
) -> None:
    """Turn `logits` into the gradient, and its bits, if there is a `scale`; write `losses`."""
    import cupy

    M, V = logits.shape
    real = logits.dtype.type
    on_device = isinstance(scale, cupy.ndarray)
    kernel = function("softmax_loss", "softmax_loss", logits.dtype.name, precision)
    kernel(
        (M,),
        (THREADS,),
        (
            logits,
            np.uintp(0) if bias is None else cupy.ascontiguousarray(bias),
            cupy.ascontiguousarray(targets.ids, dtype=np.int64),
            np.uintp(0) if targets.valid is None else cupy.ascontiguousarray(targets.valid),
            losses,
            np.int32(V),
            real(0.0 if scale is None or on_device else scale),
            scale.astype(logits.dtype) if on_device else np.uintp(0),
            np.uintp(0) if bits is None else bits,
            np.int32(scale is not None),
        ),
    )


LOSS = FastKernels(
    functions={
        "softmax_cross_entropy": softmax_cross_entropy,
        "affine_softmax_cross_entropy": affine_softmax_cross_entropy,
    },
    dtypes=frozenset({"float32", "float64"}),
    precise=frozenset({"affine_softmax_cross_entropy"}),
)
