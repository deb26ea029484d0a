"""The activations by name: values, slopes, and what a cell does with them."""

import copy
import math
import pickle

import numpy as np
import pytest

from rnn_xp.backend import to_host
from rnn_xp.cells import Activation, GRUCell, LSTMCell, RNNCell, get_activation, sigmoid
from rnn_xp.cells.activations import ACTIVATIONS
from rnn_xp.cells.more_activations import MORE, UNSUPPORTED
from rnn_xp.testing import check_cell_gradients, numerical_gradient

N, D, H = 2, 3, 4
ALL = sorted({**ACTIVATIONS, **MORE})
names = pytest.mark.parametrize("name", ALL)


def points():
    """From -8.7 to 8.8, none of them near a kink, in two rows (softmax goes along them)."""
    return np.linspace(-8.73, 8.81, 26).reshape(2, 13)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_sigmoid_does_not_overflow(be, dtype):
    x = be.asarray([-1e4, -800.0, -90.0, -1.0, 0.0, 1.0, 90.0, 1e4], dtype)
    y = to_host(sigmoid(x, be.xp))
    assert y[0] == 0.0
    assert y[4] == 0.5
    assert y[-1] == 1.0
    expected = [1.0 / (1.0 + math.exp(-a)) for a in (-1.0, 0.0, 1.0)]
    np.testing.assert_allclose(y[3:6], expected, rtol=1e-6)


@names
def test_backward_is_the_slope_of_forward(name, be):
    """By central differences, on every backend, with a weight for each output."""
    activation = get_activation(name)
    x, rng = points(), np.random.default_rng(0)
    dy = rng.standard_normal(x.shape)

    def loss(a):
        return (to_host(activation.function(a, be.xp)) * dy).sum()

    y, kept = activation.apply(be.asarray(x), be.xp)
    given = to_host(activation.backward(be.asarray(dy), kept, be.xp))
    expected = to_host(numerical_gradient(loss, be.asarray(x)))
    scale = np.abs(dy).max() * (np.exp(9.0) if name == "exponential" else 1.0)
    np.testing.assert_allclose(given, expected, atol=1e-7 * scale, rtol=0)
    assert y.shape == x.shape


@names
def test_float32_stays_float32(name, be):
    activation = get_activation(name)
    x = be.asarray(points(), "float32")
    y, kept = activation.apply(x, be.xp)
    dx = activation.backward(be.xp.ones_like(x), kept, be.xp)
    assert y.dtype == dx.dtype == be.dtype("float32")
    exact = activation.function(points(), np)
    np.testing.assert_allclose(to_host(y), exact, rtol=0, atol=2e-6 * np.abs(exact).max())


@names
def test_large_inputs_neither_warn_nor_give_nan(name, be):
    """NumPy's warnings are errors here: no branch that is not taken may overflow."""
    activation = get_activation(name)
    big = 80.0 if name == "exponential" else 1e4
    x = be.asarray([[-1e4, -200.0, 0.0, 60.0, big]], "float32")
    y, kept = activation.apply(x, be.xp)
    dx = activation.backward(be.xp.ones_like(x), kept, be.xp)
    assert np.isfinite(to_host(y)).all()
    assert np.isfinite(to_host(dx)).all()


@names
def test_values_and_slopes_are_those_of_torch(name, torch_backend):
    import torch
    from torch.nn import functional as F

    functions = {
        "exponential": torch.exp,
        "gelu_tanh": lambda a: F.gelu(a, approximate="tanh"),
        "hard_shrink": F.hardshrink,
        "hard_sigmoid": F.hardsigmoid,
        "hard_silu": F.hardswish,
        "hard_swish": F.hardswish,
        "hard_tanh": F.hardtanh,
        "leaky_relu": lambda a: F.leaky_relu(a, 0.2),
        "linear": lambda a: 1.0 * a,
        "log_sigmoid": F.logsigmoid,
        "log_softmax": lambda a: F.log_softmax(a, -1),
        "soft_shrink": F.softshrink,
        "softmax": lambda a: F.softmax(a, -1),
        "sparse_plus": lambda a: torch.where(
            a <= -1, 0 * a, torch.where(a < 1, 0.25 * (a + 1) ** 2, a)
        ),
        "sparse_sigmoid": lambda a: (0.5 * (a + 1)).clamp(0, 1),
        "squareplus": lambda a: 0.5 * (a + torch.sqrt(a * a + 4)),
        "swish": F.silu,
        "tanh_shrink": F.tanhshrink,
    }
    function = functions.get(name) or getattr(F, name)
    leaf = torch.tensor(points(), requires_grad=True)
    expected = function(leaf)
    dy = np.random.default_rng(1).standard_normal(points().shape)
    expected.backward(torch.tensor(dy))
    activation = get_activation(name)
    y, kept = activation.apply(points(), np)
    scale = float(expected.detach().abs().max())
    np.testing.assert_allclose(y, expected.detach().numpy(), rtol=0, atol=1e-14 * scale)
    # torch's hard_sigmoid has a slope of 1/6 that is rounded to float32.
    tolerance = 1e-7 if name == "hard_sigmoid" else 1e-14 * max(scale, 1.0)
    slope = activation.backward(dy, kept, np)
    np.testing.assert_allclose(slope, leaf.grad.numpy(), rtol=0, atol=3 * tolerance)


@pytest.mark.parametrize("name", ["relu", "relu6", "hard_sigmoid", "hard_tanh", "hard_shrink"])
def test_the_slope_on_a_kink_is_that_of_the_flat_side(name, be):
    edges = {"relu6": [0.0, 6.0], "hard_sigmoid": [-3.0, 3.0], "hard_tanh": [-1.0, 1.0]}
    x = be.asarray(edges.get(name, [0.0, -0.0]))
    activation = get_activation(name)
    _, kept = activation.apply(x, be.xp)
    assert to_host(activation.backward(be.xp.ones_like(x), kept, be.xp)).tolist() == [0.0, 0.0]


def test_gelu_is_exact(be):
    """The array API has no erf: the series has the error of rounding."""
    x = np.linspace(-12.0, 12.0, 2001)
    y = to_host(get_activation("gelu").function(be.asarray(x), be.xp))
    expected = np.array([a * 0.5 * math.erfc(-a / math.sqrt(2.0)) for a in x])
    np.testing.assert_allclose(y, expected, rtol=0, atol=4e-16 * 12)
    near = np.abs(x) < 1.0
    np.testing.assert_allclose(y[near], expected[near], rtol=1e-14)


# ---- in cells


def weights(be, rng, gates, bias=None):
    G = gates * H
    return [be.asarray(0.5 * rng.standard_normal(s)) for s in ((D, G), (H, G), bias or (G,))]


@pytest.mark.parametrize("name", ["gelu", "softsign", "softmax"])
def test_every_cell_takes_any_activation(name, quick_be, rng):
    gates = {"activation": name, "recurrent_activation": "hard_sigmoid"}
    h = quick_be.asarray(rng.standard_normal((N, H)))
    x = quick_be.asarray(rng.standard_normal((N, D)))
    check_cell_gradients(RNNCell(*weights(quick_be, rng, 1), activation=name), x, h)
    check_cell_gradients(LSTMCell(*weights(quick_be, rng, 4), **gates), x, (h, 0.5 * h))
    check_cell_gradients(GRUCell(*weights(quick_be, rng, 3, (2, 3 * H)), **gates), x, h)
    check_cell_gradients(GRUCell(*weights(quick_be, rng, 3), **gates), x, h)
    gates["recurrent_activation"] = name  # softmax mixes the units of one gate, not the gates
    check_cell_gradients(LSTMCell(*weights(quick_be, rng, 4), **gates), x, (h, 0.5 * h))
    check_cell_gradients(GRUCell(*weights(quick_be, rng, 3), **gates), x, h)


def test_an_activation_of_ones_own(be, rng):
    """With its slope told by the output, by the input, or as the whole backward step."""
    x = be.asarray(rng.standard_normal((N, D)))
    h = be.asarray(rng.standard_normal((N, H)))
    cube = lambda a, xp: a * a * a  # noqa: E731
    own = (
        Activation("exp", lambda a, xp: xp.exp(0.5 * a), lambda y, xp: 0.5 * y),
        Activation("cube", cube, lambda a, xp: 3.0 * a * a, of_input=True),
        Activation("cube", cube, of_input=True, pullback=lambda dy, a, xp: dy * (3.0 * a * a)),
    )
    for activation in own:
        cell = RNNCell(*weights(be, rng, 1), activation=activation)
        check_cell_gradients(cell, x, h)


def test_a_plain_callable_works_forward_and_says_what_backward_needs(be, rng):
    def square(a):
        return a * a

    cell = RNNCell(*weights(be, rng, 1), activation=square)
    x, h = be.asarray(np.ones((N, D))), be.asarray(np.zeros((N, H)))
    output, _, cache = cell.forward(x, h)
    Wx, _, b = (to_host(p) for p in cell.params)
    np.testing.assert_allclose(to_host(output), (np.ones((N, D)) @ Wx + b) ** 2)
    with pytest.raises(TypeError, match=r"^activation 'square' has no derivative and only works f"):
        cell.backward(h, None, cache)


@pytest.mark.parametrize("name", ["tanh", "sigmoid", "gelu", "hard_sigmoid"])
def test_copies_and_pickles_are_the_activation_itself(name):
    activation = get_activation(name)
    assert copy.deepcopy(activation) is activation
    assert pickle.loads(pickle.dumps(activation)) is activation


def test_ones_own_pickles_if_its_functions_do():
    for own in (Activation("tanh", math.tanh), get_activation(math.tanh)):
        other = pickle.loads(pickle.dumps(own))
        assert other is not own
        assert other.name == "tanh"
        assert other.derivative is None
    assert other.function(0.5, None) == math.tanh(0.5)


def test_none_is_linear_and_an_activation_is_itself():
    assert get_activation(None).name == "linear"
    relu = get_activation("relu")
    assert get_activation(relu) is relu


def test_an_unknown_activation_lists_the_known_ones(rng):
    params = [rng.standard_normal(s) for s in ((D, H), (H, H), (H,))]
    known = ", ".join(ALL)
    message = f"^unknown activation 'tahn', expected one of: {known}$"
    with pytest.raises(ValueError, match=message):
        RNNCell(*params, activation="tahn")
    for name, reason in UNSUPPORTED.items():
        with pytest.raises(ValueError, match=rf"^unknown activation '{name}' \({reason}\), exp"):
            get_activation(name)
    with pytest.raises(TypeError, match=r"^activation is a int, expected a name, an Activation"):
        get_activation(3)


def test_every_name_of_keras_is_known_or_refused_with_the_reason():
    """The names of ``keras.activations`` in Keras 3.15, with two aliases."""
    keras = """celu elu exponential gelu glu hard_shrink hard_sigmoid hard_silu hard_swish hard_tanh
        leaky_relu linear log_sigmoid log_softmax mish relu relu6 selu sigmoid silu soft_shrink
        softmax softplus softsign sparse_plus sparse_sigmoid sparsemax squareplus swish tanh
        tanh_shrink threshold"""
    assert set(keras.split()) == set(ALL) - {"gelu_tanh"} | set(UNSUPPORTED)
