"""CuPy: the loss scale after a step, in one launch of one thread."""

from typing import Any

import numpy as np

from rnn_xp._typing import Array
from rnn_xp.kernels.cuda.module import function
from rnn_xp.kernels.table import FastKernels


def loss_scale_update(
    scale: Array, good: Array, ok: Any, *, interval: int, least: float, most: float
) -> tuple[Array, Array]:
    """See `rnn_xp.kernels.generic.loss_scale.loss_scale_update`."""
    import cupy

    real = scale.dtype.type
    new_scale, new_good = (cupy.empty((), dtype=scale.dtype) for _ in range(2))
    function("loss_scale", "loss_scale_update", scale.dtype.name)(
        (1,),
        (1,),
        (scale, good, ok, np.int32(interval), real(least), real(most), new_scale, new_good),
    )
    return new_scale, new_good


LOSS_SCALE = FastKernels(
    functions={"loss_scale_update": loss_scale_update}, dtypes=frozenset({"float32", "float64"})
)
