"""Choosing a backend: the environment, explicit requests, the fallback, and what it says."""

import os
import subprocess
import sys
import types
import warnings

import numpy as np
import pytest
from backends import BY_NAME, available

from rnn_xp import backend
from rnn_xp.backend import (
    KNOWN,
    backend_of,
    cupy_problem,
    default_backend,
    get_backend,
)
from rnn_xp.errors import BackendFallbackWarning, BackendUnavailable
from rnn_xp.layers import TimeLSTM


@pytest.fixture
def fresh():
    """No answer of an earlier test is remembered, and none of this one afterwards."""

    def clear():
        for cached in (backend.cupy_problem, backend._warn_once, backend._open):
            cached.cache_clear()

    clear()
    yield
    clear()


@pytest.fixture
def no_cupy(fresh, monkeypatch):
    """`import cupy` fails, as where CuPy is not installed."""
    monkeypatch.setitem(sys.modules, "cupy", None)


def fake_cupy(*, version=13000, devices=1, product=144.0, error=None):
    """A module that looks like CuPy on a machine with such a driver."""

    class Array:
        def __add__(self, other):
            return self

        def __matmul__(self, other):
            return self

        def sum(self):
            return product

    def kernel(code, name):
        if error is not None:
            raise error
        return lambda *args: None

    def answer(value):
        def ask():
            if isinstance(value, Exception):
                raise value
            return value

        return ask

    runtime = types.SimpleNamespace(
        driverGetVersion=answer(version), getDeviceCount=answer(devices)
    )
    module = types.ModuleType("cupy")
    module.cuda = types.SimpleNamespace(
        runtime=runtime, Device=lambda n=0: types.SimpleNamespace(id=n)
    )
    module.float32 = "float32"
    module.ones = lambda *args, **kwargs: Array()
    module.RawKernel = kernel
    return module


# ---- the environment variable


def test_numpy_is_the_default():
    be = get_backend()
    assert (be.name, be.xp, be.device, be.label) == ("numpy", np, "cpu", "numpy")


@pytest.mark.parametrize("value", ["", "  ", "numpy", "NumPy", "numpy:cpu", " numpy "])
def test_spellings_of_numpy(value, monkeypatch):
    monkeypatch.setenv("RNN_BACKEND", value)
    assert get_backend().name == "numpy"


def test_the_variable_is_read_when_needed_and_may_change(strict, monkeypatch):
    monkeypatch.setenv("RNN_BACKEND", "array_api_strict:device1")
    assert get_backend() == strict
    layer = TimeLSTM.create(2, 3)
    assert backend_of(layer.params[0]) == strict
    monkeypatch.setenv("RNN_BACKEND", "numpy")
    assert isinstance(TimeLSTM.create(2, 3).params[0], np.ndarray)
    monkeypatch.delenv("RNN_BACKEND")
    assert get_backend().name == "numpy"
    assert layer.forward(strict.zeros((1, 1, 2), "float32")).device == strict.device


def test_the_variable_is_not_read_at_import():
    code = "import rnn_xp, rnn_xp.layers, rnn_xp.backend; print('imported')"
    env = os.environ | {"RNN_BACKEND": "nonsense", "RNN_XP_KERNELS": "nonsense"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True
    )
    assert done.stdout == "imported\n"


@pytest.mark.parametrize("spec", ["jax", "", "cuda:0", ":1"])
def test_an_unknown_name_lists_the_known_ones(spec, monkeypatch):
    with pytest.raises(ValueError, match="unknown backend") as caught:
        get_backend(spec)
    message = str(caught.value)
    assert all(name in message for name in (*KNOWN, "auto"))
    assert "\n" not in message


def test_an_unknown_name_in_the_environment_says_where_it_comes_from(monkeypatch):
    monkeypatch.setenv("RNN_BACKEND", "jax")
    with pytest.raises(ValueError, match="RNN_BACKEND='jax': unknown backend 'jax'"):
        get_backend()


# ---- CuPy that cannot be used


def test_fallback_warns_once_with_reason_and_remedy(no_cupy, monkeypatch):
    monkeypatch.setenv("RNN_BACKEND", "cupy")
    with pytest.warns(BackendFallbackWarning) as caught:
        assert get_backend().name == "numpy"
    assert len(caught) == 1
    message = str(caught[0].message)
    assert message.startswith("RNN_BACKEND=cupy: CuPy is not installed")
    assert "pip install 'rnn-xp[cuda13]'" in message
    assert "NumPy" in message
    assert "\n" not in message
    assert caught[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert get_backend().name == default_backend().name == "numpy"


def test_fallback_of_this_machine(fresh, monkeypatch):
    """With the CuPy that is installed here, or not, and the driver that is here, or not."""
    monkeypatch.setenv("RNN_BACKEND", "cupy")
    if cupy_problem() is None:
        assert get_backend().name == "cupy"
        return
    with pytest.warns(BackendFallbackWarning, match="RNN_BACKEND=cupy: .*; .*NumPy"):
        be = get_backend()
    assert be.name == "numpy"
    layer = TimeLSTM.create(2, 3)
    assert isinstance(layer.forward(np.zeros((1, 1, 2), np.float32)), np.ndarray)


def test_a_script_runs_unchanged_without_a_gpu():
    code = (
        "import sys; sys.modules['cupy'] = None\n"
        "from rnn_xp.layers import TimeGRU\n"
        "a, b = TimeGRU.create(2, 3), TimeGRU.create(2, 3)\n"
        "print(type(a.params[0]).__module__)\n"
    )
    env = os.environ | {"RNN_BACKEND": "cupy"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True
    )
    assert done.stdout == "numpy\n"
    assert done.stderr.count("BackendFallbackWarning") == 1
    assert "CuPy is not installed" in done.stderr


@pytest.mark.parametrize("spec", ["cupy", "cupy:0"])
def test_an_explicit_request_raises(spec, no_cupy):
    with pytest.raises(BackendUnavailable, match=r"CuPy is not installed.*pip install") as caught:
        get_backend(spec)
    assert "\n" not in str(caught.value)
    with pytest.raises(BackendUnavailable):
        TimeLSTM.create(2, 3, backend=spec)


def test_auto_is_silent(no_cupy, monkeypatch):
    assert get_backend("auto").name == "numpy"
    monkeypatch.setenv("RNN_BACKEND", "auto")
    assert get_backend().name == "numpy"


class CudaError(Exception):
    pass


@pytest.mark.parametrize(
    ("module", "problem"),
    [
        (fake_cupy(version=0), "no NVIDIA driver is installed; install one"),
        (fake_cupy(version=CudaError("bad\n driver")), r"driver does not answer \(bad driver\)"),
        (fake_cupy(devices=CudaError("none")), r"finds no device \(none\).*CUDA_VISIBLE_DEVICES"),
        (fake_cupy(devices=0), "finds no device; check nvidia-smi"),
        (fake_cupy(error=ImportError("libnvrtc.so.13")), "libnvrtc.so.13.*pip install"),
        (fake_cupy(product=1.0), "cannot compute on it.*wrong result"),
    ],
)
def test_each_way_to_be_unusable_is_named(module, problem, fresh, monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", module)
    with pytest.raises(BackendUnavailable, match=problem) as caught:
        get_backend("cupy")
    assert "\n" not in str(caught.value)


def test_usable_means_proved(fresh, monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", fake_cupy(devices=2))
    assert cupy_problem() is None
    with pytest.raises(ValueError, match="expected a device number from 0 to 1"):
        get_backend("cupy:2")
    with pytest.raises(ValueError, match="expected a device number from 0 to 1"):
        get_backend("cupy:first")


def test_a_missing_library_is_named(fresh, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(
        BackendUnavailable, match=r"but torch is not installed .* pip install torch$"
    ):
        get_backend("torch")


# ---- devices


def test_unknown_devices(strict):
    with pytest.raises(ValueError, match="NumPy has no device but cpu"):
        get_backend("numpy:0")
    with pytest.raises(ValueError, match="array_api_strict:nowhere"):
        get_backend("array_api_strict:nowhere")


def test_torch_devices(torch_backend):
    import torch

    with pytest.raises(ValueError, match="torch:nowhere"):
        get_backend("torch:nowhere")
    if not torch.cuda.is_available():
        with pytest.raises(BackendUnavailable, match=r"torch:cuda.* torch cannot use it"):
            get_backend("torch:cuda")


def test_labels_name_their_backend_again():
    for variant in available():
        be = variant.open()
        assert get_backend(be.label) == be
        assert get_backend(be) is be
    assert BY_NAME["array_api_strict"].spec == get_backend(BY_NAME["array_api_strict"].spec).label
