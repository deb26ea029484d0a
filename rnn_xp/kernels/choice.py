"""Which kernels a backend computes with.

``RNN_XP_KERNELS`` is ``auto`` (if unset), ``numpy`` (no compiled kernels), ``generic`` or
``strict``. It is read when a layer or an optimiser first needs its kernels.
"""

import importlib
import os
from functools import lru_cache

from rnn_xp.kernels.table import FastKernels, Kernels, select
from rnn_xp.numba_probe import COMPILED_DTYPES, numba_problem

KERNEL_MODES = ("auto", "numpy", "generic", "strict")


def kernel_mode() -> str:
    """``RNN_XP_KERNELS``: "auto", "numpy", "generic" or "strict"."""
    mode = os.environ.get("RNN_XP_KERNELS", "").strip() or "auto"
    if mode not in KERNEL_MODES:
        raise ValueError(f"RNN_XP_KERNELS={mode!r}, expected one of {', '.join(KERNEL_MODES)}")
    return mode


@lru_cache(maxsize=32)
def chosen_kernels(name: str, dtype: str, mode: str, precision: str) -> Kernels:
    """The table of kernels of backend `name` for parameters of `dtype`; see `Backend.kernels`."""
    if name not in ("numpy", "cupy"):
        return select(name, [], dtype, mode, precision)
    room = "cpu" if name == "numpy" else "cuda"
    fast: list[FastKernels] = importlib.import_module(f"rnn_xp.kernels.{room}").FAST
    if mode != "generic" and dtype in COMPILED_DTYPES and compiled_problem(name, mode) is None:
        compiled: list[FastKernels] = importlib.import_module("rnn_xp.kernels.compiled").FAST
        fast = [*fast, *compiled]
    return select(name, fast, dtype, mode, precision)


def compiled_problem(name: str, mode: str) -> str | None:
    """Why backend `name` uses no compiled kernels in kernel mode `mode`; None if it does."""
    if name != "numpy":
        return f"they are for NumPy, not {name}"
    if mode in ("numpy", "generic"):
        return f"RNN_XP_KERNELS={mode} goes without them"
    return numba_problem()
