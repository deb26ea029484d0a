"""What the compiled sequence kernels share: buffers, the mask, and a row of a step's gradient.

Layout. Everything is batch-major, (T, N, G*H) with H innermost: a pass of a step takes one
row of the batch at a time, all gates of it, while the row is in the first-level cache. The
loops over H are short functions of a few arrays each, because the compiler vectorises a loop
only if it can check at run time that its arrays do not overlap, and it gives up on many.

Pre-activations, activations and their gradients take turns in one buffer: the backward pass
overwrites what it has used, so a cache serves one backward call.
"""

import numpy as np

from rnn_xp._typing import Array
from rnn_xp.kernels.compiled.jit import compiled, plain
from rnn_xp.kernels.cpu.buffers import Run


def project(run: Run, columns: int | None = None) -> Array:
    """``x @ Wx`` for all steps, (T, N, columns), in the first of `columns` (default all)."""
    width = run.Wx.shape[1]
    a = run.buffer("a", run.T * run.N, columns or width)
    np.matmul(run.x, run.Wx, out=a[:, :width])
    return a.reshape(run.T, run.N, -1)


def counted_steps(run: Run, mask: Array | None) -> Array:
    """The mask as the kernels take it: (T, N), contiguous, of bool."""
    counts = np.ones((run.T, run.N), dtype=np.bool_)
    if mask is not None:
        counts[...] = mask
    return counts


def vector(run: Run, array: Array) -> Array:
    """`array`, copied if it is not plain."""
    return plain(array, lambda *shape: np.empty(shape, run.x.dtype))


def stack_of_states(run: Run, name: str, first: Array, keep: bool) -> Array:
    """Memory for the states before and after each step: all of them if `keep`, else two."""
    states = run.buffer(name, run.T + 1 if keep else 2, run.N, run.H)
    states[0] = first
    return states


def upstream(run: Run, dhs: Array | None) -> Array:
    """`dhs` as the kernels take it; one step of zeros stands for None."""
    if dhs is None:
        zeros = run.buffer("no_dhs", 1, run.N, run.H)
        zeros.fill(0.0)
        return zeros
    return plain(dhs, lambda *shape: run.buffer("dhs", *shape))


def final_gradient(run: Run, name: str, given: Array | None) -> Array:
    """Buffer (N, H) that starts as `given`, or as zeros."""
    held = run.buffer(name, run.N, run.H)
    held[...] = 0.0 if given is None else given
    return held


def consume(run: Run, where: str) -> None:
    """Refuse a stale cache, and make this one stale."""
    run.workspace.check(run.generation, where)
    run.workspace.renew()


def products_transposed(run: Run, name: str) -> tuple[Array, Array]:
    """Buffer for ``da @ Wh.T``: as (N, H) for the product, as (H, N or more) for the kernels.

    Why in this order of memory: see `Run.product_buffer`.
    """
    # Rows a multiple of 256 bytes apart would all fall into the same few cache sets.
    columns = run.buffer(name, run.H, run.N + (8 if run.N % 64 == 0 else 0))
    return columns[:, : run.N].T, columns


def first_gradient(counts: Array, product: Array, dh: Array) -> Array:
    """Gradient of the initial state: `product`, but `dh` where the first step is masked."""
    return np.where(counts[0][:, None], product, dh)


@compiled
def arriving(columns: Array, dh: Array, counts: Array, t: int, n: int) -> None:
    """Let ``dh[n]`` be what reaches row n of h after step t from the later steps.

    It is a column of the product, except after the last step and before a masked one: then
    ``dh[n]`` holds it already.
    """
    if t + 1 < counts.shape[0] and counts[t + 1, n]:
        row = dh[n]
        for j in range(row.size):
            row[j] = columns[j, n]


@compiled
def add_row(source: Array, row: Array) -> None:
    """``row += source``."""
    for j in range(row.size):
        row[j] += source[j]
