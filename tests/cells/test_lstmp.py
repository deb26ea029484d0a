"""`LSTMPCell`: TensorFlow 1's order of operations, its options, the door.

The proof grid has every option with a square projection; here it is a narrow one.
"""

import numpy as np
import pytest

from rnn_xp.backend import to_host
from rnn_xp.cells import LSTMCell, LSTMPCell
from rnn_xp.errors import DTypeError, MixedBackendError, ShapeError
from rnn_xp.layers import TimeCell
from rnn_xp.testing import check_cell_gradients, check_gradients

N, T, D, H, P = 3, 4, 2, 5, 3
OPTIONS = {
    "nothing": {},
    "peepholes": {"peepholes": True},
    "projection": {"Wp": True},
    "cell clip": {"cell_clip": 0.4},
    "projection clip": {"Wp": True, "projection_clip": 0.2},
    "all": {"peepholes": True, "Wp": True, "cell_clip": 0.4, "projection_clip": 0.2},
    "all, relu": {
        "peepholes": True,
        "Wp": True,
        "cell_clip": 0.4,
        "projection_clip": 0.2,
        "activation": "relu",
        "recurrent_activation": "hard_sigmoid",
    },
}
options = pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)


def logistic(a):
    return 1.0 / (1.0 + np.exp(-a))


def draw(given, seed=0):
    """Weights by name, and options: True stands for an array."""
    rng = np.random.default_rng(seed)
    width = P if given.get("Wp") else H
    weights = {"Wx": (D, 4 * H), "Wh": (width, 4 * H), "b": (4 * H,)}
    shapes = {"peepholes": (3, H), "Wp": (H, P)}
    weights |= {k: v for k, v in shapes.items() if given.get(k)}
    arrays = {k: 0.7 * rng.standard_normal(v) for k, v in weights.items()}
    return arrays, {k: v for k, v in given.items() if k not in shapes}, width


def cell_of(be, given):
    arrays, rest, width = draw(given)
    return LSTMPCell(**{k: be.asarray(v) for k, v in arrays.items()}, **rest), arrays, width


def step(x, h, c, arrays, cell_clip=None, projection_clip=None, **activations):
    """The order of TensorFlow 1's LSTMCell, line by line, in NumPy."""
    act, gate = np.tanh, logistic
    if activations:
        act, gate = (lambda a: np.maximum(a, 0)), (lambda a: np.clip(a / 6 + 0.5, 0, 1))
    i, f, j, o = np.split(x @ arrays["Wx"] + h @ arrays["Wh"] + arrays["b"], 4, axis=1)
    w_i, w_f, w_o = arrays.get("peepholes", np.zeros((3, H)))
    new = gate(f + w_f * c) * c + gate(i + w_i * c) * act(j)
    if cell_clip:
        new = np.clip(new, -cell_clip, cell_clip)
    m = gate(o + w_o * new) * act(new)
    if "Wp" in arrays:
        m = m @ arrays["Wp"]
        if projection_clip:
            m = np.clip(m, -projection_clip, projection_clip)
    return m, new


@options
def test_the_equations_in_order(options, be, rng):
    cell, arrays, width = cell_of(be, options)
    x, h = rng.standard_normal((N, D)), rng.standard_normal((N, width))
    c = rng.standard_normal((N, H))
    output, (new_h, new_c), _ = cell.forward(be.asarray(x), (be.asarray(h), be.asarray(c)))
    assert output is new_h
    rest = {k: v for k, v in options.items() if k not in ("peepholes", "Wp")}
    expected_h, expected_c = step(x, h, c, arrays, **rest)
    np.testing.assert_allclose(to_host(output), expected_h, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(to_host(new_c), expected_c, rtol=1e-12, atol=1e-14)
    if "cell_clip" in options:
        assert (np.abs(expected_c) == options["cell_clip"]).any()  # something is clipped


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


@options
def test_gradients_match_torch_with_a_projection_of_torch_s_own(options, be, torch_backend):
    """`torch.nn.LSTM` has ``proj_size``; peepholes and clipping are written out."""
    import torch

    rng = np.random.default_rng(1)
    cell, arrays, width = cell_of(be, options)
    layer = TimeCell(cell)
    xs, dhs = rng.standard_normal((N, T, D)), rng.standard_normal((N, T, width))
    h0, c0 = rng.standard_normal((N, width)), rng.standard_normal((N, H))
    layer.set_state((be.asarray(h0), be.asarray(c0)))
    hs = layer.forward(be.asarray(xs))
    dxs = layer.backward(be.asarray(dhs))
    given = [dxs, *layer.dstate, *layer.grads]

    leaf = {k: torch.tensor(v, requires_grad=True) for k, v in arrays.items()}
    x, h, c = (torch.tensor(a, requires_grad=True) for a in (xs, h0, c0))
    order = [x, h, c, *leaf.values()]
    if set(options) <= {"Wp"}:
        size = {"proj_size": P} if "Wp" in leaf else {}
        module = torch.nn.LSTM(D, H, batch_first=True, dtype=torch.float64, **size)
        names = {
            "Wx": "weight_ih_l0",
            "Wh": "weight_hh_l0",
            "Wp": "weight_hr_l0",
            "b": "bias_ih_l0",
        }
        state = {names[k]: v.T if k != "b" else v for k, v in leaf.items()}
        state["bias_hh_l0"] = torch.zeros(4 * H, dtype=torch.float64)
        expected, _ = torch.func.functional_call(module, state, (x, (h[None], c[None])))
    else:
        clip = options.get("cell_clip", np.inf)
        clip_projection = options.get("projection_clip", np.inf)
        relu = "activation" in options
        act = torch.relu if relu else torch.tanh
        gate = (lambda a: (a / 6 + 0.5).clamp(0, 1)) if relu else torch.sigmoid
        w_i, w_f, w_o = leaf.get("peepholes", torch.zeros(3, H, dtype=torch.float64))
        steps = []
        for t in range(T):
            i, f, g, o = (x[:, t] @ leaf["Wx"] + h @ leaf["Wh"] + leaf["b"]).chunk(4, dim=1)
            c = gate(f + w_f * c) * c + gate(i + w_i * c) * act(g)
            c = c.clamp(-clip, clip)
            h = gate(o + w_o * c) * act(c)
            h = (h @ leaf["Wp"] if "Wp" in leaf else h).clamp(-clip_projection, clip_projection)
            steps.append(h)
        expected = torch.stack(steps, dim=1)
    grads = torch.autograd.grad((expected * torch.tensor(dhs)).sum(), order)
    np.testing.assert_allclose(to_host(hs), expected.detach().numpy(), rtol=0, atol=1e-13)
    for a, b in zip(given, grads, strict=True):
        np.testing.assert_allclose(to_host(a), b.numpy(), rtol=0, atol=1e-12)


def test_without_options_it_is_the_lstm_to_the_bit(be):
    cell, arrays, _ = cell_of(be, {})
    rng = np.random.default_rng(2)
    xs, dhs = (be.asarray(rng.standard_normal((N, T, k))) for k in (D, H))
    results = []
    for c in (cell, LSTMCell(*(be.asarray(a) for a in arrays.values()))):
        layer = TimeCell(c)
        hs = layer.forward(xs)
        dxs = layer.backward(dhs)
        results.append([to_host(a).copy() for a in (hs, dxs, *layer.grads)])
    for a, b in zip(*results, strict=True):
        np.testing.assert_array_equal(a, b)


def test_the_gradient_passes_on_the_border_of_a_clip():
    """As in TensorFlow and PyTorch: only what was cut has none."""
    zeros = np.zeros((1, 4))
    cell = LSTMPCell(zeros, zeros, np.zeros(4), cell_clip=1.0, recurrent_activation=None)
    cell.params[2][...] = [0.0, 1.0, 0.0, 1.0]  # f = o = 1: c' = clip(c)
    for c, slope in ((1.0, 1.0), (1.0 + 1e-9, 0.0), (-1.0, 1.0), (-2.0, 0.0)):
        one = np.ones((1, 1))
        _, _, cache = cell.forward(0 * one, (0 * one, c * one))
        _, (_, dc) = cell.backward(0 * one, (0 * one, one), cache)
        assert dc[0, 0] == slope


def test_params_sizes_and_what_may_be_absent(be):
    cell, arrays, _ = cell_of(be, OPTIONS["all"])
    assert [p.shape for p in cell.params] == [a.shape for a in arrays.values()]
    assert (cell.input_size, cell.output_size, cell.state_size) == (D, P, (P, H))
    assert [s.shape for s in cell.zero_state(4)] == [(4, P), (4, H)]
    assert cell.peepholes is cell.params[3]
    assert cell.Wp is cell.params[4]
    only, _, _ = cell_of(be, OPTIONS["projection"])
    assert only.peepholes is None
    assert only.Wp is only.params[3]
    plain, _, _ = cell_of(be, {})
    assert plain.peepholes is plain.Wp is None
    assert len(plain.params) == len(plain.grads) == 3


# ---- the door


@pytest.mark.parametrize(
    ("name", "shape", "message"),
    [
        ("Wx", (D, 4 * H + 1), r"Wx has shape .*, expected \(D, 4H\)"),
        ("Wh", (P, 4 * H + 4), r"Wh has shape .*, expected \(P, 4H\) with 4H = 20"),
        ("b", (4 * H, 1), r"b has shape .*, expected \(4H,\) = \(20,\)"),
        ("peepholes", (2, H), r"peepholes has shape .*, expected \(3, H\) = \(3, 5\)"),
        ("Wp", (P, H), r"Wp has shape .*, expected \(H, P\) = \(5, 3\)"),
    ],
)
def test_wrong_shapes(name, shape, message):
    arrays, _, _ = draw(OPTIONS["all"])
    arrays[name] = np.zeros(shape)
    with pytest.raises(ShapeError, match=rf"^LSTMPCell: {message}"):
        LSTMPCell(**arrays)


def test_a_narrow_state_needs_a_projection():
    arrays, _, _ = draw({"Wp": True})
    del arrays["Wp"]
    with pytest.raises(ShapeError, match=r"^LSTMPCell: Wh has shape .*, expected \(H, 4H\) = \(5"):
        LSTMPCell(**arrays)


@pytest.mark.parametrize("name", ["Wh", "b", "peepholes", "Wp"])
def test_wrong_dtypes_and_libraries(name, strict):
    arrays, _, _ = draw(OPTIONS["all"])
    with pytest.raises(DTypeError, match=f"^LSTMPCell: {name} has dtype float32"):
        LSTMPCell(**{**arrays, name: arrays[name].astype(np.float32)})
    with pytest.raises(MixedBackendError, match=f"^LSTMPCell: {name} is a array_api_strict"):
        LSTMPCell(**{**arrays, name: strict.asarray(arrays[name])})


def test_wrong_options():
    arrays, _, _ = draw({})
    for wrong in (0.0, -1.0, float("nan")):
        with pytest.raises(ValueError, match=r"^LSTMPCell: cell_clip = .*, expected a positive"):
            LSTMPCell(**arrays, cell_clip=wrong)
    with pytest.raises(TypeError, match=r"^LSTMPCell: cell_clip is a str, expected a positive n"):
        LSTMPCell(**arrays, cell_clip="1")
    with pytest.raises(ValueError, match=r"^LSTMPCell: projection_clip needs a projection Wp"):
        LSTMPCell(**arrays, projection_clip=1.0)
