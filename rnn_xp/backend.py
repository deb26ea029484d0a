"""Backends: which array library, which device.

This module and `rnn_xp.kernels.choice` are the only ones that ask which backend it is.

``RNN_BACKEND`` names the default for what has no array argument: ``numpy`` (if unset),
``cupy``, ``auto`` (CuPy if it proves usable, else NumPy), or another library that
``array-api-compat`` knows (``torch``, ``array_api_strict``), each with an optional
``:device``, as in ``cupy:1``. It is read when first needed and can change while the
program runs.
"""

import importlib
import os
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np

from rnn_xp._typing import Array, Device, DType, Namespace
from rnn_xp.cupy_probe import cupy_problem, current_device, one_line
from rnn_xp.errors import BackendFallbackWarning, BackendUnavailable
from rnn_xp.kernels import Kernels
from rnn_xp.kernels.choice import chosen_kernels, kernel_mode
from rnn_xp.namespace import namespace_of

KNOWN = ("numpy", "cupy", "torch", "array_api_strict")


@dataclass(frozen=True, slots=True)
class Backend:
    """An array library on one device.

    Attributes
    ----------
    name : str
        ``"numpy"``, ``"cupy"``, ``"torch"`` or ``"array_api_strict"``.
    xp : namespace
        The array API namespace.
    device : object
        What the namespace's creation functions take as ``device=``.
    """

    name: str
    xp: Namespace
    device: Device = field(hash=False)  # CuPy's have no hash

    @property
    def label(self) -> str:
        """``name`` or ``name:device``, as `get_backend` takes it."""
        if self.name == "numpy":
            return self.name
        if self.name == "cupy":
            return f"cupy:{self.device.id}"
        return f"{self.name}:{_device_label(self.device)}"

    def kernels(self, dtype: str = "float32", precision: str = "float32") -> Kernels:
        """The table of kernels for parameters of `dtype`, as ``RNN_XP_KERNELS`` has it.

        Parameters
        ----------
        dtype : {"float32", "float64"}
        precision : {"float32", "tf32", "float16", "bfloat16"}
            Of the matrix products with float32 parameters; only CuPy has another than float32.

        Raises
        ------
        PrecisionUnavailable
        """
        return chosen_kernels(self.name, dtype, kernel_mode(), precision)

    def dtype(self, name: str) -> DType:
        """The library's dtype of that name, e.g. ``"float32"``."""
        return getattr(self.xp, name)

    def asarray(self, host: Any, dtype: str | None = None) -> Array:
        """Copy `host` (anything NumPy can read) to the device.

        Parameters
        ----------
        host : array_like
        dtype : str, optional
            Name of the dtype; default that of the host array.
        """
        array = np.array(host, dtype=dtype, order="C")
        if self.name == "numpy":
            return array
        return self.xp.asarray(array, device=self.device)

    def upload(self, hosts: Sequence[Any]) -> list[Array]:
        """Copy NumPy arrays to the device, together and without waiting for it.

        NumPy itself gets them as they are, and torch on the CPU may share their memory.
        """
        if self.name == "numpy":
            return list(hosts)
        if self.name == "cupy":
            return list(importlib.import_module("rnn_xp.kernels.cuda.upload").upload(hosts))
        return [self.xp.asarray(np.asarray(h, order="C"), device=self.device) for h in hosts]

    def zeros(self, shape: tuple[int, ...], dtype: str) -> Array:
        """Array of zeros on the device."""
        return self.xp.zeros(shape, dtype=self.dtype(dtype), device=self.device)

    def synchronize(self) -> None:
        """Wait until the device has done all that was asked of it."""
        if self.name == "cupy":
            self.device.synchronize()
        elif self.name == "torch" and self.device.type == "cuda":
            self.xp.cuda.synchronize(self.device)


def to_host(array: Array) -> Any:
    """Copy an array of any backend to a NumPy array (NumPy's own is returned as it is)."""
    if isinstance(array, np.ndarray):
        return array
    if isinstance(array, np.generic | float | int | list | tuple):
        return np.asarray(array)
    library = _library(array)
    if library == "cupy":
        return array.get()
    if library == "torch":
        return array.detach().cpu().numpy().copy()
    if library == "array_api_strict":
        xp = namespace_of(array)
        return np.asarray(array.to_device(xp.Device("CPU_DEVICE"))).copy()
    return np.from_dlpack(array)


def get_backend(spec: "str | Backend | None" = None) -> Backend:
    """Resolve a backend.

    Parameters
    ----------
    spec : str or Backend, optional
        ``"name"``, ``"name:device"`` or ``"auto"``; None stands for ``RNN_BACKEND``.

    Raises
    ------
    ValueError
        If the name is unknown; the message lists the known ones.
    BackendUnavailable
        If `spec` was given and the backend cannot be used. (With ``RNN_BACKEND=cupy``
        there is one `BackendFallbackWarning` instead, and NumPy is used.)
    """
    if isinstance(spec, Backend):
        return spec
    if spec is None:
        return default_backend()
    name, device = _parse(spec, "backend")
    if name == "auto":
        return _open("cupy", device) if cupy_problem() is None else _open("numpy", None)
    return _open(name, device)


def default_backend() -> Backend:
    """The backend that ``RNN_BACKEND`` names, with NumPy as the fallback for a missing GPU."""
    spec = os.environ.get("RNN_BACKEND", "").strip() or "numpy"
    name, device = _parse(spec, "RNN_BACKEND")
    if name == "cupy":
        problem = cupy_problem()
        if problem is not None:
            _warn_once(spec, problem)
            return _open("numpy", None)
        return _open("cupy", device)
    return get_backend(spec)


def backend_of(array: Array) -> Backend:
    """The backend that `array` belongs to.

    Raises
    ------
    TypeError
        If it is not an array of a known library, or a torch tensor that requires grad.
    """
    if isinstance(array, np.ndarray):
        return _open("numpy", None)
    library = _library(array)
    if library not in KNOWN:
        raise TypeError(
            f"expected an array of {', '.join(KNOWN)}, got {type(array).__module__}."
            f"{type(array).__qualname__}"
        )
    if getattr(array, "requires_grad", False):
        raise TypeError(
            "this torch tensor requires grad; rnn_xp has its own backward passes: "
            "pass tensor.detach()"
        )
    return Backend(library, namespace_of(array), array.device)


@lru_cache(maxsize=1)
def _warn_once(spec: str, problem: str) -> None:
    warnings.warn(
        f"RNN_BACKEND={spec}: {problem}. Falling back to NumPy on the CPU.",
        BackendFallbackWarning,
        stacklevel=4,
    )


def _parse(spec: str, where: str) -> tuple[str, str | None]:
    name, _, device = spec.partition(":")
    name = name.strip().lower()
    if name not in (*KNOWN, "auto"):
        raise ValueError(
            f"{where}={spec!r}: unknown backend {name!r}, expected one of auto, "
            f"{', '.join(KNOWN)}, each with an optional :device"
        )
    return name, device.strip() or None


@lru_cache(maxsize=32)
def _open(name: str, device: str | None) -> Backend:
    if name == "numpy":
        if device not in (None, "cpu"):
            raise ValueError(f"backend 'numpy:{device}': NumPy has no device but cpu")
        return Backend("numpy", np, "cpu")
    if name == "cupy":
        return _open_cupy(device)
    try:
        library = importlib.import_module(name)
    except ImportError as error:
        raise BackendUnavailable(
            f"backend {name!r} was asked for, but {name} is not installed ({error}); "
            f"install it with: pip install {name.replace('_', '-')}"
        ) from error
    if name == "torch":
        return _open_torch(library, device or "cpu")
    try:
        return Backend(name, library, library.Device(device or "CPU_DEVICE"))
    except ValueError as error:
        raise ValueError(f"backend '{name}:{device}': {one_line(error)}") from error


def _open_torch(torch: Any, device: str) -> Backend:
    try:
        target = torch.device(device)
    except RuntimeError as error:
        raise ValueError(f"backend 'torch:{device}': {one_line(error)}") from error
    try:
        torch.zeros(1, device=target)
    except (RuntimeError, AssertionError) as error:  # the latter without CUDA support
        raise BackendUnavailable(
            f"backend 'torch:{device}' was asked for, but torch cannot use it "
            f"({one_line(error)}); 'torch' is the CPU"
        ) from error
    return Backend("torch", importlib.import_module("array_api_compat.torch"), target)


def _open_cupy(device: str | None) -> Backend:
    problem = cupy_problem()
    if problem is not None:
        raise BackendUnavailable(f"backend 'cupy' was asked for, but {problem}")
    current = current_device(device)
    return Backend("cupy", importlib.import_module("array_api_compat.cupy"), current)


def _library(array: Array) -> str:
    return type(array).__module__.split(".")[0]


def _device_label(device: Device) -> str:
    text = str(device)
    # array-api-strict prints array_api_strict.Device('device1')
    return text.split("'")[1] if "'" in text else text
