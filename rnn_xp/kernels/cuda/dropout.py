"""CuPy: dropout masks, computed where they are used."""

from math import prod

import numpy as np

from rnn_xp._typing import Array
from rnn_xp.kernels.cuda.module import function
from rnn_xp.kernels.table import FastKernels
from rnn_xp.rng import DropoutKey, dropout_threshold, kept_value

THREADS = 128
# Elements of a thread, as in cu/dropout.cu: one block of the generator.
GROUP = 16


def dropout_mask(shape: tuple[int, ...], ratio: float, key: DropoutKey, like: Array) -> Array:
    """See `rnn_xp.kernels.generic.dropout.dropout_mask`: the same mask, bit for bit."""
    import cupy

    mask = cupy.empty(shape, dtype=like.dtype)
    count = prod(shape)
    if count == 0:
        return mask
    threads = -(-count // GROUP)
    function("dropout", "dropout_mask", like.dtype.name)(
        (-(-threads // THREADS),),
        (THREADS,),
        (
            mask,
            np.int64(count),
            np.uint64(key.seed),
            np.uint64(key.stream),
            np.uint64(key.counter),
            np.int32(dropout_threshold(ratio)),
            like.dtype.type(kept_value(ratio)),
        ),
    )
    return mask


DROPOUT = FastKernels(
    functions={"dropout_mask": dropout_mask}, dtypes=frozenset({"float32", "float64"})
)
