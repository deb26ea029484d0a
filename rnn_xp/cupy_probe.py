"""Whether CuPy can be used on this machine, proved once and remembered; on which device."""

import importlib
from functools import lru_cache
from typing import Any

from rnn_xp._typing import Device
from rnn_xp.errors import BackendUnavailable


@lru_cache(maxsize=1)
def cupy_problem() -> str | None:
    """Why CuPy cannot be used here, and how to mend it; None if it can.

    ``import cupy`` succeeds without a driver, and ``is_available`` says yes without the
    libraries that compile kernels, so usable means proved: an element-wise operation, a
    product and a raw kernel are run once.
    """
    try:
        cupy = importlib.import_module("cupy")
    except ImportError as error:
        return (
            f"CuPy is not installed ({one_line(error)}); install it with: "
            "pip install 'rnn-xp[cuda13]' (CUDA 13) or 'rnn-xp[cuda12]' (CUDA 12)"
        )
    except Exception as error:  # a broken or mismatched CuPy raises what it happens to meet
        return (
            f"CuPy cannot be loaded ({type(error).__name__}: {one_line(error)}); "
            "reinstall it for your CUDA version"
        )
    try:
        version = cupy.cuda.runtime.driverGetVersion()
    except Exception as error:  # CuPy raises several unrelated classes
        return f"the CUDA driver does not answer ({one_line(error)}); check nvidia-smi"
    if version == 0:
        return "no NVIDIA driver is installed; install one (nvidia-smi must list a device)"
    try:
        count = cupy.cuda.runtime.getDeviceCount()
    except Exception as error:
        return (
            f"the CUDA driver finds no device ({one_line(error)}); check nvidia-smi and "
            "CUDA_VISIBLE_DEVICES"
        )
    if count == 0:
        return "the CUDA driver finds no device; check nvidia-smi and CUDA_VISIBLE_DEVICES"
    try:
        _prove_cupy(cupy)
    except Exception as error:
        return (
            f"a CUDA device answers, but CuPy cannot compute on it ({one_line(error)}); "
            "install the toolkit libraries with: pip install 'rnn-xp[cuda13]' (CUDA 13) or "
            "'rnn-xp[cuda12]' (CUDA 12)"
        )
    return None


def _prove_cupy(cupy: Any) -> None:
    a = cupy.ones((4, 4), dtype=cupy.float32)
    kernel = cupy.RawKernel(
        'extern "C" __global__ void rnn_xp_probe(float* a) { a[threadIdx.x] += 1.0f; }',
        "rnn_xp_probe",
    )
    product = (a + a) @ a
    kernel((1,), (16,), (product,))
    if float(product.sum()) != 16 * 9.0:
        raise RuntimeError("wrong result from a test computation")


def current_device(wanted: str | None) -> Device:
    """CuPy's current device, if that is the one whose number is `wanted` (None: any).

    Raises
    ------
    ValueError
        If there is no such device.
    BackendUnavailable
        If it is another one: CuPy computes on the current device wherever the arrays are.
    """
    cupy = importlib.import_module("cupy")
    current = cupy.cuda.Device()
    count = cupy.cuda.runtime.getDeviceCount()
    if wanted is not None and not (wanted.isdigit() and int(wanted) < count):
        raise ValueError(f"backend 'cupy:{wanted}': expected a device number from 0 to {count - 1}")
    if wanted is not None and int(wanted) != current.id:
        raise BackendUnavailable(
            f"backend 'cupy:{wanted}' was asked for, but device {current.id} is the current one; "
            f"set CUDA_VISIBLE_DEVICES={wanted} and use 'cupy', or call "
            f"cupy.cuda.Device({wanted}).use() first"
        )
    return current


def one_line(error: BaseException) -> str:
    """Return the message of an error in at most 300 characters of one line."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 300 else text[:297] + "..."
