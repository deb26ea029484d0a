"""Two numbers of theirs that are one of ours: every sum has its way back, and the right one."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from interop_helpers import any_floats, assert_same_bits, bits_of

from rnn_xp.interop.sums import addend, adds_up, two_biases

pytestmark = pytest.mark.filterwarnings("ignore:(overflow|invalid value) encountered in add")
EVERY = np.arange(2**16, dtype=np.uint16).view(np.float16)
EVERY = EVERY[~np.isnan(EVERY)]


@pytest.mark.parametrize(
    "other", [0.0, -0.0, 1.0, 0.1, -2.5, 1.001, 2.0**-24, 3e-6, 60000.0, -65504.0, np.inf]
)
def test_an_addend_is_found_wherever_there_is_one(other):
    """Every total against the sums of every number, in half precision."""
    other = np.float16(other)
    sums = set(bits_of(EVERY + other).tolist())
    there_is_one = np.array([b in sums for b in bits_of(EVERY).tolist()])
    first, found = addend(EVERY, other)
    at_infinity = np.isinf(EVERY) & np.isinf(other)  # inf - inf tells nothing
    np.testing.assert_array_equal(found | at_infinity, there_is_one | at_infinity)
    np.testing.assert_array_equal(bits_of(first + other)[found], bits_of(EVERY)[found])


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 2**32), dtype=st.sampled_from(["float32", "float64"]))
def test_two_biases_add_up_bit_for_bit(seed, dtype):
    rng = np.random.default_rng(seed)
    b, *like = (any_floats(rng, 400, dtype=dtype) for _ in range(3))
    assert_same_bits([np.add(*two_biases(b))], [b], any_nan=True)
    first, second = two_biases(b, tuple(like))
    assert_same_bits([first + second], [b], any_nan=True)
    kept = bits_of(second) == bits_of(like[1])
    assert np.all(kept | (second == 0))
    assert np.all(kept[adds_up(addend(b, like[1])[0], like[1], b)])


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 2**32), dtype=st.sampled_from(["float32", "float64"]))
def test_the_pair_that_a_sum_came_from_is_given_back(seed, dtype):
    rng = np.random.default_rng(seed)
    like = tuple(any_floats(rng, 400, dtype=dtype) for _ in range(2))
    assert_same_bits(two_biases(like[0] + like[1], like), like)


def test_a_zero_keeps_its_sign():
    b = np.array([0.0, -0.0, 1.0])
    first, second = two_biases(b)
    np.testing.assert_array_equal(np.signbit(first + second), [False, True, False])
    np.testing.assert_array_equal(np.signbit(second), [False, True, False])
