"""`TimeEmbedding`: lookup, dense gradients over several calls, tying, the door."""

import numpy as np
import pytest
from backends import available

from rnn_xp.backend import to_host
from rnn_xp.errors import DataError, DTypeError, MixedBackendError, ShapeError, StaleCacheError
from rnn_xp.layers import TimeEmbedding

V, D = 6, 3
IDS = np.array([[1, 4, 1, 0], [5, 4, 1, 1]])
N, T = IDS.shape


@pytest.fixture
def W(be, rng):
    return be.asarray(rng.standard_normal((V, D)))


@pytest.fixture
def elsewhere(be):
    return next(v.open() for v in available()[::-1] if v.open().name != be.name)


def dense(ids, dxs):
    """The gradient by definition."""
    dW = np.zeros((V, D))
    np.add.at(dW, ids, dxs)
    return dW


@pytest.mark.parametrize("ids", [IDS, IDS.tolist(), IDS.astype(np.uint8), IDS[:, ::-1], IDS[:, :0]])
@pytest.mark.parametrize("time_major", [False, True])
def test_lookup(be, W, ids, time_major):
    xs = TimeEmbedding(W, time_major=time_major).forward(ids)
    expected = to_host(W)[np.asarray(ids, int)]
    given = to_host(xs)
    np.testing.assert_array_equal(given.transpose(1, 0, 2) if time_major else given, expected)


def test_ids_on_the_device(be, W, rng):
    layer = TimeEmbedding(W)
    device_ids = be.xp.asarray(IDS, device=be.device)
    dxs = rng.standard_normal((N, T, D))
    np.testing.assert_array_equal(to_host(layer.forward(device_ids)), to_host(W)[IDS])
    layer.backward(be.asarray(dxs))
    np.testing.assert_allclose(to_host(layer.grads[0]), dense(IDS, dxs), atol=1e-14)


@pytest.mark.parametrize("time_major", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_gradients_of_successive_batches(be, rng, time_major, dtype):
    """The rows that an earlier batch wrote are zero again, whatever that batch was."""
    layer = TimeEmbedding(be.asarray(rng.standard_normal((V, D)), dtype), time_major=time_major)
    grad = layer.grads[0]
    for batch in (IDS, np.array([[2, 2]]), np.array([[0], [3]]), IDS, np.full((3, 5), 4)):
        dxs = rng.standard_normal((*batch.shape, D)).astype(dtype)
        layer.forward(batch)
        layer.backward(be.asarray(dxs.transpose(1, 0, 2) if time_major else dxs))
        np.testing.assert_allclose(to_host(grad), dense(batch, dxs), atol=1e-5)
        assert layer.grads[0] is grad


def test_ids_may_be_reused_after_the_call(be, W, rng):
    """A batch buffer that the next batch overwrites."""
    layer, buffer = TimeEmbedding(W), IDS.copy()
    dxs = rng.standard_normal((N, T, D))
    for batch in (IDS, np.array([[2, 3, 3, 2], [0, 0, 0, 2]])):
        buffer[...] = batch
        layer.forward(buffer)
        layer.backward(be.asarray(dxs))
        np.testing.assert_allclose(to_host(layer.grads[0]), dense(batch, dxs), atol=1e-14)


def test_gradients_after_the_array_was_replaced(be, W, rng):
    """As when a model moves the gradients into its flat buffer."""
    layer = TimeEmbedding(W)
    dxs = rng.standard_normal((N, T, D))
    layer.forward(IDS)
    layer.backward(be.asarray(dxs))
    layer.grads[0] = be.asarray(np.full((V, D), 7.0))  # of another history
    layer.forward(IDS)
    layer.backward(be.asarray(dxs))
    np.testing.assert_allclose(to_host(layer.grads[0]), dense(IDS, dxs), atol=1e-14)


def test_a_large_vocabulary(be, rng):
    """Beyond the size where a one-hot product pays."""
    V, D = 3000, 40
    layer = TimeEmbedding(be.zeros((V, D), "float32"))
    for _ in range(3):
        ids = rng.integers(0, V, (20, 30)) % 500
        dxs = rng.standard_normal((20, 30, D)).astype(np.float32)
        layer.forward(ids)
        layer.backward(be.asarray(dxs))
        expected = np.zeros((V, D))
        np.add.at(expected, ids, dxs)
        np.testing.assert_allclose(to_host(layer.grads[0]), expected, atol=1e-5)


def test_a_shared_matrix_adds(be, W, rng):
    layer = TimeEmbedding(W, shared=True)
    dxs = rng.standard_normal((N, T, D))
    for _ in range(2):  # the output layer overwrites the whole gradient first
        layer.grads[0][...] = be.asarray(np.ones((V, D)))
        layer.forward(IDS)
        layer.backward(be.asarray(dxs))
        np.testing.assert_allclose(to_host(layer.grads[0]), 1.0 + dense(IDS, dxs), atol=1e-14)


def test_two_forwards_then_backward_uses_the_last(be, W, rng):
    layer = TimeEmbedding(W)
    dxs = rng.standard_normal((N, T, D))
    layer.forward(IDS[::-1])
    layer.forward(IDS)
    layer.backward(be.asarray(dxs))
    np.testing.assert_allclose(to_host(layer.grads[0]), dense(IDS, dxs), atol=1e-14)
    with pytest.raises(StaleCacheError, match=r"^TimeEmbedding: backward needs"):
        layer.backward(be.asarray(dxs))
    layer.forward(IDS, train=False)
    with pytest.raises(StaleCacheError, match=r"^TimeEmbedding: "):
        layer.backward(be.asarray(dxs))


def test_overwriting_the_output_does_not_change_the_matrix(be, W):
    before = to_host(W).copy()
    xs = TimeEmbedding(W).forward(IDS)
    xs[...] = xs * 0.0
    np.testing.assert_array_equal(to_host(W), before)


@pytest.mark.parametrize(
    ("ids", "error", "message"),
    [
        ([[0, V]], DataError, "ids holds ids from 0 to 6, expected 0 to 5 for a vocabulary of 6"),
        ([[-1, 0]], DataError, "ids holds ids from -1 to 0"),
        ([[0.0, 1.0]], DTypeError, "ids has dtype float64, expected integers"),
        ([[True]], DTypeError, "ids has dtype bool, expected integers"),
        ([0, 1], ShapeError, r"ids has shape \(2,\), expected \(N, T\)"),
        ([[[0]]], ShapeError, r"ids has shape \(1, 1, 1\)"),
        ([[0, 1], [2]], ShapeError, "ids is a ragged list"),
        (3, ShapeError, r"ids has shape \(\)"),
        ("abc", MixedBackendError, r"ids is a builtins\.str"),
        (None, MixedBackendError, r"ids is a builtins\.NoneType"),
    ],
)
def test_bad_ids(W, ids, error, message):
    with pytest.raises(error, match=f"^TimeEmbedding: {message}") as caught:
        TimeEmbedding(W).forward(ids)
    assert "\n" not in str(caught.value)


def test_device_ids_at_the_door(be, W, elsewhere):
    layer = TimeEmbedding(W)
    if be.name != "numpy":
        with pytest.raises(DTypeError, match=r"^TimeEmbedding: ids has dtype .*float64"):
            layer.forward(be.zeros((N, T), "float64"))
        with pytest.raises(ShapeError, match=r"^TimeEmbedding: ids has shape \(4,\)"):
            layer.forward(be.xp.asarray(IDS[0], device=be.device))
    if elsewhere.name != "numpy":
        with pytest.raises(MixedBackendError, match=r"^TimeEmbedding: ids is a"):
            layer.forward(elsewhere.xp.asarray(IDS, device=elsewhere.device))


def test_bad_gradients(be, W, elsewhere):
    layer = TimeEmbedding(W)
    for dxs, error, message in (
        (be.zeros((N, T, D + 1), "float64"), ShapeError, r"dxs has shape .* = \(2, 4, 3\)"),
        (be.zeros((N, T, D), "float32"), DTypeError, "dxs has dtype"),
        (elsewhere.zeros((N, T, D), "float64"), MixedBackendError, "dxs is a"),
    ):
        layer.forward(IDS)
        with pytest.raises(error, match=f"^TimeEmbedding: {message}"):
            layer.backward(dxs)


def test_bad_matrices(be):
    for W, error, message in (
        (be.zeros((V,), "float32"), ShapeError, r"W has shape \(6,\), expected \(V, D\)"),
        (be.zeros((V, D), "int64"), DTypeError, "W has dtype .*, expected float32 or float64"),
        ([[1.0]], DTypeError, r"W is a builtins\.list"),
    ):
        with pytest.raises(error, match=f"^TimeEmbedding: {message}"):
            TimeEmbedding(W)


def test_tensors_that_require_grad(torch_backend):
    W = torch_backend.zeros((V, D), "float32").requires_grad_(True)
    with pytest.raises(TypeError, match="TimeEmbedding: W is a torch tensor that requires grad"):
        TimeEmbedding(W)
