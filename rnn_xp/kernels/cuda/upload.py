"""CuPy: host arrays to the device in one copy, which nothing waits for."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from rnn_xp._typing import Array

# Every array starts at a multiple of it, so that any dtype is aligned.
ALIGNMENT = 16


def upload(hosts: Sequence[Any]) -> list[Array]:
    """Copy NumPy arrays to the current device; the copy is queued on the current stream.

    `cupy.asarray` goes through pinned memory, which its pool takes back when an event behind the
    copy has completed. An array of its own for each would cost as many copies and events.

    Parameters
    ----------
    hosts : sequence of numpy.ndarray
        May be changed as soon as this returns.

    Returns
    -------
    arrays : list of array
        C-contiguous, parts of one allocation.
    """
    import cupy

    starts, total = [], 0
    for host in hosts:
        starts.append(total)
        total += -(-host.nbytes // ALIGNMENT) * ALIGNMENT
    packed = np.empty(total, np.uint8)
    for start, host in zip(starts, hosts, strict=True):
        part = packed[start : start + host.nbytes]
        part.view(host.dtype).reshape(host.shape)[...] = host
    device = cupy.asarray(packed)
    return [
        device[start : start + host.nbytes].view(host.dtype).reshape(host.shape)
        for start, host in zip(starts, hosts, strict=True)
    ]
