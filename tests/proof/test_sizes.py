"""The generic against the fast kernels at sizes where fast kernels take other paths."""

import backends
import numpy as np
import pytest
from proof.oracles import FLOAT32_FORWARD, FLOAT32_GRADIENT, FLOAT64, worst

from rnn_xp.layers import TimeGRU, TimeLSTM, TimeRNN

LAYERS = {
    "rnn": (TimeRNN, {}),
    "lstm": (TimeLSTM, {}),
    "gru-after": (TimeGRU, {"reset_after": True}),
    "gru-before": (TimeGRU, {"reset_after": False}),
}
SIZES = [  # N, T, D, H
    (1, 1, 1, 1),
    (1, 9, 3, 2),
    (7, 1, 3, 2),
    (2, 40, 1, 5),
    (33, 3, 17, 1),
    (20, 35, 30, 40),
    (5, 6, 130, 70),
    (64, 2, 8, 129),
]


def results(name, size, masked, dtype, mode):
    """Outputs and gradients of one pass, float64 inputs rounded to `dtype`."""
    N, T, D, H = size
    rng = np.random.default_rng(1)
    cls, options = LAYERS[name]
    with backends.kernel_mode(mode):
        layer = cls.create(D, H, rng=rng, backend="numpy", dtype=dtype, **options)
        xs, dhs, state, dfinal = (
            rng.standard_normal(s).astype(np.float32).astype(dtype)
            for s in ((N, T, D), (N, T, H), (2, N, H), (2, N, H))
        )
        parts = len(layer.state_names)
        layer.set_state(*state[:parts])
        lengths = rng.integers(0, T + 1, N) if masked else None
        hs = layer.forward(xs, lengths=lengths)
        outputs = {"hs": hs} | {f"s{k}": part for k, part in enumerate(layer.state)}
        dxs = layer.backward(dhs, *dfinal[:parts])
    gradients = {"dxs": dxs, "dh": layer.dh} | {f"g{k}": g for k, g in enumerate(layer.grads)}
    return outputs, gradients


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("name", LAYERS)
def test_float64(name, size, masked):
    given = results(name, size, masked, "float64", "auto")
    for a, b in zip(given, results(name, size, masked, "float64", "generic"), strict=True):
        assert worst(a, b)[0] <= FLOAT64


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("mode", ["auto", "numpy", "generic"])
@pytest.mark.parametrize("name", LAYERS)
def test_float32_against_itself_in_float64(name, size, mode):
    """Both kernels lose only what float32 must; the weights are rounded, so a bit more."""
    outputs, gradients = results(name, size, True, "float32", mode)
    references = results(name, size, True, "float64", "generic")
    assert worst(outputs, references[0])[0] <= 2 * FLOAT32_FORWARD
    assert worst(gradients, references[1])[0] <= 2 * FLOAT32_GRADIENT
