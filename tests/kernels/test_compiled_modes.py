"""When the compiled kernels are taken, what is said when they are not, and where they are kept."""

import os
import subprocess
import sys
from importlib import metadata

import pytest

from rnn_xp import numba_probe
from rnn_xp.backend import get_backend
from rnn_xp.kernels import kernel_report
from rnn_xp.kernels.choice import compiled_problem
from rnn_xp.numba_probe import numba_problem

needs_numba = pytest.mark.skipif(numba_problem() is not None, reason=str(numba_problem()))

STEP = """
import sys
import numpy as np
from rnn_xp.layers import TimeLSTM
layer = TimeLSTM.create(3, 5, rng=0)
hs = layer.forward(np.ones((2, 4, 3), "float32"))
layer.backward(hs)
print(layer.kernels.compiled != frozenset(), "numba" in sys.modules, float(hs.sum()))
"""


def python(code, *, warned="", **env):
    """What a fresh interpreter prints, as words; it warns of what `warned` says, or of nothing."""
    done = subprocess.run(
        [sys.executable, "-W", "default" if warned else "error", "-c", code],
        env=os.environ | env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.count(warned) == 1 if warned else not done.stderr, done.stderr
    return done.stdout.split()


@pytest.fixture
def fresh_probe():
    numba_probe.numba_problem.cache_clear()
    yield
    numba_probe.numba_problem.cache_clear()


def test_the_package_imports_without_numba():
    assert python("import rnn_xp, rnn_xp.layers, sys; print('numba' in sys.modules)") == ["False"]


@needs_numba
def test_float32_on_numpy_is_compiled_and_float64_is_not(monkeypatch):
    numpy = get_backend("numpy")
    for mode in ("auto", "strict"):
        monkeypatch.setenv("RNN_XP_KERNELS", mode)
        report = kernel_report(numpy.kernels("float32"))
        assert report["lstm_forward"] == report["adam_update"] == "compiled"
        assert report["embedding_forward"] == "fast"
        assert "compiled" not in kernel_report(numpy.kernels("float64")).values()
    for mode, kind in (("numpy", "fast"), ("generic", "generic")):
        monkeypatch.setenv("RNN_XP_KERNELS", mode)
        assert kernel_report(numpy.kernels("float32"))["lstm_forward"] == kind
        assert not numpy.kernels("float32").compiled


@needs_numba
def test_forced_modes_do_not_import_numba():
    assert python(STEP)[:2] == ["True", "True"]
    for mode in ("numpy", "generic"):
        assert python(STEP, RNN_XP_KERNELS=mode)[:2] == ["False", "False"]


@needs_numba
def test_no_folder_for_the_cache(tmp_path):
    """None that can be written to, of the package or the user: compiled, not kept, and said."""
    nowhere = tmp_path / "file"
    nowhere.write_text("")
    hidden = {"NUMBA_CACHE_LOCATOR_CLASSES": "UserProvidedCacheLocator"}
    code = "from rnn_xp.kernels.compiled.jit import cache_on_disk; print(cache_on_disk())"
    env = {"NUMBA_CACHE_DIR": f"{nowhere}/x", **hidden}
    said = "RuntimeWarning: no folder to keep compiled kernels in"
    assert python(code, **env, warned=said) == ["False"]
    assert python(STEP, **env, warned=said) == python(STEP)
    kept = tmp_path / "kept"
    env = {"NUMBA_CACHE_DIR": str(kept), **hidden}
    assert python(code, **env) == ["True"]
    assert python(STEP, **env) == python(STEP)
    assert list(kept.rglob("*.nbi"))


def test_why_numba_is_not_used(monkeypatch, fresh_probe):
    assert compiled_problem("cupy", "auto") == "they are for NumPy, not cupy"
    assert compiled_problem("numpy", "generic") == "RNN_XP_KERNELS=generic goes without them"
    monkeypatch.setattr(numba_probe.importlib.util, "find_spec", lambda name: None)
    assert compiled_problem("numpy", "auto") == (
        "numba is not installed; install it with: pip install 'rnn-xp[fast]'"
    )


@needs_numba
def test_an_old_numba_and_one_that_refuses_numpy(monkeypatch, fresh_probe):
    monkeypatch.setattr(metadata, "version", lambda name: "0.60.0")
    assert numba_problem() == "numba 0.60.0 is too old; install 0.61 or newer"
    numba_probe.numba_problem.cache_clear()
    monkeypatch.setattr(metadata, "version", lambda name: "0.99.1")

    def refuse(name):
        raise ImportError("Numba needs NumPy 2.1 or less. Got NumPy 2.9.")

    monkeypatch.setattr(numba_probe.importlib, "import_module", refuse)
    assert numba_problem() == (
        "numba 0.99.1 cannot be imported (Numba needs NumPy 2.1 or less. Got NumPy 2.9.)"
    )
