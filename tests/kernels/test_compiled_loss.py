"""The compiled loss kernels against the generic ones, in float32."""

import numpy as np
import pytest

pytest.importorskip("numba")

from rnn_xp.host import targets
from rnn_xp.kernels import Workspace
from rnn_xp.kernels.compiled import loss as compiled
from rnn_xp.kernels.cpu import loss as cpu
from rnn_xp.kernels.cpu import threads
from rnn_xp.kernels.generic import loss as generic

FORWARD, GRADIENT = 1e-6, 5e-6


def close(actual, expected, tolerance):
    assert actual.dtype == np.float32
    assert actual.shape == expected.shape
    scale = np.abs(expected).max() if expected.size else 0.0
    np.testing.assert_allclose(actual, expected, rtol=0, atol=tolerance * max(scale, 1e-30))


def chosen_targets(M, V, like, ignored=0.0, seed=0):
    rng = np.random.default_rng(seed)
    ids = rng.integers(0, V, M)
    ids[rng.random(M) < ignored] = -1
    return targets(ids, V, like, -1, "test")


@pytest.mark.parametrize("V", [1, 2, 11, 64, 65, 1000, 10_001])
@pytest.mark.parametrize("ignored", [0.0, 0.4])
@pytest.mark.parametrize("scale", [None, 0.25])
def test_softmax_cross_entropy(V, ignored, scale):
    rng = np.random.default_rng(V)
    logits = (10 * rng.standard_normal((7, V))).astype(np.float32)
    logits.setflags(write=False)
    chosen = chosen_targets(7, V, logits, ignored)
    expected, dexpected = generic.softmax_cross_entropy(
        logits.astype(np.float64), chosen, scale=scale
    )
    actual, dactual = compiled.softmax_cross_entropy(logits, chosen, scale=scale)
    close(actual, expected, FORWARD)
    if scale is None:
        assert dactual is None
    else:
        close(dactual, dexpected, GRADIENT)


@pytest.mark.parametrize("layout", ["plain", "strided", "read-only", "fortran"])
def test_layouts(layout):
    rng = np.random.default_rng(0)
    logits, b = rng.standard_normal((6, 40)), rng.standard_normal(40)
    x, W = rng.standard_normal((6, 5)), rng.standard_normal((5, 40))
    held = [a.astype(np.float32) for a in (logits, x, W, b)]
    if layout == "strided":
        held = [np.repeat(a, 2, axis=-1)[..., ::2] for a in held]
    if layout == "fortran":
        held = [np.asfortranarray(a) for a in held]
    if layout == "read-only":
        for a in held:
            a.setflags(write=False)
    chosen = chosen_targets(6, 40, held[0])
    kept = [a.copy() for a in held]
    logits, x, W, b = held
    close(
        compiled.softmax_cross_entropy(logits, chosen)[0],
        generic.softmax_cross_entropy(logits, chosen)[0],
        FORWARD,
    )
    grads, wanted = ([np.empty_like(W), np.empty_like(b)] for _ in range(2))
    got = compiled.affine_softmax_cross_entropy(x, W, b, chosen, grads=grads, scale=0.5)
    expected = generic.affine_softmax_cross_entropy(x, W, b, chosen, grads=wanted, scale=0.5)
    for a, e in zip((*got, *grads), (*expected, *wanted), strict=True):
        close(a, e, GRADIENT)
    for a, e in zip(held, kept, strict=True):
        np.testing.assert_array_equal(a, e)


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("chunk_bytes", [1, 16 << 20])
@pytest.mark.parametrize("train", [False, True])
def test_affine_softmax_cross_entropy(transposed, bias, chunk_bytes, train, monkeypatch):
    monkeypatch.setattr(cpu, "CHUNK_BYTES", chunk_bytes)
    monkeypatch.setattr(compiled, "BLOCK_BYTES", 1000)
    rng = np.random.default_rng(1)
    M, H, V = 75, 6, 19
    x = rng.standard_normal((M, H)).astype(np.float32)
    W = rng.standard_normal((V, H) if transposed else (H, V)).astype(np.float32)
    b = rng.standard_normal(V).astype(np.float32) if bias else None
    chosen = chosen_targets(M, V, x, 0.2)
    workspace = Workspace()
    results = []
    for kernel in (generic, compiled, compiled):
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
        results.append([losses, *([dx, *grads] if train else [])])
        assert train or dx is None
    for result in results[1:]:
        close(result[0], results[0][0], FORWARD)
        for actual, expected in zip(result[1:], results[0][1:], strict=True):
            close(actual, expected, GRADIENT)


def test_large_logits_do_not_overflow():
    logits = np.array([[1e4, -1e4, 0.0], [-1e30, 1e30, 0.0]], dtype=np.float32)
    chosen = targets([0, 1], 3, logits, -1, "test")
    losses, dlogits = compiled.softmax_cross_entropy(logits, chosen, scale=1.0)
    np.testing.assert_array_equal(losses, [0.0, 0.0])
    np.testing.assert_array_equal(dlogits, np.zeros((2, 3)))


def test_a_score_of_minus_infinity_is_a_probability_of_zero():
    logits = np.array([[0.0, -np.inf, 0.0], [0.0, -np.inf, 0.0]], dtype=np.float32)
    chosen = targets([0, 1], 3, logits, -1, "test")
    losses, dlogits = compiled.softmax_cross_entropy(logits, chosen, scale=1.0)
    np.testing.assert_allclose(losses, [np.log(2), np.inf])
    np.testing.assert_allclose(dlogits, [[-0.5, 0, 0.5], [0.5, -1, 0.5]])


@pytest.mark.parametrize("bad", [np.nan, -np.nan, np.inf])
@pytest.mark.parametrize("V", [3, 65, 1000])
def test_what_is_not_finite_comes_out_as_nan_in_its_row_only(bad, V):
    logits = np.zeros((3, V), np.float32)
    logits[1, V // 2] = bad
    chosen = targets([0, 0, 0], V, logits, -1, "test")
    losses, dlogits = compiled.softmax_cross_entropy(logits, chosen, scale=1.0)
    np.testing.assert_array_equal(np.isnan(losses), [False, True, False])
    assert np.isnan(dlogits[1]).any()
    assert np.isfinite(dlogits[[0, 2]]).all()
    all_low = np.full((1, V), -np.inf, np.float32)
    chosen = targets([0], V, all_low, -1, "test")
    assert np.isnan(compiled.softmax_cross_entropy(all_low, chosen)[0]).all()


def test_no_denormal_numbers():
    """Exponentials that small go into matrix products, where they would cost time."""
    logits = np.linspace(-110, 0, 5000, dtype=np.float32)[None]
    work = logits.copy()
    compiled._exponentials(work, np.zeros(1, int), bias=None, gradient=False)
    assert not ((work != 0) & (work < np.finfo(np.float32).tiny)).any()


@pytest.mark.parametrize("count", [1, 2, 3])
def test_any_number_of_threads_gives_the_same_bits(count, monkeypatch):
    rng = np.random.default_rng(5)
    x, W = (rng.standard_normal(s).astype(np.float32) for s in ((60, 8), (8, 3000)))
    chosen = chosen_targets(60, 3000, x)
    monkeypatch.setattr(compiled, "BLOCK_BYTES", 30_000)
    expected = compiled.affine_softmax_cross_entropy(x, W, None, chosen)[0]
    monkeypatch.setattr(threads, "thread_count", lambda: count)
    np.testing.assert_array_equal(
        compiled.affine_softmax_cross_entropy(x, W, None, chosen)[0], expected
    )


def test_rows_that_do_not_count_may_be_nan():
    rng = np.random.default_rng(3)
    x, W = rng.standard_normal((5, 3)).astype("f4"), rng.standard_normal((3, 4)).astype("f4")
    x[2] = np.nan
    chosen = targets([0, 1, -1, 2, 3], 4, x, -1, "test")
    clean = x.copy()
    clean[2] = 0.0
    results = []
    for rows in (clean, x):
        grads = [np.empty_like(W)]
        losses, dx = compiled.affine_softmax_cross_entropy(
            rows, W, None, chosen, grads=grads, scale=1.0
        )
        results.append((losses, dx, grads[0]))
    for actual, expected in zip(results[1], results[0], strict=True):
        np.testing.assert_array_equal(actual, expected)
