"""Clipping by norm and by value."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnn_xp.backend import to_host
from rnn_xp.optim import clip_coefficient, clip_grads, clip_values, global_norm


def test_global_norm(backend):
    grads = [backend.asarray(np.array([[3.0, 0.0]])), backend.asarray(np.array([4.0]))]
    norm = global_norm(grads)
    assert tuple(norm.shape) == ()
    assert norm.device == backend.device
    assert float(to_host(norm)) == 5.0


def test_clip_grads_is_the_book(backend):
    rng = np.random.default_rng(1)
    grads = [rng.standard_normal(s) for s in [(3, 4), (5,), ()]]
    total = math.sqrt(sum(float((g**2).sum()) for g in grads))
    for max_norm in (0.25, total / 2, total * 2):
        held = [backend.asarray(g) for g in grads]
        norm = clip_grads(held, max_norm)
        assert float(to_host(norm)) == pytest.approx(total, rel=1e-14)
        rate = min(max_norm / (total + 1e-6), 1.0)
        for a, g in zip(held, grads, strict=True):
            np.testing.assert_allclose(to_host(a), g * rate, rtol=1e-14)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_gradients_that_are_not_finite_stay(bad, backend):
    grad = np.array([1.0, bad, -0.0], "float32")
    held = backend.asarray(grad)
    norm = clip_grads([held], 0.25)
    assert not math.isfinite(float(to_host(norm)))
    assert to_host(held).tobytes() == grad.tobytes()


@pytest.mark.parametrize("norm", [0.0, 0.2, 0.25, 3.0])
def test_clip_coefficient(norm, backend):
    scale, ok = clip_coefficient(backend.asarray(np.asarray(norm)), 0.25)
    assert tuple(scale.shape) == tuple(ok.shape) == ()
    assert float(to_host(scale)) == min(1.0, 0.25 / (norm + 1e-6))
    assert bool(to_host(ok)) is True


@pytest.mark.parametrize("max_norm", [None, 0.25])
@pytest.mark.parametrize("norm", [math.nan, math.inf])
def test_clip_coefficient_of_a_norm_that_is_not_finite(norm, max_norm, backend):
    scale, ok = clip_coefficient(backend.asarray(np.asarray(norm)), max_norm)
    assert bool(to_host(ok)) is False
    assert float(to_host(scale)) == 1.0


def test_no_clipping():
    scale, ok = clip_coefficient(np.asarray(1e9, "float32"), None)
    assert scale == 1.0
    assert bool(ok)


def test_clip_values(backend):
    held = backend.asarray(np.array([-7.0, -5.0, 0.5, 9.0]))
    clip_values([held], 5.0)
    np.testing.assert_array_equal(to_host(held), [-5.0, -5.0, 0.5, 5.0])


@settings(max_examples=80, deadline=None)
@given(
    values=st.lists(st.floats(-1e6, 1e6, width=32), min_size=1, max_size=20),
    max_norm=st.floats(1e-2, 1e3),
)
def test_the_norm_after_clipping_is_at_most_the_limit(values, max_norm):
    grad = np.array(values, "float32")
    before = float(clip_grads([grad], max_norm))
    after = float(np.linalg.norm(grad.astype("float64")))
    assert after <= max_norm * (1 + 1e-5)
    if before + 1e-6 < max_norm * (1 - 1e-6):
        np.testing.assert_array_equal(grad, np.array(values, "float32"))


@pytest.mark.parametrize(
    "call",
    [
        lambda: clip_grads([np.ones(2)], 0.0),
        lambda: clip_grads([np.ones(2)], math.nan),
        lambda: clip_grads([], 1.0),
        lambda: clip_values([np.ones(2)], -1.0),
    ],
)
def test_what_makes_no_sense_is_refused(call):
    with pytest.raises(ValueError, match="expected"):
        call()


@pytest.mark.parametrize("max_norm", [None, 0.25])
@pytest.mark.parametrize("loss", [1.5, math.nan, math.inf])
def test_a_loss_that_is_not_finite_stops_the_update_too(loss, max_norm, backend):
    norm = backend.asarray(np.asarray(3.0))
    scale, ok = clip_coefficient(norm, max_norm, backend.asarray(np.asarray(loss)))
    assert bool(to_host(ok)) is math.isfinite(loss)
    if max_norm is not None:
        assert float(to_host(scale)) == 0.25 / (3.0 + 1e-6)
