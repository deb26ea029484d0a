"""CuPy: global norm in one launch an array, and clipping by it in one more."""

import math
from typing import Any

import numpy as np

from rnn_xp._typing import Array
from rnn_xp.kernels.cuda.module import function
from rnn_xp.kernels.cuda.scratch import THREADS, blocks_for, scratch
from rnn_xp.kernels.table import FastKernels


def global_norm(arrays: list[Array]) -> Array:
    """See `rnn_xp.kernels.generic.updates.global_norm`; sums are float64 and deterministic."""
    if not arrays:
        raise ValueError("global_norm: got an empty list, expected at least one array")
    import cupy

    sums, arrived = scratch()
    norm = cupy.empty((), dtype=arrays[0].dtype)
    kernel = function("global_norm", "global_norm", norm.dtype.name)
    for i, array in enumerate(arrays):
        first, last = np.int32(i == 0), np.int32(i == len(arrays) - 1)
        kernel(
            (blocks_for(array.size),),
            (THREADS,),
            (
                cupy.ascontiguousarray(array),
                np.int64(array.size),
                sums,
                arrived,
                norm,
                first,
                last,
            ),
        )
    return norm


def clip_coefficient(
    norm: Array, max_norm: float | None, loss: Array | None = None
) -> tuple[Any, Array]:
    """See `rnn_xp.kernels.generic.updates.clip_coefficient`."""
    import cupy

    real = norm.dtype.type
    scale, ok = cupy.empty((), dtype=norm.dtype), cupy.empty((), dtype=bool)
    function("global_norm", "clip_coefficient", norm.dtype.name)(
        (1,),
        (1,),
        (
            norm,
            np.uintp(0) if loss is None else loss.astype(norm.dtype, copy=False),
            real(math.inf if max_norm is None else max_norm),
            scale,
            ok,
        ),
    )
    return (1.0 if max_norm is None else scale), ok


NORM = FastKernels(
    functions={"global_norm": global_norm, "clip_coefficient": clip_coefficient},
    dtypes=frozenset({"float32", "float64"}),
)
