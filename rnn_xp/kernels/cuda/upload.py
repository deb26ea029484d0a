"""CuPy: host arrays to the device in one copy from pinned memory, which nothing waits for."""

from collections import deque
from collections.abc import Sequence
from functools import lru_cache
from threading import Lock
from typing import Any

import numpy as np

from rnn_xp._typing import Array

# Bytes of pinned memory: dozens of batches of common sizes, so that none waits for another.
RING_BYTES = 8 << 20
# Every array starts at a multiple of it, so that any dtype is aligned.
ALIGNMENT = 16


def upload(hosts: Sequence[Any]) -> list[Array]:
    """Copy NumPy arrays to the current device; the copy is queued on the current stream.

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

    return _ring(cupy, cupy.cuda.Device().id).upload(hosts)


@lru_cache(maxsize=16)
def _ring(cupy: Any, device: int) -> "PinnedRing":
    return PinnedRing(cupy, RING_BYTES)


class PinnedRing:
    """Pinned memory that is handed out round and round.

    A part is overwritten only after the event behind its copy has completed: an asynchronous
    copy reads its source when the stream gets to it.

    Parameters
    ----------
    cupy : module
    size : int
        Bytes. The ring becomes larger if more is uploaded at a time.
    """

    def __init__(self, cupy: Any, size: int):
        self._cupy = cupy
        self._lock = Lock()
        self._allocate(size)

    def _allocate(self, size: int) -> None:
        self._memory = self._cupy.cuda.alloc_pinned_memory(size)
        self._bytes = np.frombuffer(self._memory, np.uint8, count=size)
        self.size = size
        # Bytes handed out since then; where each copy began in that count, and its event.
        self._count = 0
        self._underway: deque[tuple[int, Any]] = deque()

    def upload(self, hosts: Sequence[Any]) -> list[Array]:
        """See `upload` of this module."""
        starts, total = [], 0
        for host in hosts:
            starts.append(total)
            total += -(-host.nbytes // ALIGNMENT) * ALIGNMENT
        device = self._cupy.empty(total, dtype="uint8")
        with self._lock:
            begin = self._reserve(total)
            place = begin % self.size
            for start, host in zip(starts, hosts, strict=True):
                part = self._bytes[place + start : place + start + host.nbytes]
                part.view(host.dtype).reshape(host.shape)[...] = host
            device.data.copy_from_host_async(self._memory.ptr + place, total)
            event = self._cupy.cuda.Event(disable_timing=True)
            event.record()
            self._underway.append((begin, event))
        return [
            device[start : start + host.nbytes].view(host.dtype).reshape(host.shape)
            for start, host in zip(starts, hosts, strict=True)
        ]

    def _reserve(self, size: int) -> int:
        """Where, in the count, `size` bytes begin that no copy reads any more."""
        if size > self.size:
            self._wait(self._count)
            # Twice that, so that the next one does not wait for this one.
            self._allocate(2 * size)
        left = self.size - self._count % self.size
        begin = self._count + (left if size > left else 0)
        self._wait(begin + size - self.size)
        self._count = begin + size
        return begin

    def _wait(self, until: int) -> None:
        """Wait for the copies that began before `until`; forget those that are over."""
        while self._underway:
            begin, event = self._underway[0]
            if not event.done:
                if begin >= until:
                    return
                event.synchronize()
            self._underway.popleft()
