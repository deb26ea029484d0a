"""The NumPy loss and embedding kernels against the generic ones."""

import inspect

import numpy as np
import pytest

from rnn_xp.host import targets, token_ids
from rnn_xp.kernels import Workspace
from rnn_xp.kernels.cpu import embedding as fast_embedding
from rnn_xp.kernels.cpu import loss as fast_loss
from rnn_xp.kernels.generic import embedding, loss

RTOL = {"float32": 2e-6, "float64": 1e-13}


def close(actual, expected, rtol):
    assert actual.dtype == expected.dtype
    assert actual.shape == expected.shape
    scale = np.abs(expected).max() if expected.size else 0.0
    np.testing.assert_allclose(actual, expected, rtol=0, atol=rtol * max(scale, 1e-30))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("ignored", [0, 3, 7])
@pytest.mark.parametrize("scale", [None, 0.25])
def test_softmax_cross_entropy(dtype, ignored, scale):
    rng = np.random.default_rng(0)
    logits = (10 * rng.standard_normal((7, 11))).astype(dtype)
    logits.setflags(write=False)
    ids = rng.integers(0, 11, 7)
    ids[:ignored] = -1
    chosen = targets(ids, 11, logits, -1, "test")
    expected, dexpected = loss.softmax_cross_entropy(logits, chosen, scale=scale)
    actual, dactual = fast_loss.softmax_cross_entropy(logits, chosen, scale=scale)
    close(actual, expected, RTOL[dtype])
    if scale is None:
        assert dactual is None
    else:
        close(dactual, dexpected, RTOL[dtype])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("chunk_bytes", [1, 16 << 20])
@pytest.mark.parametrize("train", [False, True])
def test_affine_softmax_cross_entropy(dtype, transposed, bias, chunk_bytes, train, monkeypatch):
    monkeypatch.setattr(fast_loss, "CHUNK_BYTES", chunk_bytes)
    monkeypatch.setattr(fast_loss, "BLOCK_BYTES", 1000)
    rng = np.random.default_rng(1)
    M, H, V = 75, 6, 19
    x = rng.standard_normal((M, H)).astype(dtype)
    W = rng.standard_normal((V, H) if transposed else (H, V)).astype(dtype)
    b = rng.standard_normal(V).astype(dtype) if bias else None
    ids = rng.integers(0, V, M)
    ids[rng.random(M) < 0.2] = -1
    chosen = targets(ids, V, x, -1, "test")
    results = []
    workspace = Workspace()
    for kernel in (loss, fast_loss, fast_loss):
        for buffer in workspace.buffers():
            buffer.fill(np.nan)
        grads = [np.full_like(W, np.nan)] + ([np.full_like(b, np.nan)] if bias else [])
        losses, dx = kernel.affine_softmax_cross_entropy(
            x,
            W,
            b,
            chosen,
            transposed=transposed,
            grads=grads if train else None,
            scale=1 / chosen.count if train else None,
            workspace=workspace,
        )
        results.append((losses, dx, grads))
    for losses, dx, grads in results[1:]:
        close(losses, results[0][0], RTOL[dtype])
        if not train:
            assert dx is None
            assert all(np.isnan(g).all() for g in grads)
            continue
        close(dx, results[0][1], RTOL[dtype])
        for actual, expected in zip(grads, results[0][2], strict=True):
            close(actual, expected, RTOL[dtype])


def test_large_logits_do_not_overflow():
    logits = np.array([[1e4, -1e4, 0.0], [-1e30, 1e30, 0.0]], dtype=np.float32)
    chosen = targets([0, 1], 3, logits, -1, "test")
    losses, dlogits = fast_loss.softmax_cross_entropy(logits, chosen, scale=1.0)
    np.testing.assert_array_equal(losses, [0.0, 0.0])
    np.testing.assert_array_equal(dlogits, np.zeros((2, 3)))


def test_rows_that_do_not_count_may_be_nan():
    rng = np.random.default_rng(3)
    x, W = rng.standard_normal((5, 3)), rng.standard_normal((3, 4))
    x[2] = np.nan
    chosen = targets([0, 1, -1, 2, 3], 4, x, -1, "test")
    clean = x.copy()
    clean[2] = 0.0
    results = []
    for rows in (clean, x):
        grads = [np.empty_like(W)]
        losses, dx = fast_loss.affine_softmax_cross_entropy(
            rows, W, None, chosen, grads=grads, scale=1.0
        )
        results.append((losses, dx, grads[0]))
    for actual, expected in zip(results[1], results[0], strict=True):
        np.testing.assert_array_equal(actual, expected)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("one_hot_work", [0, 30_000_000])
@pytest.mark.parametrize("accumulate", [False, True])
def test_embedding(dtype, one_hot_work, accumulate, monkeypatch):
    monkeypatch.setattr(fast_embedding, "ONE_HOT_WORK", one_hot_work)
    rng = np.random.default_rng(2)
    V, D = 13, 5
    W = rng.standard_normal((V, D)).astype(dtype)
    dW = rng.standard_normal((V, D)).astype(dtype)
    expected = dW.copy()
    for M in (1, 40, 7):
        ids = token_ids(rng.integers(0, V, M), V, W, "test")
        np.testing.assert_array_equal(
            fast_embedding.embedding_forward(W, ids), embedding.embedding_forward(W, ids)
        )
        dout = rng.standard_normal((M, D)).astype(dtype)
        dout.setflags(write=False)
        embedding.embedding_backward(dout, ids, expected, accumulate=accumulate)
        fast_embedding.embedding_backward(dout, ids, dW, accumulate=accumulate)
        close(dW, expected, RTOL[dtype])
        for gradient in (dW, expected):  # as an all-reduce or a decay of the caller's does
            gradient += 0.5


@pytest.mark.parametrize(
    ("fast", "spec"), [(fast_loss, loss), (fast_embedding, embedding)], ids=["loss", "embedding"]
)
def test_signatures_are_those_of_the_specification(fast, spec):
    table = fast.LOSS if fast is fast_loss else fast.EMBEDDING
    for name, function in table.functions.items():
        assert inspect.signature(function) == inspect.signature(getattr(spec, name))
