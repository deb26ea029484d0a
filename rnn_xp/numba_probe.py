"""Whether Numba can be used on this machine, found out once and remembered."""

import importlib
import importlib.util
from functools import lru_cache
from importlib import metadata

from rnn_xp.cupy_probe import one_line

# What the compiled kernels take; for other parameters Numba is not even imported.
COMPILED_DTYPES = frozenset({"float32"})
OLDEST = (0, 61)  # the first that knows NumPy 2.1 and the bits of a scalar


@lru_cache(maxsize=1)
def numba_problem() -> str | None:
    """Why Numba cannot be used here, and how to mend it; None if it can.

    Installed is not enough: Numba refuses to be imported beside a NumPy that is newer than it.
    """
    if importlib.util.find_spec("numba") is None:
        return "numba is not installed; install it with: pip install 'rnn-xp[fast]'"
    version = metadata.version("numba")
    if tuple(int(part) for part in version.split(".")[:2]) < OLDEST:
        oldest = ".".join(map(str, OLDEST))
        return f"numba {version} is too old; install {oldest} or newer"
    try:
        importlib.import_module("numba")
    except ImportError as error:
        return f"numba {version} cannot be imported ({one_line(error)})"
    return None
