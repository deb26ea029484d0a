"""The CUDA embedding against the generic one."""

import numpy as np
import pytest
from comparing import GRADIENT, close

from rnn_xp.backend import to_host
from rnn_xp.host import token_ids
from rnn_xp.kernels import GENERIC

V = 13


def on_both(be, ids, W):
    return token_ids(ids, len(W), be.asarray(W), "test"), token_ids(ids, len(W), W, "test")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("accumulate", [False, True])
@pytest.mark.parametrize("D", [1, 5, 128, 129, 300])
def test_embedding(cuda_be, rng, dtype, accumulate, D):
    kernels = cuda_be.kernels(dtype)
    assert kernels.embedding_backward is not GENERIC.embedding_backward
    W, dW = (rng.standard_normal((V, D)).astype(dtype) for _ in range(2))
    mine, expected = cuda_be.asarray(dW), dW.copy()
    for M in (1, 40, 7, 0):
        ids, theirs = on_both(cuda_be, rng.integers(0, V, M), W)
        forward = kernels.embedding_forward(cuda_be.asarray(W), ids)
        np.testing.assert_array_equal(to_host(forward), GENERIC.embedding_forward(W, theirs))
        dout = rng.standard_normal((M, D)).astype(dtype)
        kernels.embedding_backward(cuda_be.asarray(dout), ids, mine, accumulate=accumulate)
        GENERIC.embedding_backward(dout, theirs, expected, accumulate=accumulate)
        close(mine, expected, GRADIENT[dtype])


def test_what_was_in_the_gradient_does_not_matter(cuda_be, rng):
    W = rng.standard_normal((V, 3)).astype("float32")
    ids, theirs = on_both(cuda_be, [4, 4, 0], W)
    dout = rng.standard_normal((3, 3)).astype("float32")
    mine, expected = cuda_be.asarray(np.full_like(W, np.nan)), np.empty_like(W)
    cuda_be.kernels("float32").embedding_backward(cuda_be.asarray(dout), ids, mine)
    GENERIC.embedding_backward(dout, theirs, expected)
    close(mine, expected, GRADIENT["float32"])


@pytest.mark.parametrize("accumulate", [False, True])
@pytest.mark.parametrize("dtype", ["int32", "int64"])
def test_ids_that_are_on_the_device(cuda_be, rng, dtype, accumulate):
    W = rng.standard_normal((V, 4))
    ids = rng.integers(0, V, 20).astype(dtype)
    mine = token_ids(cuda_be.asarray(ids), V, cuda_be.asarray(W), "test")
    dout, dW = rng.standard_normal((20, 4)), rng.standard_normal((V, 4))
    actual, expected = cuda_be.asarray(dW), dW.copy()
    kernels = cuda_be.kernels("float64")
    kernels.embedding_backward(cuda_be.asarray(dout), mine, actual, accumulate=accumulate)
    GENERIC.embedding_backward(dout, token_ids(ids, V, W, "test"), expected, accumulate=accumulate)
    close(actual, expected, GRADIENT["float64"])
    np.testing.assert_array_equal(to_host(kernels.embedding_forward(actual, mine)), expected[ids])


@pytest.mark.parametrize("transposed", [False, True])
def test_gradients_in_other_layouts(cuda_be, rng, transposed):
    W = rng.standard_normal((V, 6))
    whole = rng.standard_normal((6, 10))
    ids, theirs = on_both(cuda_be, rng.integers(0, V, 10), W)
    actual, expected = cuda_be.asarray(W), np.empty_like(W)
    if transposed:  # as the gradient of a matrix that a layer was given so
        actual = cuda_be.asarray(W.T).T
    cuda_be.kernels("float64").embedding_backward(cuda_be.asarray(whole).T, ids, actual)
    GENERIC.embedding_backward(whole.T, theirs, expected)
    close(actual, expected, GRADIENT["float64"])


def test_the_same_bits_every_time(cuda_be, rng):
    """One thread adds all rows of an id, in the order in which they came."""
    W = rng.standard_normal((3, 8)).astype("float32")
    ids = rng.integers(0, 3, 500)
    dout = rng.standard_normal((500, 8)).astype("float32")
    expected = np.zeros_like(W)
    for one, row in zip(ids, dout, strict=True):
        expected[one] += row
    for _ in range(2):
        actual = cuda_be.asarray(W)
        chosen = token_ids(ids, 3, actual, "test")
        cuda_be.kernels("float32").embedding_backward(cuda_be.asarray(dout), chosen, actual)
        np.testing.assert_array_equal(to_host(actual), expected)
