"""Affine, softmax and loss for CuPy against the generic kernel, in every precision."""

import numpy as np
import pytest
from comparing import must_round

from rnn_xp.backend import to_host
from rnn_xp.host import targets
from rnn_xp.kernels import GENERIC, Workspace
from rnn_xp.kernels.cuda import loss

# (dtype, precision): tolerance of losses and gradients, relative to the largest reference entry.
TOLERANCES = {
    ("float64", "float32"): (1e-12, 1e-12),
    ("float32", "float32"): (1e-6, 5e-6),
    ("float32", "tf32"): (2e-3, 2e-3),
    ("float32", "float16"): (2e-2, 2e-2),
    ("float32", "bfloat16"): (2e-2, 2e-2),
}
KINDS = list(TOLERANCES)
M, H, V = 13, 9, 301


def problem(seed, *, bias=True, transposed=False, ignored=True, rows=M):
    """x, W, b and target ids, float64, on the host."""
    rng = np.random.default_rng(seed)
    x, W = rng.standard_normal((rows, H)), rng.standard_normal((H, V)) / 3
    ids = rng.integers(0, V, rows)
    if ignored:
        ids[rows // 2 :: 4] = -1
    return x, W.T.copy() if transposed else W, rng.standard_normal(V) if bias else None, ids


def reference(given, *, transposed=False, scale=1 / M):
    x, W, b, ids = given
    grads = [np.full_like(W, np.nan)] + ([] if b is None else [np.full_like(b, np.nan)])
    losses, dx = GENERIC.affine_softmax_cross_entropy(
        x, W, b, targets(ids, V, x, -1, "x"), transposed=transposed, grads=grads, scale=scale
    )
    return [losses, dx, *grads]


def ours(be, given, kind, *, transposed=False, scale=1 / M, workspace=None, train=True):
    dtype, precision = kind
    x, W, b = (None if a is None else be.asarray(a, dtype) for a in given[:3])
    grads = [be.asarray(np.full(p.shape, np.nan), dtype) for p in (W, b) if p is not None]
    losses, dx = be.kernels(dtype, precision).affine_softmax_cross_entropy(
        x,
        W,
        b,
        targets(given[3], V, x, -1, "x"),
        transposed=transposed,
        grads=grads if train else None,
        scale=scale if train else None,
        workspace=workspace,
    )
    return [losses, dx, *grads]


def compare(results, references, kind):
    limits = [TOLERANCES[kind][0], *[TOLERANCES[kind][1]] * (len(references) - 1)]
    for result, expected, limit in zip(results, references, limits, strict=True):
        assert str(result.dtype).endswith(kind[0])
        error = np.abs(to_host(result) - expected).max() / np.abs(expected).max()
        assert error <= limit, (error, limit)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("chunk", [M, 5, 1])
def test_against_the_generic_kernel(cuda_be, kind, transposed, bias, chunk, monkeypatch):
    monkeypatch.setattr(loss, "CHUNK_BYTES", chunk * V * (8 if kind[0] == "float64" else 4))
    given = problem(0, bias=bias, transposed=transposed)
    results = ours(cuda_be, given, kind, transposed=transposed)
    compare(results, reference(given, transposed=transposed), kind)


@pytest.mark.parametrize("kind", KINDS)
def test_one_row_and_no_target_that_counts(cuda_be, kind):
    given = problem(1, ignored=False, rows=1)
    compare(ours(cuda_be, given, kind), reference(given), kind)
    nothing = (*problem(1)[:3], np.full(M, -1))
    for result in ours(cuda_be, nothing, kind):
        assert not to_host(result).any()


@pytest.mark.parametrize("kind", KINDS)
def test_without_gradient_and_with_the_scale_on_the_device(cuda_be, kind):
    given = problem(2)
    losses, dx, *grads = ours(cuda_be, given, kind, train=False)
    compare([losses], reference(given)[:1], kind)
    assert dx is None
    assert all(np.isnan(to_host(g)).all() for g in grads)
    scale = cuda_be.asarray(np.asarray(0.25), "float32")
    compare(ours(cuda_be, given, kind, scale=scale), reference(given, scale=0.25), kind)


@pytest.mark.parametrize("kind", KINDS)
def test_buffers_are_used_again_and_say_nothing(cuda_be, kind):
    work, first, second = Workspace(), problem(3), problem(4)
    results = ours(cuda_be, first, kind, workspace=work)
    held = {name: buffer.data.ptr for name, buffer in work._buffers.items()}
    assert set(held) == ({"logits", "x bits", "W bits", "bits"} if "16" in kind[1] else {"logits"})
    for buffer in work.buffers():
        buffer.fill(0xFFFF if buffer.dtype == np.uint16 else np.nan)
    compare(ours(cuda_be, second, kind, workspace=work), reference(second), kind)
    assert {name: buffer.data.ptr for name, buffer in work._buffers.items()} == held
    compare(results, reference(first), kind)


@pytest.mark.parametrize("precision", ["tf32", "float16", "bfloat16"])
def test_the_precision_is_the_one_asked_for(cuda_be, precision):
    """The error is above that of float32, and that of bfloat16 above that of float16."""
    given = problem(5)
    expected = reference(given)[2]
    errors = {
        p: np.abs(to_host(ours(cuda_be, given, ("float32", p))[2]) - expected).max()
        for p in ("float32", "float16", precision)
    }
    if must_round(cuda_be, precision):
        assert errors[precision] > 20 * errors["float32"]
    if precision == "bfloat16":
        assert errors["bfloat16"] > 3 * errors["float16"]


def test_float16_keeps_gradients_below_its_smallest_number(cuda_be):
    """A scale of 1e-9 would leave nothing of gradients that were rounded after it."""
    given, kind = problem(6), ("float32", "float16")
    compare(ours(cuda_be, given, kind, scale=1e-9), reference(given, scale=1e-9), kind)


@pytest.mark.parametrize("precision", ["float16", "bfloat16"])
def test_unlikely_tokens_keep_their_gradient(cuda_be, precision):
    """Probabilities of 1e-8, which are 0 in float16."""
    x, W, b, ids = problem(8)
    ids[ids == 0] = 1
    b[0] -= 12.0
    expected = reference((x, W, b, ids), scale=1.0)[2][:, 0]
    assert 0 < np.abs(expected).max() < 2.0**-23
    column = to_host(ours(cuda_be, (x, W, b, ids), ("float32", precision), scale=1.0)[2])[:, 0]
    assert np.abs(column - expected).max() < 2e-2 * np.abs(expected).max()


@pytest.mark.parametrize("kind", [("float64", "float32"), ("float32", "bfloat16")])
def test_arrays_in_other_orders(cuda_be, kind):
    """Columns that are contiguous, and rows that are apart, as a caller may hold them."""
    be, given, dtype = cuda_be, problem(7), kind[0]
    x, W, b, ids = given
    x, W, b = (a.astype(dtype) for a in (x, W, b))
    x2 = be.asarray(np.repeat(x, 2, axis=1))[:, ::2]
    W2, dW = be.asarray(W.T.copy()).T, be.asarray(np.full((V, H), np.nan, dtype)).T
    b2, db = be.asarray(np.repeat(b, 2))[::2], be.asarray(np.full(2 * V, np.nan, dtype))[::2]
    losses, dx = be.kernels(*kind).affine_softmax_cross_entropy(
        x2, W2, b2, targets(ids, V, x2, -1, "x"), grads=[dW, db], scale=1 / M
    )
    compare([losses, dx, dW, db], reference(given), kind)
