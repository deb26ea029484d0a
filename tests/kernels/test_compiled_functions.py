"""tanh, sigmoid and exp of the compiled kernels: accuracy, limits, NaN."""

import numpy as np
import pytest

numba = pytest.importorskip("numba")

from rnn_xp.kernels.compiled import functions, loss  # noqa: E402


@numba.njit
def map_tanh(x, out):
    for k in range(x.size):
        out[k] = functions.tanh(x[k])


@numba.njit
def map_sigmoid(x, out):
    for k in range(x.size):
        out[k] = functions.sigmoid(x[k])


@numba.njit
def map_exp(x, out):
    for k in range(x.size):
        out[k] = functions.exp_of_negative(x[k])


def apply(mapped, x):
    x = np.asarray(x, np.float32)
    out = np.empty_like(x)
    mapped(x, out)
    return out


def errors(got, exact):
    """In units of the last place of the exact value."""
    return np.abs(got.astype(np.float64) - exact) / np.spacing(np.abs(exact).astype(np.float32))


def everywhere(low, high, count=2_000_000):
    """Evenly spaced numbers, and numbers of all magnitudes down to the smallest normal ones."""
    small = np.geomspace(1.2e-38, high, count // 4)
    return np.concatenate(
        [np.linspace(low, high, count), small[small <= high], -small[small <= -low]]
    ).astype(np.float32)


def test_tanh():
    x = everywhere(-12, 12)
    got = apply(map_tanh, x)
    exact = np.tanh(x.astype(np.float64))
    assert errors(got, exact).max() < 1.1
    assert np.abs(got - exact).max() < 6.5e-8
    assert np.abs(got).max() == 1.0
    np.testing.assert_array_equal(got, -apply(map_tanh, -x))


def test_tanh_where_the_two_formulas_meet():
    """Every float32 number from 0.65 to 0.8: the worst of all numbers is among them."""
    first, last = np.float32([0.65, 0.8]).view(np.int32)
    x = np.arange(first, last, dtype=np.int32).view(np.float32)
    got = apply(map_tanh, x)
    assert errors(got, np.tanh(x.astype(np.float64))).max() < 1.1
    steps = np.diff(got)
    assert steps.min() >= -np.spacing(np.float32(0.5))


def test_sigmoid():
    x = everywhere(-87, 87)
    got = apply(map_sigmoid, x)
    exact = 1 / (1 + np.exp(-x.astype(np.float64)))
    off = errors(got, exact)
    assert off.max() < 2.5
    assert off[x > 0].max() < 1.25
    assert np.abs(got - exact).max() < 7.5e-8
    assert got.min() >= np.finfo(np.float32).tiny
    assert got.max() <= 1.0


def test_exp():
    x = -everywhere(0, 87)
    x = x[x <= 0]
    got = apply(map_exp, x)
    assert errors(got, np.exp(x.astype(np.float64))).max() < 1.1
    assert got.max() == 1.0
    assert got.min() >= np.finfo(np.float32).tiny  # no denormal number
    np.testing.assert_array_equal(apply(map_exp, [-87.1, -104, -1e4, -3e38, -np.inf]), 0)


@pytest.mark.parametrize("mapped", [map_tanh, map_sigmoid, map_exp])
def test_nan_stays_nan(mapped):
    """Alone and inside a vector register."""
    for size in (1, 7, 64, 1000):
        x = np.full(size, -0.5, np.float32)
        for value in (np.nan, -np.nan):
            x[size // 2] = value
            got = apply(mapped, x)
            assert np.isnan(got[size // 2])
            assert np.isfinite(got).sum() == size - 1


def test_limits_and_signs():
    got = apply(map_tanh, [np.inf, -np.inf, 3e38, -3e38, 20, -20, 0.0, -0.0, 1e-45, -1e-45])
    np.testing.assert_array_equal(got, np.float32([1, -1, 1, -1, 1, -1, 0, 0, 1e-45, -1e-45]))
    np.testing.assert_array_equal(np.signbit(got), [0, 1, 0, 1, 0, 1, 0, 1, 0, 1])
    got = apply(map_sigmoid, [np.inf, -np.inf, 100, -100, 0.0])
    np.testing.assert_array_equal(got, np.float32([1, 0, 1, 0, 0.5]))


@pytest.mark.parametrize("size", [1, 2, 15, 16, 17, 64, 65, 1000])
def test_the_largest_of_a_row(size):
    rng = np.random.default_rng(size)
    for row in (
        rng.standard_normal(size),
        -rng.random(size) - 5,
        np.full(size, -np.inf),
        np.where(rng.random(size) < 0.5, np.inf, -1.0),
        1e-40 * rng.standard_normal(size),
        np.zeros(size),
    ):
        row, bias = row.astype(np.float32), rng.standard_normal(size).astype(np.float32)
        assert loss._largest(row, bias) == (row + bias).max()
        assert loss._largest(row, np.zeros_like(row)) == row.max()
