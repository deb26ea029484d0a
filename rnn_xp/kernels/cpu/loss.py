"""NumPy: softmax and cross-entropy, alone and fused with the affine product.

Two things make this faster than the generic form. The softmax runs in place over blocks of
rows that fit the second-level cache, so its passes do not go to memory. And the gradient
``scale * (exp / total - one_hot)`` is never formed: the row factor ``scale / total`` is moved
to the narrow sides of the products that follow (H wide instead of V).
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from rnn_xp._typing import Array
from rnn_xp.kernels.cpu.threads import run_side_by_side
from rnn_xp.kernels.table import FastKernels
from rnn_xp.kernels.workspace import Workspace

# Bytes of logits that exist at a time (at least MIN_ROWS rows), and bytes of a block of rows
# on which the passes of the softmax run: half a megabyte fits a second-level cache.
CHUNK_BYTES = 16 << 20
BLOCK_BYTES = 512 << 10
MIN_ROWS = 32

# (logits, ids, *, bias, gradient) -> (losses, totals): see `_exponentials`.
Exponentials = Callable[..., tuple[Array, Array]]


def softmax_cross_entropy(
    logits: Array, targets: Any, *, scale: Any = None
) -> tuple[Array, Array | None]:
    """See `rnn_xp.kernels.generic.loss.softmax_cross_entropy`."""
    return softmax_with(_exponentials, logits, targets, scale)


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
    return affine_softmax_with(_exponentials, x, W, b, targets, transposed, grads, scale, workspace)


def softmax_with(
    exponentials: Exponentials, logits: Array, targets: Any, scale: Any
) -> tuple[Array, Array | None]:
    """`softmax_cross_entropy` on any passes that do what `_exponentials` does."""
    work = np.array(logits, order="C")
    losses, totals = exponentials(work, targets.ids, bias=None, gradient=scale is not None)
    _zero_ignored(targets.valid, losses, work)
    if scale is None:
        return losses, None
    work *= _row_factors(totals, targets.valid, scale)[:, None]
    return losses, work


def affine_softmax_with(
    exponentials: Exponentials,
    x: Array,
    W: Array,
    b: Array | None,
    targets: Any,
    transposed: bool,
    grads: list[Array] | None,
    scale: Any,
    workspace: Any,
) -> tuple[Array, Array | None]:
    """`affine_softmax_cross_entropy` on any passes that do what `_exponentials` does."""
    work = Workspace() if workspace is None else workspace
    matrix = W.T if transposed else W  # (H, V)
    M, V = x.shape[0], matrix.shape[1]
    losses = np.empty(M, dtype=x.dtype)
    dx = None if grads is None else np.empty((M, x.shape[1]), dtype=x.dtype)
    chunk_rows = _chunk_rows(M, V * x.dtype.itemsize)
    for start in range(0, M, chunk_rows):
        stop = min(start + chunk_rows, M)
        rows = x[start:stop]
        logits = work.get("logits", (chunk_rows, V), x)[: stop - start]
        np.matmul(rows, matrix, out=logits)
        chosen = targets.rows(start, stop)
        losses[start:stop], totals = exponentials(
            logits, chosen.ids, bias=b, gradient=grads is not None
        )
        if grads is None or dx is None:
            continue
        # From here on `logits` holds total * (softmax - one_hot); the factor that is
        # missing goes to the sides that are H wide.
        factors = _row_factors(totals, chosen.valid, scale)
        scaled = np.multiply(rows, factors[:, None], out=work.get("rows", rows.shape, x))
        _zero_ignored(chosen.valid, logits, scaled)
        np.matmul(logits, matrix.T, out=dx[start:stop])
        dx[start:stop] *= factors[:, None]
        product = (logits.T, scaled) if transposed else (scaled.T, logits)
        _accumulate(grads[0], product, first=start == 0, work=work)
        if b is not None:
            # db = sum of the rows of dlogits
            db = factors @ logits
            grads[1][...] = db if start == 0 else grads[1] + db
    _zero_ignored(targets.valid, losses)
    return losses, dx


def _zero_ignored(valid: Array | None, *arrays: Array) -> None:
    """Zero the rows that do not count, even where they are NaN."""
    if valid is not None:
        for array in arrays:
            array[~valid] = 0.0


def _chunk_rows(M: int, row_bytes: int) -> int:
    """Rows of a chunk: as few chunks as the limit allows, of even size."""
    limit = max(MIN_ROWS, CHUNK_BYTES // row_bytes)
    chunks = -(-M // limit)
    return -(-M // chunks)


def _exponentials(
    logits: Array, ids: Array, *, bias: Array | None, gradient: bool
) -> tuple[Array, Array]:
    """Turn logits (without `bias`) into exponentials, in place; losses and row sums.

    With `gradient` the row sum is subtracted at the target, which leaves
    ``total * (softmax - one_hot)``.
    """
    M, V = logits.shape
    losses = np.empty(M, dtype=logits.dtype)
    totals = np.empty(M, dtype=logits.dtype)
    block = max(1, BLOCK_BYTES // (V * logits.dtype.itemsize))
    numbers = np.arange(min(block, M))

    def run(start: int) -> None:
        a = logits[start : start + block]
        rows, columns = numbers[: len(a)], ids[start : start + block]
        total = totals[start : start + block]
        # Infinite scores shall come out as a loss of NaN, quietly: the training loop sees it.
        with np.errstate(invalid="ignore"):
            if bias is not None:
                a += bias
            a -= a.max(axis=1, keepdims=True)
            picked = a[rows, columns]
            np.exp(a, out=a)
            np.sum(a, axis=1, out=total)
            np.subtract(np.log(total), picked, out=losses[start : start + block])
            if gradient:
                a[rows, columns] -= total

    run_side_by_side(run, range(0, M, block))
    return losses, totals


def _row_factors(totals: Array, valid: Array | None, scale: Any) -> Array:
    factors = np.asarray(scale / totals, dtype=totals.dtype)
    _zero_ignored(valid, factors)
    return factors


def _accumulate(grad: Array, product: tuple[Array, Array], *, first: bool, work: Workspace) -> None:
    """``grad = left @ right`` for the first chunk, ``grad += left @ right`` after it."""
    left, right = product
    if first and grad.flags.c_contiguous:
        np.matmul(left, right, out=grad)
    elif first:
        grad[...] = left @ right
    else:
        # NumPy has no product that accumulates.
        grad += np.matmul(left, right, out=work.get("dW", grad.shape, grad))


LOSS = FastKernels(
    functions={
        "softmax_cross_entropy": softmax_cross_entropy,
        "affine_softmax_cross_entropy": affine_softmax_cross_entropy,
    },
    dtypes=frozenset({"float32", "float64"}),
)
