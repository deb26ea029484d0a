"""How the kernels are compiled: by Numba, without the interpreter's lock, kept on disk.

The flags of ``fastmath`` are chosen one by one. ``contract`` lets the compiler fuse a product
with a sum, which costs no accuracy. ``reassoc`` lets it sum in several lanes and goes only
where there is a sum. ``nnan`` and ``ninf`` are never set: a loss or a gradient that is not
finite must come out as such. Two runs on one machine give the same bits.

Compiling takes some seconds once (what a language model of LSTMs needs: six to ten). Numba
keeps the result beside the source file of each function, and makes it anew when that file, the
processor or Numba's version is another. It does not notice that a function which was built
into others has changed: who edits a function here deletes the ``.nbi`` files. (The tests name
their cache after the sources.)
"""

import warnings
from collections.abc import Callable
from functools import cache
from typing import Any

import numba

from rnn_xp._typing import Array


def compiled(function: Callable[..., Any]) -> Any:
    """Compile an element-wise function at its first call."""
    return _compile(function, {"contract"})


def compiled_sum(function: Callable[..., Any]) -> Any:
    """Compile a function whose sums may be added in any (but always the same) order."""
    return _compile(function, {"contract", "reassoc"})


def _compile(function: Callable[..., Any], flags: set[str]) -> Any:
    options = {"fastmath": flags, "error_model": "numpy", "nogil": True}
    return numba.njit(**options, cache=cache_on_disk())(function)


@cache
def cache_on_disk() -> bool:
    """Whether Numba finds a folder for its cache; else each process compiles anew, with a warning.

    Numba looks at ``NUMBA_CACHE_DIR``, at the folder of the package and at the user's cache
    folder, and refuses to decorate a function if none of them can be written to. It offers no
    way to ask, so one decoration is tried.
    """
    try:
        numba.njit(cache=True)(_nothing)
    except RuntimeError as problem:
        if "no locator available" in str(problem):
            warnings.warn(
                "no folder to keep compiled kernels in: each process compiles them anew, some "
                "seconds; set NUMBA_CACHE_DIR to one that can be written to, or "
                "RNN_XP_KERNELS=numpy to go without",
                RuntimeWarning,
                stacklevel=2,
            )
            return False
        raise
    return True


def _nothing() -> None:
    """Only decorated, never compiled."""


def plain(array: Array, spare: Callable[..., Array]) -> Array:
    """`array` itself if it is contiguous, aligned and writable, else a copy in `spare(shape)`.

    Numba compiles a function anew for each layout and for read-only arrays; so there is one
    kind of array, and the rare others are copied.
    """
    if array.flags.carray:
        return array
    copy = spare(*array.shape)
    copy[...] = array
    return copy
