"""What both variants of the compiled GRU share: the update of h, and its gradient."""

import numpy as np

from rnn_xp._typing import Array
from rnn_xp.kernels.compiled.jit import compiled


@compiled
def next_h(n: Array, z: Array, h: Array, h_next: Array) -> None:
    """``h' = (1 - z) n + z h``."""
    for j in range(h.size):
        h_next[j] = (h[j] - n[j]) * z[j] + n[j]


@compiled
def through_h(dh: Array, z: Array, n: Array, h: Array, through: Array) -> None:
    """Gradients of `next_h`; those of a_z and a_n take the places of z and n.

    ::

        da_z = dh' (h - n) z (1 - z)        da_n = dh' (1 - z) (1 - n^2)
        through = dh' z
    """
    one = np.float32(1.0)
    for j in range(dh.size):
        rest = dh[j] * (one - z[j])
        through[j] = dh[j] * z[j]
        z[j] = rest * (h[j] - n[j]) * z[j]
        n[j] = rest * (one - n[j] * n[j])
