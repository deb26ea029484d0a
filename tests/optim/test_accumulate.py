"""Gradient accumulation equals one big batch."""

import numpy as np
import pytest

from rnn_xp.backend import to_host
from rnn_xp.errors import ShapeError
from rnn_xp.optim import GradientAccumulator


def least_squares(x, y, W):
    """Gradient of the mean over rows of ``|x W - y|^2``."""
    return 2 * x.T @ (x @ W - y) / len(x)


@pytest.mark.parametrize("on_device", [False, True])
def test_is_the_gradient_of_one_big_batch(on_device, backend):
    rng = np.random.default_rng(3)
    x, y, W = rng.standard_normal((12, 4)), rng.standard_normal((12, 2)), np.ones((4, 2))
    grad = backend.zeros((4, 2), "float64")
    accumulator = GradientAccumulator([grad])
    for _ in range(2):  # it starts anew after each mean
        for rows in (slice(0, 5), slice(5, 6), slice(6, 12)):
            grad[...] = backend.asarray(least_squares(x[rows], y[rows], W))
            count = rows.stop - rows.start
            accumulator.add(backend.asarray(np.asarray(float(count))) if on_device else count)
        kept = to_host(grad).copy()
        (mean,) = accumulator.mean()
        np.testing.assert_allclose(to_host(mean), least_squares(x, y, W), rtol=1e-13)
        np.testing.assert_array_equal(to_host(grad), kept)
        assert mean.device == backend.device


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_numpy_counts_do_not_change_the_dtype(dtype):
    grad = np.full(3, 2.0, dtype)
    accumulator = GradientAccumulator([grad])
    for _ in range(3):
        accumulator.add(np.int64(7))
    (mean,) = accumulator.mean()
    assert mean.dtype == dtype
    np.testing.assert_allclose(mean, 2.0, rtol=1e-6)


@pytest.mark.parametrize("on_device", [False, True])
def test_no_token_at_all_gives_zeros(on_device, backend):
    accumulator = GradientAccumulator([backend.asarray(np.ones(3))])
    for _ in range(2):
        accumulator.add(backend.asarray(np.asarray(0.0)) if on_device else 0)
    np.testing.assert_array_equal(to_host(accumulator.mean()[0]), np.zeros(3))


def test_what_makes_no_sense_is_refused():
    with pytest.raises(ShapeError, match="no gradients"):
        GradientAccumulator([])
    accumulator = GradientAccumulator([np.ones(3)])
    with pytest.raises(ValueError, match="call add"):
        accumulator.mean()
    with pytest.raises(ValueError, match="count is -1"):
        accumulator.add(-1)
