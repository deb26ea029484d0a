"""``--threads``: how many threads NumPy's BLAS uses."""

import importlib
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from rnn_xp.cli.errors import say

# Read by OpenBLAS, OpenMP (and torch), MKL, BLIS and Accelerate when they are loaded.
VARIABLES = (
    "OPENBLAS_NUM_THREADS",
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)


def requested_threads(argv: Sequence[str]) -> int | None:
    """The number that ``--threads`` or the run of ``--resume`` asks for, before parsing.

    A resumed run computes with the threads that it was started with, because sums over
    another number of threads differ in their last bits. What is malformed is left to the
    parser and the run folder, which explain it.
    """
    given = _last_value(argv, "--threads")
    if given is None:
        given = _recorded_threads(_last_value(argv, "--resume"))
    if given is None or not given.isdecimal() or len(given) > 6:
        return None
    return int(given) or None


def use_threads(count: int) -> None:
    """Let BLAS use `count` threads in this process."""
    if all(os.environ.get(name) == str(count) for name in VARIABLES):
        return
    if "numpy" not in sys.modules:
        os.environ.update(dict.fromkeys(VARIABLES, str(count)))
        return
    try:
        threadpoolctl = importlib.import_module("threadpoolctl")
    except ImportError:
        say(
            f"warning: --threads {count} has no effect, because NumPy was loaded before; "
            "pip install threadpoolctl, or set OMP_NUM_THREADS"
        )
        return
    threadpoolctl.threadpool_limits(limits=count)


def _last_value(argv: Sequence[str], option: str) -> str | None:
    value = None
    for k, word in enumerate(argv):
        if word == option and k + 1 < len(argv):
            value = argv[k + 1]
        elif word.startswith(f"{option}="):
            value = word.partition("=")[2]
    return value


def _recorded_threads(run: str | None) -> str | None:
    if run is None:
        return None
    try:
        config = json.loads((Path(run) / "config.json").read_text(encoding="utf-8"))
        threads = config["settings"]["threads"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    return None if threads is None else str(threads)
