"""Copies from pinned memory, made as late as a stream may make them.

A copy waits until something that follows it in the stream is looked at: a kernel, the contents
of an array, an event. Pinned memory that is overwritten or freed before that shows.
"""

import ctypes
import weakref

import numpy as np

from standin import transfers

_pinned: "weakref.WeakValueDictionary[int, PinnedMemory]" = weakref.WeakValueDictionary()
_waiting: list = []
_queued = _made = 0


class PinnedMemory(bytearray):
    """Has the buffer protocol; as large as asked or (as from CuPy's pool) larger."""

    __module__ = "cupy.cuda"
    ptr: int


def alloc_pinned_memory(size):
    memory = PinnedMemory(max(512, -(-size // 512) * 512))
    memory.ptr = np.frombuffer(memory, np.uint8).ctypes.data
    _pinned[memory.ptr] = memory
    return memory


def queue(target: np.ndarray, source: int, size: int) -> None:
    """Copy `size` bytes from the address `source` to the start of `target`, later."""
    global _queued
    owner = next((m for p, m in _pinned.items() if p <= source and source + size <= p + len(m)), 0)
    if not owner:
        raise AssertionError(f"asynchronous copy of {size} bytes that are not pinned")
    if size > target.nbytes:
        raise AssertionError(f"copy of {size} bytes to an array of {target.nbytes}")
    _waiting.append((target, weakref.ref(owner), source, size))
    _queued += 1


def make() -> None:
    """Make all copies that wait."""
    global _made
    if not _waiting:
        return
    now = _waiting[:]
    _waiting.clear()
    _made = _queued
    for target, owner, source, size in now:
        if owner() is None:
            raise AssertionError("pinned memory was freed before it was copied")
        ctypes.memmove(target.ctypes.data, source, size)


def forget() -> None:
    """Drop the copies that wait: what they were for is over."""
    global _made
    _waiting.clear()
    _made = _queued


class Event:
    """Has happened when the copies that were queued before it are made."""

    __module__ = "cupy.cuda"

    def __init__(self, block=False, disable_timing=False, interprocess=False):
        self._after = 0

    def record(self, stream=None):
        self._after = _queued

    @property
    def done(self):
        return self._after <= _made

    def synchronize(self):
        transfers.note("Event.synchronize")
        make()
