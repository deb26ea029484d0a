"""`LayerNormLSTMPCell`: where the options go between the norms, and what it is without them.

The proof grid has every option with a square projection and against torch; here it is a narrow
one.
"""

import numpy as np
import pytest

from rnn_xp.backend import to_host
from rnn_xp.cells import LayerNormLSTMCell, LayerNormLSTMPCell
from rnn_xp.errors import DTypeError, ShapeError
from rnn_xp.layers import TimeCell
from rnn_xp.testing import check_cell_gradients, check_gradients

N, T, D, H, P = 3, 4, 2, 5, 3
EPS = 1e-5
ALL = {"peepholes": True, "Wp": True, "cell_clip": 0.4, "projection_clip": 0.2}
OPTIONS = {
    "nothing": {},
    "peepholes": {"peepholes": True},
    "projection": {"Wp": True},
    "cell clip": {"cell_clip": 0.4},
    "all": ALL,
    "all, other activations": {**ALL, "activation": "elu", "recurrent_activation": "softsign"},
}
options = pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)


def draw(given):
    """Weights by name, options, and the width of h: True stands for an array."""
    rng = np.random.default_rng(0)
    width = P if given.get("Wp") else H
    shapes = {"Wx": (D, 4 * H), "Wh": (width, 4 * H), "b": (4 * H,)}
    shapes |= {"gamma": (2, 4 * H), "gamma_c": (H,), "beta_c": (H,)}
    optional = {"peepholes": (3, H), "Wp": (H, P)}
    shapes |= {k: v for k, v in optional.items() if given.get(k)}
    arrays = {k: 0.7 * rng.standard_normal(v) for k, v in shapes.items()}
    return arrays, {k: v for k, v in given.items() if k not in optional}, width


def cell_of(be, given):
    arrays, rest, width = draw(given)
    put = {k: be.asarray(v) for k, v in arrays.items()}
    return LayerNormLSTMPCell(**put, **rest), arrays, width


def logistic(a):
    return 1.0 / (1.0 + np.exp(-a))


def softsign(a):
    return a / (1.0 + np.abs(a))


def elu(a):
    return np.where(a > 0.0, a, np.expm1(a))


def norm(a):
    centred = a - a.mean(axis=1, keepdims=True)
    return centred / np.sqrt(a.var(axis=1, keepdims=True) + EPS)


def equations(x, h, c, w, cell_clip=np.inf, projection_clip=np.inf, **activations):
    """Those of the docstring, line by line: ``(h', c')``."""
    act, gate = (elu, softsign) if activations else (np.tanh, logistic)
    a = norm(x @ w["Wx"]) * w["gamma"][0] + norm(h @ w["Wh"]) * w["gamma"][1] + w["b"]
    a_i, a_f, a_g, a_o = np.split(a, 4, axis=1)
    p_i, p_f, p_o = w.get("peepholes", np.zeros((3, H)))
    i, f, g = gate(a_i + p_i * c), gate(a_f + p_f * c), act(a_g)
    c = np.clip(f * c + i * g, -cell_clip, cell_clip)
    o = gate(a_o + p_o * c)
    m = o * act(norm(c) * w["gamma_c"] + w["beta_c"])
    return np.clip(m @ w["Wp"] if "Wp" in w else m, -projection_clip, projection_clip), c


@options
def test_the_equations(options, be, rng):
    cell, arrays, width = cell_of(be, options)
    x, h, c = (rng.standard_normal((N, k)) for k in (D, width, H))
    output, (new_h, new_c), _ = cell.forward(be.asarray(x), (be.asarray(h), be.asarray(c)))
    assert output is new_h
    rest = {k: v for k, v in options.items() if k not in ("peepholes", "Wp")}
    expected_h, expected_c = equations(x, h, c, arrays, **rest)
    np.testing.assert_allclose(to_host(output), expected_h, rtol=1e-11, atol=1e-13)
    np.testing.assert_allclose(to_host(new_c), expected_c, rtol=1e-11, atol=1e-13)
    for name, new in (("cell_clip", expected_c), ("projection_clip", expected_h)):
        if name in options:
            inside = np.abs(new) < options[name]
            assert inside.any()
            assert not inside.all()


@options
def test_gradients(options, quick_be, rng):
    cell, _, width = cell_of(quick_be, options)
    h, c = (quick_be.asarray(0.5 * rng.standard_normal((N, k))) for k in (width, H))
    check_cell_gradients(cell, quick_be.asarray(rng.standard_normal((N, D))), (h, c))
    layer = TimeCell(cell)
    check_gradients(
        layer,
        quick_be.asarray(rng.standard_normal((N, T, D))),
        reset=lambda: layer.set_state((h, c)),
        lengths=[T, 0, 2],
    )


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_without_options_it_is_the_layer_norm_lstm_to_the_bit(be, dtype):
    arrays, _, _ = draw({})
    rng = np.random.default_rng(2)
    xs, dhs = (be.asarray(rng.standard_normal((N, T, k)), dtype) for k in (D, H))
    results = []
    for kind in (LayerNormLSTMPCell, LayerNormLSTMCell):
        layer = TimeCell(kind(**{k: be.asarray(v, dtype) for k, v in arrays.items()}))
        hs = layer.forward(xs)
        dxs = layer.backward(dhs)
        results.append([to_host(a).copy() for a in (hs, dxs, *layer.dstate, *layer.grads)])
    for a, b in zip(*results, strict=True):
        np.testing.assert_array_equal(a, b)


def test_params_sizes_and_what_may_be_absent(be):
    cell, arrays, _ = cell_of(be, ALL)
    assert [p.shape for p in cell.params] == [a.shape for a in arrays.values()]
    assert (cell.input_size, cell.output_size, cell.state_size) == (D, P, (P, H))
    assert [s.shape for s in cell.zero_state(4)] == [(4, P), (4, H)]
    assert cell.peepholes is cell.params[6]
    assert cell.Wp is cell.params[7]
    only, _, _ = cell_of(be, OPTIONS["peepholes"])
    assert only.peepholes is only.params[6]
    assert only.Wp is None
    plain, _, _ = cell_of(be, {})
    assert plain.peepholes is plain.Wp is None
    assert len(plain.params) == len(plain.grads) == 6


def test_the_door():
    arrays, _, _ = draw(ALL)
    for key in ("Wx", "Wh", "b", "gamma", "gamma_c", "beta_c", "peepholes", "Wp"):
        with pytest.raises(ShapeError, match=rf"^LayerNormLSTMPCell: {key} has shape .*, expected"):
            LayerNormLSTMPCell(**{**arrays, key: np.zeros(H + 1)})
        if key != "Wx":
            with pytest.raises(DTypeError, match=rf"^LayerNormLSTMPCell: {key} has dtype float32"):
                LayerNormLSTMPCell(**{**arrays, key: arrays[key].astype(np.float32)})
    for name in ("eps", "cell_clip", "projection_clip"):
        with pytest.raises(ValueError, match=rf"^LayerNormLSTMPCell: {name} = -1.0, expected a"):
            LayerNormLSTMPCell(**arrays, **{name: -1.0})
