"""`RawModule` and `RawKernel`, with every check that can be made before a launch."""

import ctypes

import numpy as np

from standin import memory
from standin.array import ndarray
from standin.compiler import library

# CUDA C++ Programming Guide, Technical Specifications per Compute Capability.
MOST_GRID = (2**31 - 1, 65535, 65535)
MOST_BLOCK = (1024, 1024, 64)
MOST_THREADS = 1024
MOST_SHARED = 48 << 10  # without asking for more


class LaunchError(Exception):
    """A launch that CUDA or CuPy would refuse, or take for something else than was meant."""


class Kernel:
    """A compiled kernel; called as ``kernel(grid, block, arguments, shared_mem=0)``."""

    def __init__(self, code: str, options: tuple[str, ...], name: str):
        built, names = library(code, tuple(options))
        if name not in names:
            raise LaunchError(f"no kernel {name!r} in the source, only {', '.join(names)}")
        signature = getattr(built, f"standin_signature_{name}")
        signature.restype = ctypes.c_char_p
        self.name = name
        self.parameters = signature().decode().split()
        self.max_dynamic_shared_size_bytes = MOST_SHARED
        self._launch = getattr(built, f"standin_launch_{name}")
        self._launch.restype = ctypes.c_char_p

    def __call__(self, grid, block, args, *, shared_mem=0, stream=None):
        sizes = [*self._sizes("grid", grid, MOST_GRID), *self._sizes("block", block, MOST_BLOCK)]
        if sizes[3] * sizes[4] * sizes[5] > MOST_THREADS:
            raise LaunchError(f"{self.name}: a block of {block}, more than {MOST_THREADS} threads")
        if not 0 <= shared_mem <= self.max_dynamic_shared_size_bytes:
            raise LaunchError(
                f"{self.name}: {shared_mem} bytes of shared memory, expected 0 to "
                f"{self.max_dynamic_shared_size_bytes}"
            )
        if not isinstance(args, tuple | list) or len(args) != len(self.parameters):
            raise LaunchError(
                f"{self.name}: {len(args)} arguments, expected {len(self.parameters)}"
            )
        where = (f"{self.name}: argument {i}" for i in range(len(args)))
        cells = [_cell(*one) for one in zip(where, args, self.parameters, strict=True)]
        pointers = (ctypes.c_void_p * len(cells))(*(cell.ctypes.data for cell in cells))
        message = self._launch((ctypes.c_uint * 6)(*sizes), ctypes.c_size_t(shared_mem), pointers)
        if message is not None:
            raise LaunchError(f"{self.name}: {message.decode()}")
        for i, argument in enumerate(args):
            if isinstance(argument, ndarray):
                owner = memory.allocation_of(argument.host)
                if owner is None or not owner.intact():
                    raise LaunchError(f"{self.name}: writes outside the memory of argument {i}")

    def _sizes(self, what, given, most):
        if not isinstance(given, tuple) or not 1 <= len(given) <= 3:
            raise LaunchError(f"{self.name}: {what} {given!r}, expected a tuple of 1 to 3 sizes")
        for size, limit in zip(given, most, strict=False):
            if isinstance(size, bool) or not isinstance(size, int | np.integer):
                raise LaunchError(f"{self.name}: {what} {given!r}, expected integers")
            if not 1 <= size <= limit:
                raise LaunchError(f"{self.name}: {what} {given!r}, expected 1 to {limit}")
        return (*given, 1, 1)[:3]


def _cell(where, argument, parameter):
    """NumPy array of one element that holds the argument as the kernel will read it."""
    if parameter.startswith("*"):
        return np.array([_address(where, argument, parameter[1:])], np.uintp)
    if not isinstance(argument, np.generic):
        raise LaunchError(
            f"{where} is {type(argument).__name__} {argument!r}, expected a NumPy {parameter}"
        )
    if argument.dtype != np.dtype(parameter):
        raise LaunchError(f"{where} is {argument.dtype}, expected {parameter}")
    return np.array([argument])


def _address(where, argument, dtype):
    if isinstance(argument, np.uintp) and argument == 0:
        return argument
    if not isinstance(argument, ndarray):
        raise LaunchError(
            f"{where} is {type(argument).__name__}, expected a device array of {dtype} or "
            "np.uintp(0)"
        )
    if argument.dtype != np.dtype(dtype):
        raise LaunchError(f"{where} is an array of {argument.dtype}, expected {dtype}")
    if not argument.flags.c_contiguous:
        raise LaunchError(f"{where} is not C-contiguous: {argument.shape}, {argument.strides}")
    return argument.host.ctypes.data


class RawModule:
    """See `cupy.RawModule`; only from source."""

    __module__ = "cupy"

    def __init__(self, *, code: str, options: tuple[str, ...] = ()):
        self.code, self.options = code, options

    def get_function(self, name: str) -> Kernel:
        return Kernel(self.code, self.options, name)


def RawKernel(code: str, name: str, options: tuple[str, ...] = ()) -> Kernel:
    """See `cupy.RawKernel`."""
    return Kernel(code, options, name)
