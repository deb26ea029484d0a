"""The CUDA softmax loss against the generic one."""

import numpy as np
import pytest
from comparing import FORWARD, GRADIENT, close

from rnn_xp.backend import to_host
from rnn_xp.host import targets
from rnn_xp.kernels import GENERIC


def ours(be, dtype="float32"):
    function = be.kernels(dtype).softmax_cross_entropy
    assert function is not GENERIC.softmax_cross_entropy
    return function


def on_both(be, ids, V, logits, ignored=-1):
    """The targets for the device, and for NumPy."""
    return (
        targets(ids, V, be.asarray(logits), ignored, "test"),
        targets(ids, V, logits, ignored, "test"),
    )


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("ignored", [0, 3, 7])
@pytest.mark.parametrize("scale", [None, 0.25, "on the device"])
@pytest.mark.parametrize("V", [1, 2, 31, 256, 257, 1000])
def test_softmax_cross_entropy(cuda_be, rng, dtype, ignored, scale, V):
    logits = (10 * rng.standard_normal((7, V))).astype(dtype)
    ids = rng.integers(0, V, 7)
    ids[:ignored] = -1
    mine, theirs = on_both(cuda_be, ids, V, logits)
    factor = np.asarray(0.3, dtype) if scale == "on the device" else scale
    expected, dexpected = GENERIC.softmax_cross_entropy(logits, theirs, scale=factor)
    given = cuda_be.asarray(logits)
    factor = cuda_be.asarray(factor) if scale == "on the device" else scale
    actual, dactual = ours(cuda_be, dtype)(given, mine, scale=factor)
    close(actual, expected, FORWARD[dtype])
    np.testing.assert_array_equal(to_host(given), logits)
    if scale is None:
        assert dactual is None
    else:
        close(dactual, dexpected, GRADIENT[dtype])


def test_one_row(cuda_be, rng):
    logits = rng.standard_normal((1, 9)).astype("float32")
    mine, theirs = on_both(cuda_be, [4], 9, logits)
    got = ours(cuda_be)(cuda_be.asarray(logits), mine, scale=1.0)
    expected = GENERIC.softmax_cross_entropy(logits, theirs, scale=1.0)
    close(got[0], expected[0], FORWARD["float32"])
    close(got[1], expected[1], GRADIENT["float32"])


@pytest.mark.parametrize("dtype", ["int32", "int64", "uint8"])
def test_targets_that_are_on_the_device(cuda_be, rng, dtype):
    """Every second of an array: rows apart, of any integer dtype, the ignored one among them."""
    logits = rng.standard_normal((6, 5)).astype("float32")
    ids = rng.integers(1, 5, 12).astype(dtype)
    ids[4] = 0
    uploaded = cuda_be.asarray(ids)[::2]
    mine = targets(uploaded, 5, cuda_be.asarray(logits), 0, "test")
    theirs = targets(ids[::2].astype("int64"), 5, logits, 0, "test")
    assert float(to_host(mine.count)) == theirs.count < 6
    got = ours(cuda_be)(cuda_be.asarray(logits), mine, scale=1 / mine.count)
    expected = GENERIC.softmax_cross_entropy(logits, theirs, scale=1 / theirs.count)
    close(got[0], expected[0], FORWARD["float32"])
    close(got[1], expected[1], GRADIENT["float32"])


@pytest.mark.parametrize("layout", ["rows apart", "transposed"])
def test_logits_in_other_layouts(cuda_be, rng, layout):
    whole = rng.standard_normal((8, 40))
    logits = {"rows apart": whole[:, :33], "transposed": whole.T}[layout]
    uploaded = cuda_be.asarray(whole)
    given = {"rows apart": uploaded[:, :33], "transposed": uploaded.T}[layout]
    ids = rng.integers(0, logits.shape[1], len(logits))
    mine, theirs = on_both(cuda_be, ids, logits.shape[1], logits)
    got = ours(cuda_be, "float64")(given, mine, scale=2.0)
    expected = GENERIC.softmax_cross_entropy(logits, theirs, scale=2.0)
    close(got[0], expected[0], FORWARD["float64"])
    close(got[1], expected[1], GRADIENT["float64"])
    np.testing.assert_array_equal(to_host(uploaded), whole)


def test_rows_of_targets(cuda_be, rng):
    """A part of the targets, as the loss in chunks takes it: views, at any alignment."""
    logits = rng.standard_normal((7, 12)).astype("float32")
    ids = rng.integers(0, 12, 7)
    ids[[2, 4]] = -1
    mine, theirs = on_both(cuda_be, ids, 12, logits)
    got = ours(cuda_be)(cuda_be.asarray(logits)[3:6], mine.rows(3, 6), scale=1.0)
    expected = GENERIC.softmax_cross_entropy(logits[3:6], theirs.rows(3, 6), scale=1.0)
    close(got[0], expected[0], FORWARD["float32"])
    close(got[1], expected[1], GRADIENT["float32"])


def test_large_logits_do_not_overflow(cuda_be):
    logits = np.array([[1e4, -1e4, 0.0], [-1e30, 1e30, 0.0], [-3e38, -3e38, -3e38]], "float32")
    mine, _ = on_both(cuda_be, [0, 1, 2], 3, logits)
    losses, dlogits = ours(cuda_be)(cuda_be.asarray(logits), mine, scale=3.0)
    close(losses, np.log(np.array([1, 1, 3], "float32")), 1e-6)
    close(dlogits, np.array([[0, 0, 0], [0, 0, 0], [1, 1, -2]], "float32"), 1e-6)


def test_impossible_tokens(cuda_be, rng):
    """Logits of minus infinity: no probability, no gradient, in whatever thread they come first."""
    logits = rng.standard_normal((3, 300)).astype("float32")
    logits[0, :280] = logits[1, 5:] = -np.inf
    mine, theirs = on_both(cuda_be, [290, 3, 0], 300, logits)
    got = ours(cuda_be)(cuda_be.asarray(logits), mine, scale=1.0)
    expected = GENERIC.softmax_cross_entropy(logits, theirs, scale=1.0)
    close(got[0], expected[0], FORWARD["float32"])
    close(got[1], expected[1], GRADIENT["float32"])


def test_rows_that_do_not_count_may_be_nan(cuda_be, rng):
    logits = rng.standard_normal((3, 20))
    logits[1] = np.nan
    mine, _ = on_both(cuda_be, [3, -1, 4], 20, logits)
    losses, dlogits = ours(cuda_be, "float64")(cuda_be.asarray(logits), mine, scale=1.0)
    assert np.isfinite(to_host(losses)).all()
    assert np.isfinite(to_host(dlogits)).all()
    assert not to_host(dlogits)[1].any()


def test_what_is_no_number_stays_none(cuda_be):
    """A diverged model shows: the loss of a row with a NaN or an infinity is not finite."""
    logits = np.zeros((3, 70), "float32")
    logits[0, 65], logits[1, 65], logits[2, 0] = np.nan, np.inf, np.nan
    mine, _ = on_both(cuda_be, [0, 1, 2], 70, logits)
    losses, dlogits = ours(cuda_be)(cuda_be.asarray(logits), mine, scale=1.0)
    assert not np.isfinite(to_host(losses)).any()
    assert not np.isfinite(to_host(dlogits)).all(axis=1).any()
