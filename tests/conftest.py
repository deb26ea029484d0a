"""Fixtures that all tests share: the backends, and an environment without surprises."""

import hashlib
import os
from pathlib import Path

# Workers that run side by side must not share the cores with each other's BLAS threads. Read
# when NumPy is loaded.
if "PYTEST_XDIST_WORKER" in os.environ:
    for _name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(_name, "1")

import backends
import numpy as np
import pytest
import standin.compiler
import standin.modules
from hypothesis import settings

import rnn_xp
from rnn_xp.backend import get_backend

COMPILED = Path(rnn_xp.__file__).parent / "kernels" / "compiled"

# What a user has set must not decide what the tests test. At import, so that it holds for
# subprocesses and for what reads it while modules are collected.
for _name in ("RNN_BACKEND", "RNN_XP_KERNELS"):
    os.environ.pop(_name, None)

# All tests of the backend cupy without a GPU: the stand-in takes CuPy's place, in every process.
if os.environ.get("RNN_XP_TEST_CUPY") == "standin":
    standin.modules.install(pytest.MonkeyPatch())

# The same examples at every run: who changes something else shall not meet a new one. To look
# for more: pytest --hypothesis-profile=default --hypothesis-seed=random
settings.register_profile("repeatable", derandomize=True, database=None, deadline=None)
settings.load_profile("repeatable")


def pytest_configure(config):
    """Keep what Numba and g++ compile. Numba looks at one file at a time, so by all sources."""
    if "RNN_XP_STANDIN_CACHE" not in os.environ and hasattr(config, "cache"):
        os.environ["RNN_XP_STANDIN_CACHE"] = str(config.cache.mkdir("standin"))
    if "NUMBA_CACHE_DIR" not in os.environ and hasattr(config, "cache"):
        digest = hashlib.sha256()
        for source in sorted(COMPILED.glob("*.py")):
            digest.update(source.read_bytes())
        os.environ["NUMBA_CACHE_DIR"] = str(config.cache.mkdir(f"numba-{digest.hexdigest()[:16]}"))


def pytest_report_header(config):
    on, off = [], []
    for variant in backends.VARIANTS:
        problem = variant.problem()
        if problem is None:
            on.append(variant.name)
        else:
            off.append(f"array backend off: {variant.name} ({problem})")
    return [f"array backends on: {', '.join(on)}", *off]


@pytest.fixture(params=backends.VARIANTS, ids=lambda v: v.name)
def variant(request):
    """Every backend, as a `backends.Variant`."""
    return request.param


@pytest.fixture
def be(variant, monkeypatch):
    """Every backend, as a `rnn_xp.backend.Backend`, with its kernel mode set."""
    return backends.open_or_skip(variant, monkeypatch)


@pytest.fixture(
    params=[v for v in backends.VARIANTS if v.module != "array_api_strict"], ids=lambda v: v.name
)
def quick_be(request, monkeypatch):
    """The backends on which central differences of a whole layer take no minutes.

    What they leave out is compared with NumPy in the proof grid.
    """
    return backends.open_or_skip(request.param, monkeypatch)


@pytest.fixture
def strict():
    """array-api-strict on its non-default device."""
    pytest.importorskip("array_api_strict")
    return backends.BY_NAME["array_api_strict"].open()


@pytest.fixture
def torch_backend(monkeypatch):
    """torch on the CPU; skipped (or failed, if required) where torch is missing."""
    return backends.open_or_skip(backends.BY_NAME["torch"], monkeypatch)


@pytest.fixture
def cuda_standin(monkeypatch):
    """The cupy backend on the stand-in of `standin`: g++ and NumPy instead of a GPU."""
    problem = standin.compiler.problem()
    if problem is not None:
        if "g++" in backends.required():
            pytest.fail(f"RNN_XP_TEST_REQUIRE asks for g++: {problem}")
        pytest.skip(problem)
    standin.modules.install(monkeypatch)
    yield get_backend("cupy")
    standin.modules.forget()


@pytest.fixture(params=["standin", "cupy"])
def cuda_be(request, monkeypatch):
    """The cupy backend, on the stand-in and on a real device."""
    if request.param == "standin":
        return request.getfixturevalue("cuda_standin")
    return backends.open_or_skip(backends.BY_NAME["cupy"], monkeypatch)


@pytest.fixture(params=["cupy"])  # into the names of the tests, by which they are chosen
def cupy_be(monkeypatch):
    """The cupy backend on a real device; skipped (or failed, if required) where there is none."""
    be = backends.open_or_skip(backends.BY_NAME["cupy"], monkeypatch)
    if standin.modules.installed():
        pytest.skip("the stand-in for CuPy does everything at once")
    return be


@pytest.fixture
def rng():
    """NumPy generator with a fixed seed."""
    return np.random.default_rng(20240229)
