"""CuPy: float32 numbers as the bits of 16-bit ones, for products on the tensor cores.

The bits are in uint16 arrays: CuPy's float16 arithmetic is not needed, and bfloat16 is no NumPy
dtype.
"""

from typing import Any

import numpy as np

from rnn_xp._typing import Array
from rnn_xp.kernels.cuda.module import NARROW, function

THREADS = 256
# Each thread goes on to the next element that is this many blocks away.
MOST_BLOCKS = 4096


def narrow(a: Array, precision: str, out: Array | None = None) -> Array:
    """Round to the nearest number of 16 bits, ties to even; return its bits.

    Parameters
    ----------
    a : array of float32
        Copied first if it is not C-contiguous: narrow the base of a transposed view instead.
    precision : {"float16", "bfloat16"}
        Magnitudes above the largest number become infinite (65504 is float16's largest,
        and those from 65520 are above it); below the smallest normal one the numbers are
        subnormal.
    out : array of uint16, of the shape of `a`, optional
        C-contiguous.

    Returns
    -------
    bits : array of uint16
        `out`, or a new array.
    """
    import cupy

    if a.dtype != np.float32 or NARROW[precision] == 0:
        raise TypeError(
            f"narrow: {a.dtype} to {precision}, expected float32 to float16 or bfloat16"
        )
    bits = cupy.empty(a.shape, dtype=np.uint16) if out is None else out
    if bits.dtype != np.uint16 or bits.shape != a.shape:
        raise ValueError(f"narrow: {a.shape} into {bits.dtype} {bits.shape}")
    blocks = min(MOST_BLOCKS, -(-a.size // THREADS))
    kernel = function("narrow", "narrow_all", "float32", precision)
    kernel((blocks,), (THREADS,), (cupy.ascontiguousarray(a), bits, np.int64(a.size)))
    return bits


def is_half(precision: str) -> bool:
    """Whether products in `precision` take the bits of 16-bit numbers."""
    return NARROW[precision] != 0


def operand(a: Array, precision: str, workspace: Any, name: str) -> Array:
    """A matrix as `rnn_xp.kernels.cuda.product.product` takes it in `precision`.

    That is `a` itself (copied if neither its rows nor its columns follow each other), or its
    bits in the buffer `name` of the workspace.
    """
    import cupy

    if a.flags.f_contiguous and not a.flags.c_contiguous:
        return operand(a.T, precision, workspace, name).T
    if not is_half(precision):
        return cupy.ascontiguousarray(a)
    return narrow(a, precision, workspace.get(name, a.shape, a, dtype="uint16"))
