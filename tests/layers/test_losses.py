"""The two losses: one mean over the counted tokens, in nats; fused or not, the same."""

import numpy as np
import pytest
from backends import available

from rnn_xp.backend import to_host
from rnn_xp.errors import DataError, DTypeError, MixedBackendError, ShapeError, StaleCacheError
from rnn_xp.layers import TimeAffine, TimeAffineSoftmaxWithLoss, TimeSoftmaxWithLoss

N, T, H, V = 2, 3, 4, 5
TARGETS = np.array([[0, 4, -1], [2, 2, 1]])


@pytest.fixture
def elsewhere(be):
    return next(v.open() for v in available()[::-1] if v.open().name != be.name)


def draw(be, *shape, dtype="float64", seed=0):
    return be.asarray(np.random.default_rng(seed).standard_normal(shape), dtype)


def by_definition(scores, ts, ignore=-1):
    """Loss of each token and their mean."""
    p = np.exp(scores - scores.max(axis=-1, keepdims=True))
    p /= p.sum(axis=-1, keepdims=True)
    losses = -np.log(np.take_along_axis(p, np.maximum(ts, 0)[..., None], axis=-1)[..., 0])
    losses[ts == ignore] = 0.0
    return losses, losses.sum() / max((ts != ignore).sum(), 1)


@pytest.mark.parametrize("time_major", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_values(be, time_major, dtype):
    shape = (T, N) if time_major else (N, T)
    xs = draw(be, *shape, V, dtype=dtype)
    layer = TimeSoftmaxWithLoss(time_major=time_major)
    loss = layer.forward(xs, TARGETS)
    losses, mean = by_definition(to_host(xs), TARGETS.T if time_major else TARGETS)
    assert loss.shape == ()
    assert loss.dtype == xs.dtype
    np.testing.assert_allclose(to_host(loss), mean, rtol=1e-6)
    np.testing.assert_allclose(to_host(layer.losses), losses, rtol=1e-6, atol=1e-7)
    assert layer.count == 5


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("time_major", [False, True])
@pytest.mark.parametrize("bias", [False, True])
def test_fused_is_affine_then_softmax(be, transposed, time_major, bias):
    shape = (T, N) if time_major else (N, T)
    W, b = draw(be, H, V), draw(be, V) if bias else None
    stored = be.asarray(to_host(W).T) if transposed else W
    xs = draw(be, *shape, H)
    fused = TimeAffineSoftmaxWithLoss(stored, b, transposed=transposed, time_major=time_major)
    affine, softmax = TimeAffine(W, b), TimeSoftmaxWithLoss(time_major=time_major)
    loss = softmax.forward(affine.forward(xs), TARGETS)
    np.testing.assert_allclose(to_host(fused.forward(xs, TARGETS)), to_host(loss), rtol=1e-13)
    np.testing.assert_allclose(to_host(fused.losses), to_host(softmax.losses), atol=1e-13)
    np.testing.assert_allclose(to_host(fused.predict(xs)), to_host(affine.forward(xs)), atol=1e-13)
    dxs = affine.backward(softmax.backward(0.5))
    np.testing.assert_allclose(to_host(fused.backward(0.5)), to_host(dxs), atol=1e-14)
    dW = to_host(fused.grads[0])
    np.testing.assert_allclose(dW.T if transposed else dW, to_host(affine.grads[0]), atol=1e-14)
    if bias:
        np.testing.assert_allclose(to_host(fused.grads[1]), to_host(affine.grads[1]), atol=1e-14)


def both(be):
    """Each loss, and an input for it."""
    yield TimeSoftmaxWithLoss(), draw(be, N, T, V)
    yield TimeAffineSoftmaxWithLoss(draw(be, H, V), draw(be, V)), draw(be, N, T, H)


def test_nothing_counts(be):
    for layer, xs in both(be):
        for ts in (np.full((N, T), -1), be.xp.asarray(np.full((N, T), -1), device=be.device)):
            assert float(layer.forward(xs, ts)) == 0.0
            assert not to_host(layer.backward()).any()
            assert not any(to_host(g).any() for g in layer.grads)
            assert float(to_host(layer.count)) == 0.0


def test_targets_on_the_device(be):
    for layer, xs in both(be):
        loss = to_host(layer.forward(xs, TARGETS)).copy()
        dxs = to_host(layer.backward())
        device = be.xp.asarray(TARGETS, device=be.device)
        np.testing.assert_allclose(to_host(layer.forward(xs, device)), loss, rtol=1e-14)
        np.testing.assert_allclose(to_host(layer.backward()), dxs, rtol=1e-13)


def test_another_ignore_label(be):
    ts = np.array([[0, 4, 3], [2, 2, 1]])
    layer, xs = TimeSoftmaxWithLoss(ignore_label=2), draw(be, N, T, V)
    np.testing.assert_allclose(
        to_host(layer.forward(xs, ts)), by_definition(to_host(xs), ts, 2)[1], rtol=1e-13
    )
    assert layer.count == 4


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_large_scores_neither_overflow_nor_lose_the_answer(be, dtype):
    scores = np.zeros((1, 2, V))
    scores[0, 0, 1], scores[0, 1, 2] = 1e4, -1e4
    xs = be.asarray(scores, dtype)
    layer = TimeSoftmaxWithLoss()
    assert float(layer.forward(xs, [[1, 0]])) == pytest.approx(np.log(4) / 2, rel=1e-6)
    assert np.isfinite(to_host(layer.backward())).all()
    assert float(layer.forward(xs, [[0, 2]])) == pytest.approx((2e4 + np.log(4)) / 2, rel=1e-6)


def test_scores_that_do_not_count_may_be_anything(be):
    scores = np.random.default_rng(0).standard_normal((N, T, V))
    layer, results = TimeSoftmaxWithLoss(), []
    for junk in (0.0, 1e300):
        scores[0, 2] = junk
        loss = layer.forward(be.asarray(scores), TARGETS)
        results.append([to_host(a).copy() for a in (loss, layer.losses, layer.backward())])
    for a, b in zip(*results, strict=True):
        np.testing.assert_array_equal(a, b)


def test_the_gradient_is_scaled_by_dout(be):
    for layer, xs in both(be):
        layer.forward(xs, TARGETS)
        once = to_host(layer.backward()).copy()
        grads = [to_host(g).copy() for g in layer.grads]
        for dout in (2.0, 2, np.float64(2.0), be.asarray(2.0, "float64")):
            layer.forward(xs, TARGETS)
            np.testing.assert_allclose(to_host(layer.backward(dout)), 2 * once, rtol=1e-14)
            for a, b in zip(layer.grads, grads, strict=True):
                np.testing.assert_allclose(to_host(a), 2 * b, rtol=1e-14)


def test_a_pass_without_train_leaves_the_gradients_alone(be):
    for layer, xs in both(be):
        layer.forward(xs, TARGETS)
        layer.backward()
        grads = [to_host(g).copy() for g in layer.grads]
        loss = layer.forward(xs, TARGETS[::-1], train=False)
        assert float(loss) > 0
        for a, b in zip(layer.grads, grads, strict=True):
            np.testing.assert_array_equal(to_host(a), b)
        with pytest.raises(StaleCacheError, match=f"^{layer.name}: backward needs"):
            layer.backward()


def test_backward_once(be):
    for layer, xs in both(be):
        with pytest.raises(StaleCacheError, match=f"^{layer.name}: "):
            layer.backward()
        layer.forward(xs, TARGETS)
        layer.backward()
        with pytest.raises(StaleCacheError, match=f"^{layer.name}: "):
            layer.backward()


def test_two_forwards_then_backward_uses_the_last(be):
    for layer, xs in both(be):
        layer.forward(xs, TARGETS)
        expected = [to_host(a).copy() for a in (layer.backward(), *layer.grads)]
        layer.forward(2.0 * xs, TARGETS[::-1])
        layer.forward(xs, TARGETS)
        given = [to_host(a) for a in (layer.backward(), *layer.grads)]
        for a, b in zip(given, expected, strict=True):
            np.testing.assert_array_equal(a, b)


def test_results_survive_the_next_call(be):
    for layer, xs in both(be):
        loss = layer.forward(xs, TARGETS)
        kept = [loss, layer.losses, layer.backward()]
        copies = [to_host(a).copy() for a in kept]
        layer.forward(-3.0 * xs, TARGETS)
        layer.backward()
        for a, b in zip(kept, copies, strict=True):
            np.testing.assert_array_equal(to_host(a), b)


@pytest.mark.parametrize(
    ("ts", "error", "message"),
    [
        (TARGETS.T, ShapeError, r"ts has shape \(3, 2\), expected \(N, T\) = \(2, 3\)"),
        (TARGETS[0], ShapeError, r"ts has shape \(3,\)"),
        (TARGETS + 1, DataError, "targets holds ids from 0 to 5, expected 0 to 4"),
        (np.full((N, T), -2), DataError, "targets holds ids from -2 to -2"),
        (TARGETS.astype(float), DTypeError, "ts has dtype float64, expected integers"),
        ([[1, 2, 3], [1]], ShapeError, "ts is a ragged list"),
        ("abc", MixedBackendError, r"ts is a builtins\.str"),
    ],
)
def test_bad_targets(be, ts, error, message):
    for layer, xs in both(be):
        with pytest.raises(error, match=f"^{layer.name}: {message}") as caught:
            layer.forward(xs, ts)
        assert "\n" not in str(caught.value)


def test_device_targets_at_the_door(be, elsewhere):
    for layer, xs in both(be):
        if be.name != "numpy":
            with pytest.raises(DTypeError, match=f"^{layer.name}: ts has dtype"):
                layer.forward(xs, be.zeros((N, T), "float64"))
        if elsewhere.name != "numpy":
            ts = elsewhere.xp.asarray(TARGETS, device=elsewhere.device)
            with pytest.raises(MixedBackendError, match=f"^{layer.name}: ts is a"):
                layer.forward(xs, ts)


def test_bad_inputs(be, elsewhere):
    for layer, xs in both(be):
        width = xs.shape[2]
        for bad in (
            xs[0, :, :],
            be.zeros((0, T, width), "float64"),
            be.zeros((N, T, 0), "float64"),
        ):
            with pytest.raises(ShapeError, match=rf"^{layer.name}: xs has shape .*\(N, T, "):
                layer.forward(bad, TARGETS)
        with pytest.raises(DTypeError, match=f"^{layer.name}: xs has dtype"):
            layer.forward(be.zeros((N, T, width), "int64"), TARGETS)
        with pytest.raises((DTypeError, MixedBackendError), match=f"^{layer.name}: xs is a built"):
            layer.forward([[[1.0]]], TARGETS)
    fused, xs = list(both(be))[1]
    with pytest.raises(MixedBackendError, match="xs is a"):
        fused.forward(draw(elsewhere, N, T, H), TARGETS)
    with pytest.raises(DTypeError, match="xs has dtype"):
        fused.forward(draw(be, N, T, H, dtype="float32"), TARGETS)
    with pytest.raises(ShapeError, match=r"expected \(N, T, H\) with H = 4"):
        fused.forward(draw(be, N, T, H + 1), TARGETS)
    with pytest.raises(ShapeError, match="TimeAffineSoftmaxWithLoss: xs has shape"):
        fused.predict(draw(be, N, T, H + 1))
    with pytest.raises(ShapeError, match="TimeAffineSoftmaxWithLoss: b has shape"):
        TimeAffineSoftmaxWithLoss(draw(be, H, V), draw(be, H))


def test_one_word_in_the_vocabulary(be):
    layer = TimeSoftmaxWithLoss()
    assert float(layer.forward(draw(be, N, T, 1), np.zeros((N, T), int))) == 0.0
    assert not to_host(layer.backward()).any()
