"""`TimeAffine` and `TimeDropout`: what their docstrings promise, and what they refuse."""

import numpy as np
import pytest
from backends import available

from rnn_xp.backend import to_host
from rnn_xp.errors import DTypeError, MixedBackendError, ShapeError, StaleCacheError
from rnn_xp.layers import TimeAffine, TimeDropout
from rnn_xp.rng import DropoutKey, draw_dropout_mask

N, T, H, V = 2, 3, 4, 5


@pytest.fixture
def elsewhere(be):
    return next(v.open() for v in available()[::-1] if v.open().name != be.name)


def draw(be, *shape, dtype="float64", seed=0):
    return be.asarray(np.random.default_rng(seed).standard_normal(shape), dtype)


# ---- TimeAffine


@pytest.mark.parametrize("lead", [(N,), (N, T), (N, T, 2)])
def test_affine_takes_any_number_of_leading_axes(be, lead):
    layer = TimeAffine(draw(be, H, V), draw(be, V))
    ys = layer.forward(draw(be, *lead, H))
    assert ys.shape == (*lead, V)
    assert layer.backward(ys).shape == (*lead, H)


def test_affine_overwrites_its_gradients(be):
    layer = TimeAffine(draw(be, H, V), draw(be, V))
    arrays, once = list(layer.grads), []
    for _ in range(2):
        layer.backward(layer.forward(draw(be, N, T, H)))
        once.append([to_host(g).copy() for g in layer.grads])
    for a, b, array, grad in zip(*once, arrays, layer.grads, strict=True):
        np.testing.assert_array_equal(a, b)
        assert array is grad


def test_affine_without_train(be):
    layer = TimeAffine(draw(be, H, V))
    with pytest.raises(StaleCacheError, match=r"^TimeAffine: backward needs"):
        layer.backward(draw(be, N, T, V))
    layer.forward(draw(be, N, T, H))
    layer.forward(draw(be, N, T, H), train=False)
    with pytest.raises(StaleCacheError, match=r"^TimeAffine: backward needs"):
        layer.backward(draw(be, N, T, V))


def test_affine_at_the_door(be, elsewhere):
    W, b = draw(be, H, V), draw(be, V)
    for args, error, message in (
        ((draw(be, H), b), ShapeError, r"W has shape \(4,\), expected \(H, V\)"),
        ((W, draw(be, V + 1)), ShapeError, r"b has shape \(6,\), expected \(V,\) = \(5,\)"),
        ((W, draw(be, V, dtype="float32")), DTypeError, "b has dtype"),
        ((W, draw(elsewhere, V)), MixedBackendError, "b is a"),
        ((be.zeros((H, V), "int64"),), DTypeError, "W has dtype"),
        (([[1.0]],), DTypeError, r"W is a builtins\.list"),
    ):
        with pytest.raises(error, match=f"^TimeAffine: {message}"):
            TimeAffine(*args)
    with pytest.raises(ShapeError, match=r"expected \(V,\) = \(4,\)"):
        TimeAffine(W, b, transposed=True)
    layer = TimeAffine(W, b)
    for xs, error, message in (
        (draw(be, N, T, H + 1), ShapeError, r"xs has shape .* with H = 4"),
        (draw(be, H), ShapeError, "xs has shape"),
        (draw(be, N, T, H, dtype="float32"), DTypeError, "xs has dtype"),
        (draw(elsewhere, N, T, H), MixedBackendError, "xs is a"),
    ):
        with pytest.raises(error, match=f"^TimeAffine: {message}"):
            layer.forward(xs)
    for dys, error in (
        (draw(be, N, T, V + 1), ShapeError),
        (draw(be, N, T, V, dtype="float32"), DTypeError),
        (draw(elsewhere, N, T, V), MixedBackendError),
    ):
        layer.forward(draw(be, N, T, H))
        with pytest.raises(error, match=r"^TimeAffine: dys "):
            layer.backward(dys)


# ---- TimeDropout


@pytest.mark.parametrize("variational", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_dropout_zeroes_and_scales(be, variational, dtype):
    layer = TimeDropout(0.5, variational=variational, seed=3)
    xs = draw(be, N, T, H, dtype=dtype)
    ys = layer.forward(xs)
    assert ys.dtype == xs.dtype
    mask = to_host(ys) / to_host(xs)
    assert set(np.round(np.unique(mask), 5)) == {0.0, 2.0}
    dys = draw(be, N, T, H, dtype=dtype, seed=1)
    np.testing.assert_allclose(to_host(layer.backward(dys)), mask * to_host(dys), rtol=1e-5)
    if variational:
        np.testing.assert_allclose(mask, np.broadcast_to(mask[:, :1], mask.shape), rtol=1e-5)


def test_dropout_without_train_is_the_input(be):
    layer = TimeDropout(0.5)
    xs = draw(be, N, T, H)
    assert layer.forward(xs, train=False) is xs
    assert layer.counter == 0
    with pytest.raises(StaleCacheError, match=r"^TimeDropout: backward needs"):
        layer.backward(xs)


def test_dropout_of_nothing_is_the_input(be):
    layer = TimeDropout(0.0)
    xs = draw(be, N, T, H)
    assert layer.forward(xs) is xs
    assert layer.backward(xs) is xs


def test_each_training_call_draws_anew(be):
    layer = TimeDropout(0.5, seed=2, stream=4)
    ones = be.asarray(np.ones((N, T, H)))
    given = [to_host(layer.forward(ones)) for _ in range(3)]
    for counter, mask in enumerate(given):
        expected = draw_dropout_mask((T, N, H), 0.5, DropoutKey(2, 4, counter))
        np.testing.assert_array_equal(mask, expected.transpose(1, 0, 2))
    layer.counter = 1  # what a resume does
    np.testing.assert_array_equal(to_host(layer.forward(ones)), given[1])


def test_masks_are_the_same_on_every_backend():
    results = []
    for variant in available():
        be = variant.open()
        layer = TimeDropout(0.4, seed=2**64 - 1)
        results.append(to_host(layer.forward(be.asarray(np.ones((N, T, H), np.float32)))))
    for result in results[1:]:
        np.testing.assert_array_equal(result, results[0])


@pytest.mark.parametrize("ratio", [-0.1, 1.0, 1.5, 0.999999, float("nan")])
def test_bad_ratios(ratio):
    with pytest.raises(ValueError, match=r"TimeDropout: dropout_ratio = .*, expected 0 <= ratio <"):
        TimeDropout(ratio)


@pytest.mark.parametrize("options", [{"seed": -1}, {"seed": 2**64}, {"stream": -1}])
def test_bad_seeds(options):
    with pytest.raises(ValueError, match=r"TimeDropout: seed = .*, stream = .*, expected 0 to"):
        TimeDropout(0.5, **options)


def test_dropout_at_the_door(be, elsewhere):
    layer = TimeDropout(0.5)
    for xs, error, message in (
        (draw(be, N, H), ShapeError, r"xs has shape \(2, 4\), expected \(N, T, D\)"),
        (be.zeros((N, T, H), "int64"), DTypeError, "xs has dtype"),
        ([[[1.0]]], DTypeError, r"xs is a builtins\.list"),
    ):
        with pytest.raises(error, match=f"^TimeDropout: {message}"):
            layer.forward(xs)
    assert layer.counter == 0
    for dxs, error in (
        (draw(be, N, T, H + 1), ShapeError),
        (draw(be, N, T, H, dtype="float32"), DTypeError),
        (draw(elsewhere, N, T, H), MixedBackendError),
    ):
        layer.forward(draw(be, N, T, H))
        with pytest.raises(error, match=r"^TimeDropout: dxs "):
            layer.backward(dxs)
