"""What the two variants of the GRU share: all but how the reset gate acts."""

from typing import Any

import numpy as np

from rnn_xp._typing import Array


def next_state(h: Array, z: Array, n: Array, rows: Any, out: Array) -> None:
    """``out = (1 - z) * n + z * h``; at the masked `rows` it is `h`."""
    np.subtract(h, n, out=out)
    np.multiply(out, z, out=out)
    np.add(out, n, out=out)
    if rows is not None:
        out[rows] = h[rows]


def upstream(product: Array, through: Array, dh_out: Array | None, rows: Any, out: Array) -> Any:
    """``out = product + through + dh_out``, the gradient with respect to a new state.

    The first two are what comes from the later steps. At the masked `rows` that passes by the
    step, and `out` is zero: it is returned, for `through`.
    """
    np.add(product, through, out=out)
    kept = None if rows is None else out[rows]
    if dh_out is not None:
        np.add(out, dh_out, out=out)
    if rows is not None:
        out[rows] = 0
    return kept


def update_factors(h: Array, z: Array, n: Array, scratch: Array, da_z: Array, da_n: Array) -> None:
    """What dh' is multiplied by to give da_z and da_n, for some steps at once."""
    np.subtract(1, z, out=scratch)
    # da_z = (h - n) * z * (1 - z)
    np.subtract(h, n, out=da_z)
    np.multiply(da_z, z, out=da_z)
    np.multiply(da_z, scratch, out=da_z)
    # da_n = (1 - z) * (1 - n * n)
    np.multiply(n, n, out=da_n)
    np.subtract(1, da_n, out=da_n)
    np.multiply(da_n, scratch, out=da_n)
