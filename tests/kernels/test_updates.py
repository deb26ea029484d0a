"""Update kernels: the NumPy twins against the generic ones, and what both promise."""

import inspect
import math
import tracemalloc

import array_api_strict
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnn_xp.backend import get_backend, to_host
from rnn_xp.kernels.cpu import updates as cpu
from rnn_xp.kernels.generic import updates as generic
from rnn_xp.optim import clip_coefficient

# Name of the update, state arrays, settings to try.
UPDATES = [
    ("sgd_update", 0, {"lr": 0.1}),
    ("sgd_update", 0, {"lr": 0.1, "weight_decay": 0.01}),
    ("momentum_update", 1, {"lr": 0.1, "momentum": 0.9}),
    ("nesterov_update", 1, {"lr": 0.1, "momentum": 0.9}),
    ("adagrad_update", 1, {"lr": 0.1}),
    ("rmsprop_update", 1, {"lr": 0.1, "decay": 0.95, "eps": 1e-8}),
    ("adam_update", 2, {"lr": 0.1}),
    ("adam_update", 2, {"lr": 0.1, "beta1": 0.0, "weight_decay": 0.1}),
    ("adam_update", 2, {"lr": 0.1, "weight_decay": 0.1, "decoupled": True, "eps_hat": False}),
]
RTOL = {"float32": 1e-5, "float64": 1e-13}
LAYOUTS = {
    "vector": lambda a: a,
    "fortran": lambda a: a.reshape(-1, 7).T,
    "every other": lambda a: np.repeat(a, 2)[::2],
    "columns": lambda a: np.pad(a.reshape(-1, 7), ((0, 0), (0, 3)))[:, :7],
    "reversed": lambda a: a[::-1],
}
SIZE = 7 * 20_011  # several blocks and a rest


def arrays(count, dtype, size=SIZE, seed=0):
    """Parameter, gradient, and state arrays that are not negative."""
    rng = np.random.default_rng(seed)
    p, g = (rng.standard_normal(size).astype(dtype) for _ in range(2))
    return [p, g, *(rng.random(size).astype(dtype) for _ in range(count))]


def call(module, name, held, **settings_):
    counter = [np.asarray(2.0, held[0].dtype)] if name == "adam_update" else []
    getattr(module, name)(*held, *counter, **settings_)
    return [held[0], *held[2:], *counter]


@pytest.mark.parametrize("name", sorted(cpu.UPDATES.functions))
def test_signatures_are_the_same(name):
    assert inspect.signature(getattr(cpu, name)) == inspect.signature(getattr(generic, name))


@pytest.mark.parametrize(("name", "count", "given_"), UPDATES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_twin_is_the_generic_one(name, count, given_, dtype, layout):
    ours = [LAYOUTS[layout](a) for a in arrays(count, dtype)]
    theirs = [a.copy() for a in ours]
    ours[1].flags.writeable = False
    scale, ok = np.asarray(0.3, dtype), np.asarray(True)
    got = call(cpu, name, ours, scale=scale, ok=ok, **given_)
    expected = call(generic, name, theirs, scale=scale, ok=ok, **given_)
    for a, b in zip(got, expected, strict=True):
        assert a.dtype == b.dtype == dtype
        np.testing.assert_allclose(a, b, rtol=RTOL[dtype], atol=RTOL[dtype])


@settings(max_examples=150, deadline=None)
@given(
    case=st.sampled_from(UPDATES),
    dtype=st.sampled_from(["float32", "float64"]),
    shape=st.sampled_from([(), (0,), (1,), (3, 2), (2, 1, 4), (0, 3)]),
    scale=st.sampled_from([1.0, 0.5, 1e-3]),
    seed=st.integers(0, 1000),
)
def test_small_shapes(case, dtype, shape, scale, seed):
    name, count, given_ = case
    ours = arrays(count, dtype, shape, seed)
    ours = [np.asarray(a) for a in ours]
    theirs = [a.copy() for a in ours]
    got = call(cpu, name, ours, scale=scale, **given_)
    expected = call(generic, name, theirs, scale=scale, **given_)
    for a, b in zip(got, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=RTOL[dtype], atol=RTOL[dtype])


@pytest.mark.parametrize(("name", "count", "given_"), UPDATES)
@pytest.mark.parametrize("module", [generic, cpu], ids=["generic", "cpu"])
@pytest.mark.parametrize("ok", [False, np.False_, np.asarray(False)], ids=["bool", "scalar", "0-d"])
@pytest.mark.parametrize("scale", [1.0, 0.0, math.nan])
def test_not_ok_changes_no_bit(name, count, given_, module, ok, scale):
    held = arrays(count, "float32", 50)
    held[0][3] = -0.0
    held[1][:6] = [np.nan, np.inf, -np.inf, 1.0, 3e38, -3e38]
    before = [a.tobytes() for a in held]
    after = call(module, name, held, ok=ok, scale=scale, **given_)
    assert [a.tobytes() for a in held] == before
    if name == "adam_update":
        assert float(after[-1]) == 2.0


@pytest.mark.parametrize(("name", "count", "given_"), UPDATES)
def test_nothing_of_the_size_of_the_parameters_is_allocated(name, count, given_):
    held = arrays(count, "float32", 2_000_000)
    tracemalloc.start()
    call(cpu, name, held, scale=0.5, **given_)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1_000_000


class TestGlobalNorm:
    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    @pytest.mark.parametrize("layout", LAYOUTS)
    def test_the_twin_is_the_generic_one(self, dtype, layout):
        held = [LAYOUTS[layout](a) for a in arrays(1, dtype)]
        kept = [a.copy() for a in held]
        for a in held:
            a.flags.writeable = False
        got = cpu.global_norm(held)
        assert got.shape == ()
        assert got.dtype == dtype
        np.testing.assert_allclose(got, generic.global_norm(held), rtol=RTOL[dtype])
        exact = math.sqrt(math.fsum(float(x) ** 2 for a in held for x in a.ravel()))
        np.testing.assert_allclose(got, exact, rtol=RTOL[dtype] / 4)
        for a, b in zip(held, kept, strict=True):
            np.testing.assert_array_equal(a, b)

    @pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
    @pytest.mark.parametrize("module", [generic, cpu], ids=["generic", "cpu"])
    def test_what_is_not_finite_comes_out_quietly(self, module, bad):
        norm = module.global_norm([np.ones(3, "float32"), np.array([1.0, bad], "float32")])
        assert not np.isfinite(norm)

    def test_an_overflow_comes_out_quietly(self):
        assert cpu.global_norm([np.full(3, 1e30, "float32")]) == np.inf
        assert cpu.global_norm([np.full(3, 1e300)]) == np.inf

    @pytest.mark.parametrize("module", [generic, cpu], ids=["generic", "cpu"])
    def test_empty(self, module):
        assert module.global_norm([np.zeros((0, 3)), np.zeros(0)]) == 0.0
        with pytest.raises(ValueError, match="at least one array"):
            module.global_norm([])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("norm", [0.0, 0.2, 0.25, 0.3, 7.7, 1e30, np.inf, np.nan])
@pytest.mark.parametrize("loss", [None, 2.0, np.nan])
@pytest.mark.parametrize("max_norm", [None, 0.25])
def test_the_coefficient_has_the_bits_of_the_generic_one(norm, loss, max_norm, dtype):
    given = [a if a is None else np.asarray(a, dtype) for a in (norm, loss)]
    got = cpu.clip_coefficient(given[0], max_norm, given[1])
    expected = generic.clip_coefficient(given[0], max_norm, given[1])
    assert [np.asarray(a).tobytes() for a in got] == [np.asarray(a).tobytes() for a in expected]
    assert [np.asarray(a).dtype for a in got] == [np.asarray(a).dtype for a in expected]


@pytest.mark.parametrize(("name", "count", "given_"), UPDATES)
@pytest.mark.parametrize("bad", [0.5, np.nan])
def test_a_clipped_generic_update_never_asks_for_a_value(name, count, given_, bad, monkeypatch):
    strict = get_backend("array_api_strict:device1")
    held = [strict.asarray(a) for a in arrays(count, "float32", 6)]
    held[1][2] = bad
    if name == "adam_update":
        held.append(strict.zeros((), "float32"))
    before = [to_host(a) for a in held]

    def refuse(self):
        raise AssertionError("a value was read on the host")

    for method in ("__bool__", "__float__", "__int__", "__index__", "__complex__"):
        monkeypatch.setattr(type(held[0]), method, refuse)
    scale, ok = clip_coefficient(generic.global_norm([held[1]]), 0.25)
    getattr(generic, name)(*held, scale=scale, ok=ok, **given_)
    monkeypatch.undo()
    changed = [
        i for i, (a, b) in enumerate(zip(held, before, strict=True)) if np.any(to_host(a) != b)
    ]
    gradient = [1] if math.isnan(bad) else []  # NaN differs from itself
    assert changed == (gradient or [i for i in range(len(held)) if i != 1])
    assert held[0].device == array_api_strict.Device("device1")


def test_the_bias_correction_does_not_cancel():
    t, beta = np.asarray(3.0, "float32"), 1 - 1e-9
    got = float(generic._one_minus_power(np, beta, t))
    assert got == pytest.approx(3e-9, rel=1e-6)
    assert cpu.one_minus_power(beta, 3.0) == pytest.approx(3e-9, rel=1e-6)
