"""The layer-norm cells with their default eps: equations, gradients, the door.

The proof grid has them with a larger eps, and against torch.
"""

import numpy as np
import pytest

from rnn_xp.backend import to_host
from rnn_xp.cells import LayerNormGRUCell, LayerNormLSTMCell, LayerNormRNNCell
from rnn_xp.errors import DTypeError, ShapeError
from rnn_xp.layers import TimeCell
from rnn_xp.testing import check_cell_gradients, check_gradients

N, T, D, H = 2, 3, 3, 5
EPS = 1e-5
CELLS = {
    "rnn": (LayerNormRNNCell, 1, {"b": (H,), "gamma": (H,)}),
    "lstm": (
        LayerNormLSTMCell,
        4,
        {"b": (4 * H,), "gamma": (2, 4 * H), "gamma_c": (H,), "beta_c": (H,)},
    ),
    "gru": (LayerNormGRUCell, 3, {"b": (2, 3 * H), "gamma": (2, 3 * H)}),
    "gru before": (LayerNormGRUCell, 3, {"b": (3 * H,), "gamma": (2, 3 * H)}),
}
names = pytest.mark.parametrize("name", CELLS)


def logistic(a):
    return 1.0 / (1.0 + np.exp(-a))


def norm(a, gamma=1.0, beta=0.0):
    mean = a.mean(axis=1, keepdims=True)
    return (a - mean) / np.sqrt(a.var(axis=1, keepdims=True) + EPS) * gamma + beta


def draw(name):
    _, gates, extra = CELLS[name]
    rng = np.random.default_rng(4)
    shapes = {"Wx": (D, gates * H), "Wh": (H, gates * H), **extra}
    return {k: rng.standard_normal(s) for k, s in shapes.items()}


def state_of(name, be, h, c):
    return (be.asarray(h), be.asarray(c)) if name == "lstm" else be.asarray(h)


def equations(name, x, h, c, Wx, Wh, b, gamma, gamma_c=None, beta_c=None):
    if name == "rnn":
        return np.tanh(norm(x @ Wx + h @ Wh, gamma, b)), None
    ax = norm(x @ Wx, gamma[0])
    if name == "gru before":
        xr, xz, xn = np.split(ax + b, 3, axis=1)
        hr, hz = np.split(norm(h @ Wh[:, : 2 * H], gamma[1, : 2 * H]), 2, axis=1)
        z = logistic(xz + hz)
        hn = norm((logistic(xr + hr) * h) @ Wh[:, 2 * H :], gamma[1, 2 * H :])
        return (1 - z) * np.tanh(xn + hn) + z * h, None
    ah = norm(h @ Wh, gamma[1])
    if name == "lstm":
        i, f, g, o = np.split(ax + ah + b, 4, axis=1)
        c = logistic(f) * c + logistic(i) * np.tanh(g)
        return logistic(o) * np.tanh(norm(c, gamma_c, beta_c)), c
    xr, xz, xn = np.split(ax + b[0], 3, axis=1)
    hr, hz, hn = np.split(ah + b[1], 3, axis=1)
    z = logistic(xz + hz)
    return (1 - z) * np.tanh(xn + logistic(xr + hr) * hn) + z * h, None


@names
def test_the_equations(name, be, rng):
    weights = draw(name)
    cell = CELLS[name][0](**{k: be.asarray(v) for k, v in weights.items()})
    x, h, c = rng.standard_normal((N, D)), rng.standard_normal((N, H)), rng.standard_normal((N, H))
    output, new, _ = cell.forward(be.asarray(x), state_of(name, be, h, c))
    expected_h, expected_c = equations(name, x, h, c, **weights)
    np.testing.assert_allclose(to_host(output), expected_h, rtol=1e-11, atol=1e-13)
    if name == "lstm":
        assert new[0] is output
        np.testing.assert_allclose(to_host(new[1]), expected_c, rtol=1e-11, atol=1e-13)
    else:
        assert new is output


@names
def test_gradients(name, quick_be, rng):
    cell = CELLS[name][0](**{k: quick_be.asarray(v) for k, v in draw(name).items()})
    state = state_of(name, quick_be, rng.standard_normal((N, H)), rng.standard_normal((N, H)))
    check_cell_gradients(cell, quick_be.asarray(rng.standard_normal((N, D))), state)
    layer = TimeCell(cell)
    xs = quick_be.asarray(rng.standard_normal((N, T, D)))
    check_gradients(layer, xs, reset=lambda: layer.set_state(state), lengths=[T, 1])


@names
def test_the_scale_of_the_weights_does_not_matter(name, rng):
    """What a norm is for; with eps much smaller than the variances."""
    weights = draw(name)
    x, h = rng.standard_normal((N, D)), rng.standard_normal((N, H))
    outputs = []
    for scale in (1.0, 1000.0):
        given = {k: v * scale if k in ("Wx", "Wh") else v for k, v in weights.items()}
        cell = CELLS[name][0](**given, eps=1e-12)
        outputs.append(cell.forward(x, (h, h) if name == "lstm" else h)[0])
    np.testing.assert_allclose(*outputs, rtol=1e-9)


@names
def test_a_row_of_zeros_is_finite(name, be):
    """Masked steps see one: no variance, and no NaN."""
    cell = CELLS[name][0](**{k: be.asarray(v) for k, v in draw(name).items()})
    zeros = be.zeros((N, D), "float64")
    output, _, cache = cell.forward(zeros, cell.zero_state(N))
    dx, _ = cell.backward(output, None, cache)
    assert np.isfinite(to_host(output)).all()
    assert np.isfinite(to_host(dx)).all()


@names
def test_params_and_sizes(name):
    weights = draw(name)
    cell = CELLS[name][0](**weights)
    assert all(p is w for p, w in zip(cell.params, weights.values(), strict=True))
    assert (cell.input_size, cell.output_size) == (D, H)
    assert cell.state_size == ((H, H) if name == "lstm" else H)


@names
def test_the_door(name):
    cls, weights = CELLS[name][0], draw(name)
    for key in CELLS[name][2]:
        with pytest.raises(ShapeError, match=rf"^{cls.__name__}: {key} has shape .*, expected"):
            cls(**{**weights, key: np.zeros(H + 1)})
        with pytest.raises(DTypeError, match=rf"^{cls.__name__}: {key} has dtype float32"):
            cls(**{**weights, key: weights[key].astype(np.float32)})
    with pytest.raises(ShapeError, match=rf"^{cls.__name__}: Wx has shape"):
        cls(**{**weights, "Wx": np.zeros((D, H + 1))})
    with pytest.raises(ValueError, match=rf"^{cls.__name__}: eps = 0.0, expected a positive"):
        cls(**weights, eps=0.0)
