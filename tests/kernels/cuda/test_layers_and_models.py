"""Whole layers and language models on the CuPy kernels, against the generic ones on NumPy."""

import numpy as np
import pytest
from backends import kernel_mode
from layers.layer_kinds import D, H, N, T, draw, initial_gradients, make, parts
from models import lm_helpers
from standin import transfers

from rnn_xp.backend import get_backend, to_host
from rnn_xp.kernels import kernel_report
from rnn_xp.layers import Bidirectional, TimeLSTM

NAMES = ("rnn", "lstm", "gru-after", "gru-before")
LENGTHS = [4, 0, 2]
HOLES = np.array([[True, False, True, True], [False, True, True, False], [True] * 4])
INPUTS = {"plain": {}, "lengths": {"lengths": LENGTHS}, "mask": {"mask": HOLES}}


def close(actual, expected, tolerance=1e-12):
    for a, e in zip(actual, expected, strict=True):
        a, e = to_host(a), to_host(e)
        assert a.dtype == e.dtype
        scale = max(np.abs(e).max(), 1e-30)
        np.testing.assert_allclose(a, e, rtol=0, atol=tolerance * scale, equal_nan=False)


def both(be, run):
    """What `run` gives with the kernels of `be`, and with the generic ones on NumPy."""
    actual = run(be)
    with kernel_mode("generic"):
        return actual, run(get_backend("numpy"))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("options", INPUTS)
def test_recurrent_layers(cuda_be, name, options):
    def run(be):
        layer = make(name, be, stateful=True)
        assert (layer.kernels.rnn_forward.__module__.split(".")[2] == "cuda") == (be is cuda_be)
        seen = []
        for call in range(3):
            x, dhs = draw(be, N, T, D, seed=call), draw(be, N, T, H, seed=call + 10)
            seen += [layer.forward(x, **INPUTS[options]), *layer.state]
            seen += [layer.backward(dhs), *initial_gradients(layer)]
            seen += [g + 0 for g in layer.grads]
        seen.append(layer.forward(x, train=False, **INPUTS[options]))
        layer.reset_state()
        # Another batch size, another length; the state's gradient alone.
        seen += [layer.forward(draw(be, 2, 3, D)), layer.backward(draw(be, 2, 3, H))]
        return [to_host(a).copy() for a in seen]

    close(*both(cuda_be, run))


@pytest.mark.parametrize("options", INPUTS)
def test_bidirectional(cuda_be, options):
    def run(be):
        layer = Bidirectional(make("lstm", be), make("gru-after", be, seed=1))
        seen = [layer.forward(draw(be, N, T, D), **INPUTS[options])]
        seen.append(layer.backward(draw(be, N, T, 2 * H)))
        states = [part for one in layer.state + layer.dstate for part in parts(one)]
        return [to_host(a) for a in (*seen, *states, *layer.grads)]

    close(*both(cuda_be, run))


@pytest.mark.parametrize("options", INPUTS)
def test_time_major_layer(cuda_be, options):
    def run(be):
        layer = make("lstm", be, time_major=True)
        given = {k: np.asarray(v).T for k, v in INPUTS[options].items()}
        hs = layer.forward(draw(be, T, N, D), **given)
        return [to_host(a) for a in (hs, layer.backward(draw(be, T, N, H)), *layer.grads)]

    close(*both(cuda_be, run))


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("kind", ["rnn", "lstm", "gru", "gru reset before", "tied"])
def test_language_models(cuda_be, kind, dtype):
    def run(be):
        model = lm_helpers.make(be, dtype=dtype, **lm_helpers.KINDS[kind])
        seen = []
        for seed in range(2):  # the state goes on
            ids, targets = lm_helpers.batch(seed, N=3, T=5)
            seen.append(model.forward(ids, targets))
            model.backward()
            seen.append(to_host(model.flat_grads).copy())
        return [to_host(a) for a in seen]

    close(*both(cuda_be, run), 1e-12 if dtype == "float64" else 5e-6)


def test_training_a_language_model(cuda_be):
    close(*both(cuda_be, lambda be: [lm_helpers.train(lm_helpers.make(be, layers=2))]), 1e-10)


@pytest.mark.parametrize("kind", ["lstm", "gru", "rnn"])
def test_a_training_step_does_not_wait_for_the_device(cuda_be, kind):
    model = lm_helpers.make(cuda_be, **lm_helpers.KINDS[kind])
    with transfers.refused():
        model.forward(*lm_helpers.batch())
        model.backward()


def test_the_report_names_the_recurrent_kernels(cuda_be):
    report = kernel_report(TimeLSTM.create(2, 3, backend=cuda_be).kernels)
    for primitive in ("rnn", "lstm", "gru"):
        assert report[f"{primitive}_forward"] == report[f"{primitive}_backward"] == "fast"
