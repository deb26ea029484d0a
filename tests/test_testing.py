"""The public test helpers `numerical_gradient` and `assert_close`."""

import numpy as np
import pytest

from rnn_xp.backend import to_host
from rnn_xp.errors import DTypeError, ShapeError
from rnn_xp.testing import assert_close, numerical_gradient


@pytest.fixture
def draw(be, rng):
    """Random float64 arrays of the backend."""
    return lambda *shape: be.asarray(0.5 * rng.standard_normal(shape), "float64")


# -------------------------------------------------------------------- numerical_gradient


def test_numerical_gradient_of_a_known_function(be, draw):
    x = draw(3, 4)
    before = to_host(x).copy()
    gradient = numerical_gradient(lambda a: be.xp.sum(a * a * a), x)
    assert_close(gradient, be.asarray(3 * before**2), rtol=1e-9)
    np.testing.assert_array_equal(to_host(x), before)


def test_numerical_gradient_takes_numbers_and_0d_arrays(be):
    x = be.asarray(2.0, "float64")
    assert_close(numerical_gradient(lambda a: float(a) ** 2, x), be.asarray(4.0), rtol=1e-9)


def test_numerical_gradient_refuses_float32_and_non_scalars(be, draw):
    with pytest.raises(DTypeError, match=r"numerical_gradient: x has dtype .*float32"):
        numerical_gradient(lambda a: 0.0, be.asarray([1.0], "float32"))
    with pytest.raises(ShapeError, match=r"f returned shape \(3,\), expected a scalar"):
        numerical_gradient(lambda a: a, draw(3))


# -------------------------------------------------------------------------- assert_close


def test_close_arrays_pass(be):
    for dtype, nudge in (("float32", 1e-3), ("float64", 5e-8)):
        expected = be.asarray([[1.0, -2.0, 1e-9]], dtype)
        assert_close(expected, expected, rtol=0.0)
        assert_close(be.asarray([[1.0, -2.0 - nudge, nudge]], dtype), expected)
    assert_close(be.asarray([1.0]), be.asarray([1.1]), atol=0.11, rtol=0.0)
    assert_close(be.asarray([1, 2]), be.asarray([1, 2]))
    assert_close(be.asarray([True]), be.asarray([True]))
    assert_close(be.zeros((0, 3), "float32"), be.zeros((0, 3), "float32"))
    assert_close(be.asarray([np.inf, np.nan, 1.0]), be.asarray([np.inf, np.nan, 1.0]))
    assert_close(1.5, 1.5)


def test_the_error_is_relative_to_the_largest_entry(be):
    with pytest.raises(AssertionError, match=r"entry \[1\] is .*, expected 1e-09: off by"):
        assert_close(be.asarray([1.0, 1e-3]), be.asarray([1.0, 1e-9]))
    assert_close(be.asarray([1e6, 1e-3]), be.asarray([1e6, 1e-9]))


@pytest.mark.parametrize(
    ("actual", "expected", "match"),
    [
        ([1.0, 2.0], [1.0, 2.1], r"entry \[1\] is 2.0, expected 2.1: off by 0.1, allowed"),
        ([1.0, np.nan], [1.0, 2.0], r"entry \[1\] is nan, expected 2.0"),
        ([1.0, 2.0], [1.0, np.nan], r"entry \[1\] is 2.0, expected nan"),
        ([np.inf], [-np.inf], r"entry \[0\] is inf, expected -inf"),
        ([1, 2], [1, 3], r"entry \[1\] is 2, expected 3"),
        ([2**60], [2**60 + 1], r"entry \[0\] is"),
        ([True], [False], r"entry \[0\] is True, expected False"),
        ([1.0, 2.0], [[1.0, 2.0]], r"shape is \(2,\), expected \(1, 2\)"),
        ([1.0], [1], "dtype is .*float64, expected .*int64"),
    ],
)
def test_different_arrays_fail(be, actual, expected, match):
    with pytest.raises(AssertionError, match=match):
        assert_close(be.asarray(actual), be.asarray(expected))


def test_another_precision_fails(be):
    with pytest.raises(AssertionError, match=r"dtype is .*float32, expected .*float64"):
        assert_close(be.asarray([1.0], "float32"), be.asarray([1.0], "float64"))


def test_another_library_or_device_fails(strict):
    import array_api_strict as xp

    ours = strict.asarray([1.0])
    with pytest.raises(AssertionError, match="library is numpy, expected array_api_strict"):
        assert_close(np.asarray([1.0]), ours)
    with pytest.raises(AssertionError, match=r"device is .*CPU_DEVICE.*, expected .*device1"):
        assert_close(xp.asarray([1.0], device=xp.Device("CPU_DEVICE")), ours)
