"""The table of kernels: complete, consistent, and with a specification for every entry."""

import importlib
import inspect

import numpy as np
import pytest

from rnn_xp.backend import get_backend
from rnn_xp.errors import StaleCacheError
from rnn_xp.kernels import GENERIC, PRIMITIVES, Workspace, kernel_report
from rnn_xp.layers import TimeGRU, TimeLSTM, TimeRNN
from rnn_xp.numba_probe import numba_problem

ROOMS = ("cpu", "cuda", *(["compiled"] if numba_problem() is None else []))
# Functions that share the format of what one keeps for the other.
PAIRS = [(p, p.replace("forward", "backward")) for p in PRIMITIVES if p.endswith("_forward")]


@pytest.fixture(params=ROOMS)
def fast(request):
    """The fast kernels of a room, as the selector finds them."""
    return importlib.import_module(f"rnn_xp.kernels.{request.param}").FAST


def test_every_entry_of_the_specification_is_generic_and_documented():
    for primitive in PRIMITIVES:
        function = getattr(GENERIC, primitive)
        assert function.__module__.startswith("rnn_xp.kernels.generic.")
        assert function.__name__ == primitive
        assert len(inspect.getdoc(function).splitlines()[0]) > 20


def test_fast_kernels_replace_primitives(fast):
    names = [name for candidate in fast for name in candidate.functions]
    assert set(names) <= set(PRIMITIVES)
    assert len(names) == len(set(names))
    for candidate in fast:
        assert candidate.dtypes
        assert candidate.dtypes <= {"float32", "float64"}


def test_forward_and_backward_are_replaced_together(fast):
    for candidate in fast:
        for forward, backward in PAIRS:
            assert (forward in candidate.functions) == (backward in candidate.functions)


def test_fast_kernels_have_the_signature_of_the_specification(fast):
    for candidate in fast:
        assert candidate.precise <= set(candidate.functions)
        for name, function in candidate.functions.items():
            given = list(inspect.signature(function).parameters.values())
            if name in candidate.precise:
                precision = given.pop()
                assert (precision.name, precision.default) == ("precision", "float32")
            wanted = inspect.signature(getattr(GENERIC, name)).parameters.values()
            assert [(p.name, p.kind, p.default) for p in given] == [
                (p.name, p.kind, p.default) for p in wanted
            ], name


def test_every_pair_of_numpy_recurrent_kernels_is_fast(monkeypatch):
    monkeypatch.setenv("RNN_XP_KERNELS", "numpy")
    report = kernel_report(get_backend("numpy").kernels("float32"))
    for forward, backward in PAIRS:
        assert report[forward] == report[backward] == "fast"
    assert report["affine_softmax_cross_entropy"] == "fast"
    assert set(kernel_report(GENERIC).values()) == {"generic"}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_strict_mode_refuses_nothing_that_numpy_does(dtype, monkeypatch):
    monkeypatch.setenv("RNN_XP_KERNELS", "strict")
    for cls in (TimeRNN, TimeLSTM, TimeGRU):
        layer = cls.create(2, 3, dtype=dtype)
        layer.backward(layer.forward(np.ones((2, 4, 2), dtype)))


def test_a_table_is_frozen():
    with pytest.raises(AttributeError):
        GENERIC.rnn_forward = None


# ---- the workspace


def test_buffers_are_reused():
    work, like = Workspace(), np.zeros(1, np.float32)
    a = work.get("a", (2, 3), like)
    assert a.shape == (2, 3)
    assert a.dtype == np.float32
    assert work.get("a", (2, 3), like) is a
    assert work.get("b", (2, 3), like) is not a
    assert work.get("a", (3, 2), like) is not a
    assert work.get("b", (2, 3), np.zeros(1)).dtype == np.float64
    assert len(work.buffers()) == 2
    bits = work.get("bits", (2, 3), like, dtype="uint16")
    assert bits.dtype == np.uint16
    assert work.get("bits", (2, 3), like, dtype="uint16") is bits


def test_buffers_live_where_their_example_does(be):
    like = be.zeros((1,), "float64")
    buffer = Workspace().get("a", (2,), like)
    assert buffer.device == like.device
    assert buffer.dtype == like.dtype


def test_generations():
    work = Workspace()
    first = work.renew()
    work.check(first, "somewhere")
    second = work.renew()
    work.check(second, "somewhere")
    with pytest.raises(StaleCacheError, match="somewhere: the buffers of this forward pass"):
        work.check(first, "somewhere")


@pytest.mark.parametrize("name", ["rnn", "lstm", "gru"])
def test_a_stale_cache_is_refused_or_still_right(name):
    """Two forward passes on one workspace, then the backward pass of the first one."""
    table = get_backend("numpy").kernels("float64")
    rng = np.random.default_rng(0)
    gates = {"rnn": 1, "lstm": 4, "gru": 3}[name]
    T, N, D, H = 3, 2, 2, 4
    weights = [rng.standard_normal(s) for s in ((D, gates * H), (H, gates * H), (gates * H,))]
    states = [np.zeros((N, H))] * (2 if name == "lstm" else 1)
    forward, backward = getattr(table, f"{name}_forward"), getattr(table, f"{name}_backward")
    dhs = rng.standard_normal((T, N, H))
    nothing = [None] * len(states)

    def run(x, workspace):
        *_, cache = forward(x, *weights, *states, None, keep=True, workspace=workspace)
        return cache

    def gradient(cache, workspace):
        grads = [np.empty_like(w) for w in weights]
        dx, *_ = backward(dhs, *nothing, cache, grads, workspace=workspace)
        return [dx.copy(), *grads]

    first, second = rng.standard_normal((2, T, N, D))
    expected = gradient(run(first, None), None)
    work = Workspace()
    cache = run(first, work)
    for a, b in zip(gradient(cache, work), expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-14)
    cache = run(first, work)
    run(second, work)
    with pytest.raises(StaleCacheError, match=f"{name}_backward"):
        gradient(cache, work)
