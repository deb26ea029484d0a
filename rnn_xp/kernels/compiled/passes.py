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


def gradient_product(run: Run, name: str) -> tuple[Array, Array, bool]:
    """Buffer (N, H) for a product with ``Wh.T``, and how the kernels take it.

    That is the buffer itself, and False; or where the faster order of memory is the other one
    (see `Run.product_buffer`) the same as (H, N or more), and True.
    """
    product = run.product_buffer(name, run.H)
    if product.flags.c_contiguous:
        return product, product, False
    return product, product.base, True


def first_gradient(counts: Array, product: Array, dh: Array) -> Array:
    """Gradient of the initial state: `product`, but `dh` where the first step is masked."""
    return np.where(counts[0][:, None], product, dh)


@compiled
def take_row(product: Array, by_columns: bool, n: int, row: Array) -> None:
    """Let `row` be row n of a `gradient_product`."""
    if by_columns:
        for j in range(row.size):
            row[j] = product[j, n]
    else:
        for j in range(row.size):
            row[j] = product[n, j]


@compiled
def arriving(product: Array, by_columns: bool, dh: Array, counts: Array, t: int, n: int) -> None:
    """Let ``dh[n]`` be what reaches row n of h after step t from the later steps.

    It is a row of the product, except after the last step and before a masked one: then
    ``dh[n]`` holds it already.
    """
    if t + 1 < counts.shape[0] and counts[t + 1, n]:
        take_row(product, by_columns, n, dh[n])


@compiled
def add_row(source: Array, row: Array) -> None:
    """``row += source``."""
    for j in range(row.size):
        row[j] += source[j]
