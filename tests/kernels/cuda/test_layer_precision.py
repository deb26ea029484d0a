"""Layers and models on CuPy take a precision, all of their layers or none."""

import copy
import pickle

import numpy as np
import pytest
from comparing import must_round

from rnn_xp.backend import to_host
from rnn_xp.errors import PrecisionUnavailable, StaleCacheError
from rnn_xp.layers import Bidirectional, TimeAffineSoftmaxWithLoss, TimeCell, TimeLSTM
from rnn_xp.models import Rnnlm

HALF = {"tf32": 2e-3, "float16": 2e-2, "bfloat16": 2e-2}


@pytest.fixture
def output(cuda_be, rng):
    """A loss with weights, float32."""
    W, b = rng.standard_normal((6, 40)), rng.standard_normal(40)
    return TimeAffineSoftmaxWithLoss(cuda_be.asarray(W, "float32"), cuda_be.asarray(b, "float32"))


def run(layer, be, dout=1.0):
    rng = np.random.default_rng(1)
    xs = be.asarray(rng.standard_normal((2, 3, 6)), "float32")
    loss = layer.forward(xs, rng.integers(0, 40, (2, 3)))
    dx = layer.backward(dout)
    return [to_host(a) for a in (loss, dx, *layer.grads)]


@pytest.mark.parametrize("precision", HALF)
def test_a_layer_computes_in_it_until_it_is_told_otherwise(cuda_be, output, precision):
    plain = run(output, cuda_be)
    output.set_precision(precision)
    assert output.precision == precision
    rounded = run(output, cuda_be)
    for a, b in zip(rounded, plain, strict=True):
        assert a.dtype == np.float32
        assert np.abs(a - b).max() < HALF[precision] * np.abs(b).max()
        assert np.abs(a - b).max() > 0 or not must_round(cuda_be, precision)
    output.set_precision("float32")
    for a, b in zip(run(output, cuda_be), plain, strict=True):
        assert np.array_equal(a, b)


def test_the_gradient_is_that_of_the_scaled_loss(cuda_be, output):
    output.set_precision("float16")
    _, *once = run(output, cuda_be)
    for a, b in zip(run(output, cuda_be, 1024.0)[1:], once, strict=True):
        assert np.array_equal(a, 1024 * b)


def test_what_was_kept_for_backward_belongs_to_the_precision_before(cuda_be, output):
    output.forward(cuda_be.zeros((1, 1, 6), "float32"), np.zeros((1, 1), int))
    output.set_precision("tf32")
    with pytest.raises(StaleCacheError):
        output.backward()


def test_float64_and_generic_kernels_refuse(cuda_be, output, monkeypatch):
    double = TimeAffineSoftmaxWithLoss(cuda_be.zeros((6, 40), "float64"))
    with pytest.raises(PrecisionUnavailable, match="dtype float32, these have float64"):
        double.set_precision("tf32")
    monkeypatch.setenv("RNN_XP_KERNELS", "generic")
    with pytest.raises(PrecisionUnavailable, match="RNN_XP_KERNELS=generic"):
        output.set_precision("tf32")
    assert output.precision == double.precision == "float32"


def test_all_layers_of_a_model_or_none(cuda_be):
    model = Rnnlm(40, 5, 6, layer_norm=True, cell="lstm", backend=cuda_be)
    assert any(isinstance(layer, TimeCell) for layer in model.layers)
    with pytest.raises(
        PrecisionUnavailable, match="precision tf32: TimeCell makes its matrix products in float32"
    ):
        model.set_precision("tf32")
    assert model.precision == model.layers[-1].precision == "float32"


def test_copies_keep_it_on_their_backend(cuda_be, output):
    output.set_precision("float16")
    for twin in (copy.copy(output), copy.deepcopy(output), output.to(cuda_be)):
        assert twin.precision == "float16"
        for a, b in zip(run(twin, cuda_be), run(output, cuda_be), strict=True):
            assert np.array_equal(a, b)
    assert output.to("numpy").precision == "float32"
    assert output.precision == "float16"


def test_copies_and_pickles_of_a_model_keep_it_on_their_backend(cuda_be):
    model = Rnnlm(40, 5, 6, layer_norm=True, cell="lstm", backend=cuda_be)
    model.layers[-1].set_precision("bfloat16")
    for twin in (copy.deepcopy(model), model.to(cuda_be), pickle.loads(pickle.dumps(model))):
        assert [layer.precision for layer in twin.layers] == [
            layer.precision for layer in model.layers
        ]
        assert twin.layers[-1].precision == "bfloat16"
    assert model.to("numpy").layers[-1].precision == "float32"


def test_a_net_says_what_its_layers_have(cuda_be):
    one, other = (TimeLSTM.create(3, 4, backend=cuda_be) for _ in range(2))
    net = Bidirectional(one, other)
    one.precision = "tf32"
    assert net.precision == "tf32"


@pytest.mark.parametrize("precision", HALF)
@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
def test_a_language_model_in_it(cuda_be, cell, precision):
    """Loss and every gradient, relative to its largest entry, against the same in float32."""
    rng = np.random.default_rng(2)
    ids = rng.integers(0, 40, (2, 3, 6))
    model = Rnnlm(40, 5, 6, cell=cell, layers=2, tied=False, backend=cuda_be)

    def step(model):
        loss = model.forward(*ids)
        model.backward()
        return {"loss": to_host(loss)} | {k: to_host(g) for k, g in model.named_gradients.items()}

    plain = step(model.to(cuda_be))
    model.set_precision(precision)
    assert model.precision == precision
    rounded = step(model)
    for name, a in rounded.items():
        error = np.abs(a - plain[name]).max() / np.abs(plain[name]).max()
        assert error < HALF[precision], (name, error)
    differ = any(not np.array_equal(rounded[name], plain[name]) for name in plain)
    assert differ or not must_round(cuda_be, precision)
    moved = model.to("numpy")
    assert moved.precision == "float32"
    np.testing.assert_allclose(step(moved)["loss"], plain["loss"], rtol=1e-5)
