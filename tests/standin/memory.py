"""Device memory: every allocation lies between two guards, and holds NaN until it is written."""

import weakref

import numpy as np

GUARD = 512
# As CuPy's pool aligns what it gives.
ALIGNMENT = 512
SPOILT = 0xFF  # all ones: NaN in every floating type, -1 in every signed one

_live: "weakref.WeakValueDictionary[int, Allocation]" = weakref.WeakValueDictionary()


class Allocation(bytearray):
    """The bytes of one allocation and its guards; arrays are views of it.

    Attributes
    ----------
    address, size : int
        Where the bytes between the guards begin, and how many there are.
    dtype : numpy.dtype
        That it was made for.
    """

    address: int
    size: int
    dtype: np.dtype

    def intact(self) -> bool:
        """Whether both guards hold what they held at first."""
        everything = np.frombuffer(self, np.uint8)
        first = self.address - everything.ctypes.data
        low, high = everything[:first], everything[first + self.size :]
        return bool((low == SPOILT).all() and (high == SPOILT).all())


def empty(shape, dtype) -> np.ndarray:
    """New C-contiguous array, all bytes `SPOILT`."""
    dtype = np.dtype(dtype)
    shape = (shape,) if isinstance(shape, int | np.integer) else tuple(shape)
    size = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
    memory = Allocation(size + 2 * GUARD + ALIGNMENT)
    everything = np.frombuffer(memory, np.uint8)
    everything.fill(SPOILT)
    start = everything.ctypes.data
    memory.address = -(-(start + GUARD) // ALIGNMENT) * ALIGNMENT
    memory.size = size
    memory.dtype = dtype
    _live[memory.address] = memory
    return np.ndarray(shape, dtype, buffer=memory, offset=memory.address - start)


def copy(array: np.ndarray) -> np.ndarray:
    """Copy of `array` in an allocation, in the order of its axes in memory."""
    order = sorted(range(array.ndim), key=lambda axis: -abs(array.strides[axis]))
    made = empty([array.shape[axis] for axis in order], array.dtype)
    turned = made.transpose(np.argsort(order)) if order else made
    turned[...] = array
    return turned


def allocation_of(array: np.ndarray) -> Allocation | None:
    """The allocation that `array` is a view of; None if it is a host array."""
    base = array.base
    while isinstance(base, np.ndarray):
        base = base.base
    return base if isinstance(base, Allocation) else None


def allocation_at(address: int) -> Allocation | None:
    """The allocation with `address` in it."""
    for memory in list(_live.values()):
        if memory.address <= address < memory.address + max(memory.size, 1):
            return memory
    return None
