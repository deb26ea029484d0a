"""The compiled optimiser updates against the generic ones, in float32."""

import math

import numpy as np
import pytest

pytest.importorskip("numba")

from kernels.test_updates import LAYOUTS, UPDATES, arrays, call

from rnn_xp.kernels.compiled import updates as compiled
from rnn_xp.kernels.cpu import threads
from rnn_xp.kernels.generic import updates as generic

RTOL = 5e-6
cases = pytest.mark.parametrize(("name", "count", "given_"), UPDATES)


@cases
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("read_only", [False, True])
def test_the_twin_is_the_generic_one(name, count, given_, layout, read_only):
    ours = [LAYOUTS[layout](a) for a in arrays(count, "float32")]
    theirs = [a.copy() for a in ours]
    ours[1].flags.writeable = not read_only
    scale, ok = np.asarray(0.3, "float32"), np.asarray(True)
    got = call(compiled, name, ours, scale=scale, ok=ok, **given_)
    expected = call(generic, name, theirs, scale=scale, ok=ok, **given_)
    for a, b in zip(got, expected, strict=True):
        assert a.dtype == b.dtype == np.float32
        np.testing.assert_allclose(a, b, rtol=RTOL, atol=RTOL)


@cases
@pytest.mark.parametrize("shape", [(), (0,), (1,), (3, 2), (2, 1, 4), (0, 3), (65536,), (65537,)])
def test_shapes(name, count, given_, shape):
    ours = [np.asarray(a) for a in arrays(count, "float32", shape)]
    theirs = [a.copy() for a in ours]
    got = call(compiled, name, ours, scale=0.5, **given_)
    expected = call(generic, name, theirs, scale=0.5, **given_)
    for a, b in zip(got, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=RTOL, atol=RTOL)


@cases
@pytest.mark.parametrize("ok", [False, np.False_, np.asarray(False)], ids=["bool", "scalar", "0-d"])
def test_not_ok_changes_no_bit(name, count, given_, ok):
    held = arrays(count, "float32", 50)
    held[1][:3] = [np.nan, np.inf, -np.inf]
    before = [a.tobytes() for a in held]
    call(compiled, name, held, ok=ok, scale=math.nan, **given_)
    assert [a.tobytes() for a in held] == before


@cases
def test_any_number_of_threads_gives_the_same_bits(name, count, given_, monkeypatch):
    results = []
    for n in (1, 2, 3):
        monkeypatch.setattr(threads, "thread_count", lambda n=n: n)
        results.append(call(compiled, name, arrays(count, "float32", 300_000), **given_))
    for other in results[1:]:
        for a, b in zip(results[0], other, strict=True):
            np.testing.assert_array_equal(a, b)


@cases
def test_an_infinite_gradient_stays_in_its_element(name, count, given_):
    held = arrays(count, "float32", 100)
    held[1][7] = np.nan
    got = call(compiled, name, held, **given_)
    assert np.isnan(got[0][7])
    assert np.isfinite(np.delete(got[0], 7)).all()
