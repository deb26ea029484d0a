import numpy as np

from rnn_xp.backend import to_host
from rnn_xp.host import targets, token_ids
from rnn_xp.kernels import GENERIC


def test_loss(cuda_be, rng):
    be = cuda_be
    assert be.name == "cupy"
    k = be.kernels("float64")
    a = rng.normal(size=(5, 300))
    t = rng.integers(0, 300, 5)
    t[2] = -1
    ours = k.softmax_cross_entropy(
        be.asarray(a), targets(t, 300, be.asarray(a), -1, "x"), scale=0.5
    )
    ref = GENERIC.softmax_cross_entropy(a, targets(t, 300, a, -1, "x"), scale=0.5)
    for o, r in zip(ours, ref, strict=True):
        assert abs(to_host(o) - r).max() < 1e-14


def test_embedding(cuda_be, rng):
    be = cuda_be
    k = be.kernels("float32")
    W = rng.normal(size=(11, 7)).astype("float32")
    ids = rng.integers(0, 11, 20)
    d = rng.normal(size=(20, 7)).astype("float32")
    dW = be.zeros((11, 7), "float32")
    k.embedding_backward(be.asarray(d), token_ids(ids, 11, dW, "x"), dW)
    ref = np.zeros_like(W)
    GENERIC.embedding_backward(d, token_ids(ids, 11, W, "x"), ref)
    assert abs(to_host(dW) - ref).max() < 1e-6


def test_a_copy_shares_no_memory(cuda_be):
    a = cuda_be.asarray([1.0, 2.0])
    same = cuda_be.xp.asarray(a, device=cuda_be.device)
    copy = cuda_be.xp.asarray(a, copy=True, device=cuda_be.device)
    a[...] = 3.0
    assert to_host(same).tolist() == [3.0, 3.0]
    assert to_host(copy).tolist() == [1.0, 2.0]
