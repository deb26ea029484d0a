"""The array backends that the tests run on, and the patch that catches hidden host transfers.

Without a GPU, array-api-strict on its non-default device catches both a stray ``np.`` and a
forgotten ``device=``.
"""

import importlib.util
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from rnn_xp.backend import Backend, get_backend
from rnn_xp.cupy_probe import cupy_problem


@dataclass(frozen=True)
class Variant:
    """A backend, and which kernels run on it.

    `spec` is what `get_backend` takes; `mode` is ``RNN_XP_KERNELS``; `module` must be
    importable.
    """

    name: str
    spec: str
    mode: str
    module: str

    def problem(self) -> str | None:
        """Why this variant cannot run here; None if it can."""
        if importlib.util.find_spec(self.module) is None:
            return f"{self.module} is not installed"
        if self.module == "cupy":
            return cupy_problem()
        return None

    def open(self) -> Backend:
        if self.module == "torch":
            import torch

            torch.set_num_threads(1)  # for arrays this small a thread pool only gets in the way
        return get_backend(self.spec)


VARIANTS = (
    Variant("numpy", "numpy", "auto", "numpy"),
    Variant("numpy-generic", "numpy", "generic", "numpy"),
    # With Numba "numpy" runs on the compiled kernels; these are NumPy's own.
    Variant("numpy-plain", "numpy", "numpy", "numba"),
    Variant("array_api_strict", "array_api_strict:device1", "auto", "array_api_strict"),
    Variant("torch", "torch", "auto", "torch"),
    Variant("cupy", "cupy", "auto", "cupy"),
)
BY_NAME = {v.name: v for v in VARIANTS}


def required() -> set[str]:
    """``RNN_XP_TEST_REQUIRE``: modules whose absence is a failure, not a skip."""
    return set(os.environ.get("RNN_XP_TEST_REQUIRE", "").replace(",", " ").split())


def open_or_skip(variant: Variant, monkeypatch: pytest.MonkeyPatch) -> Backend:
    """The backend of a variant, with its kernel mode set; fails if it is missing but required."""
    problem = variant.problem()
    if problem is not None:
        message = f"{variant.name}: {problem}"
        if variant.module in required():
            pytest.fail(f"RNN_XP_TEST_REQUIRE asks for {message}")
        pytest.skip(message)
    monkeypatch.setenv("RNN_XP_KERNELS", variant.mode)
    return variant.open()


def available(*, twins: bool = False) -> list[Variant]:
    """The variants that can run here, without those of forced kernels unless `twins`."""
    return [v for v in VARIANTS if v.problem() is None and (twins or v.mode == "auto")]


@contextmanager
def kernel_mode(mode: str) -> Iterator[None]:
    """``RNN_XP_KERNELS`` while the block runs; layers choose their kernels at first use."""
    before = os.environ.get("RNN_XP_KERNELS")
    os.environ["RNN_XP_KERNELS"] = mode
    try:
        yield
    finally:
        if before is None:
            del os.environ["RNN_XP_KERNELS"]
        else:
            os.environ["RNN_XP_KERNELS"] = before


@contextmanager
def no_host_transfer() -> Iterator[None]:
    """Make every conversion of an array-api-strict array to a Python scalar an error.

    On a GPU such a conversion waits for the device. It is the only way from there to the
    host that needs no library call by name.
    """
    import array_api_strict

    array_type = type(array_api_strict.zeros(1))
    names = ("__float__", "__bool__", "__int__", "__index__", "__complex__")
    originals = {name: getattr(array_type, name) for name in names}

    def refuse(name: str):
        def raiser(self):
            raise AssertionError(f"hidden host transfer: {name} of an array of shape {self.shape}")

        return raiser

    for name in names:
        setattr(array_type, name, refuse(name))
    try:
        yield
    finally:
        for name, original in originals.items():
            setattr(array_type, name, original)
