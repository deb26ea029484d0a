"""Softmax and cross-entropy, compiled: two passes over a row of logits instead of five.

The products, the chunks of rows and the row factors are those of `rnn_xp.kernels.cpu.loss`;
compiled is what runs on a block of logits between the products.
"""

import math
from typing import Any

import numpy as np

from rnn_xp._typing import Array
from rnn_xp.kernels.compiled.functions import exp_of_negative
from rnn_xp.kernels.compiled.jit import compiled, compiled_sum, plain
from rnn_xp.kernels.cpu.loss import affine_softmax_with, softmax_with
from rnn_xp.kernels.cpu.threads import run_side_by_side
from rnn_xp.kernels.table import FastKernels
from rnn_xp.numba_probe import COMPILED_DTYPES

# Bytes of logits that one call of the compiled function takes: long against the cost of a
# call (some microseconds), short enough to share the work of a chunk between threads evenly.
BLOCK_BYTES = 512 << 10
_SIGN, _REST = np.int32(31), np.int32(0x7FFFFFFF)


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


def _exponentials(
    logits: Array, ids: Array, *, bias: Array | None, gradient: bool
) -> tuple[Array, Array]:
    """Compiled twin of `rnn_xp.kernels.cpu.loss._exponentials`."""
    M, V = logits.shape
    losses = np.empty(M, dtype=logits.dtype)
    totals = np.empty(M, dtype=logits.dtype)
    targets = plain(np.asarray(ids, dtype=np.int64), np.empty)
    added = np.zeros(V, logits.dtype) if bias is None else bias
    added = plain(added, lambda *shape: np.empty(shape, logits.dtype))
    block = max(1, BLOCK_BYTES // (V * logits.dtype.itemsize))

    def run(start: int) -> None:
        _rows(logits, added, targets, losses, totals, gradient, start, min(start + block, M))

    run_side_by_side(run, range(0, M, block))
    return losses, totals


@compiled
def _rows(
    logits: Array,
    bias: Array,
    ids: Array,
    losses: Array,
    totals: Array,
    gradient: bool,
    start: int,
    stop: int,
) -> None:
    """All there is to do on the rows from `start` to `stop`."""
    for m in range(start, stop):
        row = logits[m]
        highest = _largest(row, bias)
        picked = row[ids[m]] + bias[ids[m]] - highest
        total = _exp_in_place(row, bias, highest)
        totals[m] = total
        losses[m] = math.log(total) - picked
        if gradient:
            row[ids[m]] -= total


@compiled
def _largest(row: Array, bias: Array) -> Any:
    """Largest of ``row + bias``; one NaN or another if there is any with a positive sign.

    The bits of float32 numbers of one sign are ordered as the numbers are. Made so for both
    signs, the maximum is one of integers, which needs no permission to be found in any order;
    with floats that permission would be one to ignore NaN.
    """
    best = np.int32(-0x80000000)
    for j in range(row.size):
        bits = np.float32(row[j] + bias[j]).view(np.int32)
        best = max(best, np.int32(bits ^ ((bits >> _SIGN) & _REST)))
    return np.int32(best ^ ((best >> _SIGN) & _REST)).view(np.float32)


@compiled_sum
def _exp_in_place(row: Array, bias: Array, highest: Any) -> Any:
    """``row = exp(row + bias - highest)``, and its sum."""
    total = np.float32(0.0)
    for j in range(row.size):
        value = exp_of_negative((row[j] + bias[j]) - highest)
        row[j] = value
        total += value
    return total


LOSS = FastKernels(
    functions={
        "softmax_cross_entropy": softmax_cross_entropy,
        "affine_softmax_cross_entropy": affine_softmax_cross_entropy,
    },
    dtypes=COMPILED_DTYPES,
    compiled=True,
)
