"""CuPy: the little memory that reductions over blocks share."""

from functools import lru_cache
from typing import Any

from rnn_xp._typing import Array

# Blocks of a reduction. It depends on nothing but the size of the array, so that a sum has the
# same bits on every device; 1024 blocks of 256 threads fill an H200.
MOST_BLOCKS = 1024
THREADS = 256


def blocks_for(count: int) -> int:
    """How many blocks of `THREADS` work on `count` elements: at least one, for its last word."""
    return min(max(-(-count // THREADS), 1), MOST_BLOCKS)


def scratch() -> tuple[Array, Array]:
    """Doubles for the sums of the blocks, and a counter of those that have finished.

    Kernels of one stream follow each other, so all of them share one pair; a kernel leaves the
    counter at zero, as it was.
    """
    import cupy

    stream = cupy.cuda.get_current_stream()
    return _made(cupy, cupy.cuda.Device().id, stream.ptr)


@lru_cache(maxsize=16)
def _made(cupy: Any, device: int, stream: int) -> tuple[Array, Array]:
    return cupy.empty(1 + MOST_BLOCKS, dtype="float64"), cupy.zeros(1, dtype="int32")
