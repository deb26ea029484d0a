"""Variables of TensorFlow 1: same function, exact way there and back, clear refusals.

The oracle is written from the equations of ``legacy_cells.py`` in TensorFlow's own layout;
TensorFlow's cells themselves are compared in the tests of `rnn_xp.compat.tf1`.
"""

import functools

import numpy as np
import pytest
from interop_helpers import (
    D,
    H,
    P,
    assert_near,
    assert_same_arrays,
    assert_same_params,
    cell_layer,
    classic,
    draw,
    lstmp,
)

from rnn_xp import Bidirectional, Stack, TimeLSTM
from rnn_xp.errors import ConversionError, ShapeError
from rnn_xp.interop import from_tf1, to_tf1
from rnn_xp.layers.reverse import Reversed

KINDS = ("rnn", "lstm", "gru-before")


def sigmoid(x):
    return 1.0 / (1.0 + np.exp(-x))


def lstm_step(v, x, state, forget_bias=1.0, cell_clip=None, proj_clip=None):
    h, c = state
    i, j, f, o = np.split(np.concatenate([x, h], 1) @ v["kernel"] + v["bias"], 4, axis=1)
    peep = "w_i_diag" in v
    f = sigmoid(f + forget_bias + (v["w_f_diag"] * c if peep else 0))
    i = sigmoid(i + (v["w_i_diag"] * c if peep else 0))
    c = f * c + i * np.tanh(j)
    c = c if cell_clip is None else np.clip(c, -cell_clip, cell_clip)
    h = sigmoid(o + (v["w_o_diag"] * c if peep else 0)) * np.tanh(c)
    if "projection/kernel" in v:
        h = h @ v["projection/kernel"]
        h = h if proj_clip is None else np.clip(h, -proj_clip, proj_clip)
    return h, c


def gru_step(v, x, state):
    (h,) = state
    gates = sigmoid(np.concatenate([x, h], 1) @ v["gates/kernel"] + v["gates/bias"])
    r, u = np.split(gates, 2, axis=1)
    c = np.concatenate([x, r * h], 1) @ v["candidate/kernel"] + v["candidate/bias"]
    return (u * h + (1 - u) * np.tanh(c),)


def rnn_step(v, x, state):
    return (np.tanh(np.concatenate([x, state[0]], 1) @ v["kernel"] + v["bias"]),)


def run(step, variables, x, *widths):
    state = tuple(np.zeros((x.shape[0], width)) for width in widths)
    outputs = []
    for t in range(x.shape[1]):
        state = step(variables, x[:, t], state)
        outputs.append(state[0])
    return np.stack(outputs, axis=1)


def lstm_variables(scope, peepholes=False, projection=False):
    p = P if projection else H
    v = {"kernel": draw(D + p, 4 * H), "bias": draw(4 * H)}
    if peepholes:
        v |= {f"w_{g}_diag": draw(H, seed=k) for k, g in enumerate("ifo")}
    if projection:
        v["projection/kernel"] = draw(H, P)
    return v, {f"{scope}/{name}": a for name, a in v.items()}


@pytest.mark.parametrize(("peepholes", "projection"), [(0, 0), (0, 1), (1, 0), (1, 1)])
@pytest.mark.parametrize("forget_bias", [0.0, 1.0])
def test_an_lstm_cell_computes_the_same(peepholes, projection, forget_bias):
    own, named = lstm_variables("rnn/lstm_cell", peepholes, projection)
    limits = {"cell_clip": 0.4, "proj_clip": 0.3 if projection else None}
    layer = from_tf1(named, forget_bias=forget_bias, **limits)
    x = draw(2, 4, D)
    expected = run(
        lambda v, x, s: lstm_step(v, x, s, forget_bias, **limits), own, x, P if projection else H, H
    )
    assert_near(layer.forward(x), expected, "float64")


def test_the_simple_and_the_gru_cell_compute_the_same():
    x = draw(2, 4, D)
    own = {"kernel": draw(D + H, H), "bias": draw(H)}
    layer = from_tf1({f"rnn/basic_rnn_cell/{name}:0": a for name, a in own.items()})
    assert_near(layer.forward(x), run(rnn_step, own, x, H), "float64")
    own = {
        "gates/kernel": draw(D + H, 2 * H),
        "gates/bias": draw(2 * H),
        "candidate/kernel": draw(D + H, H),
        "candidate/bias": draw(H),
    }
    layer = from_tf1({f"a/b/gru_cell/{name}:0": a for name, a in own.items()}, scope="a/b")
    assert_near(layer.forward(x), run(gru_step, own, x, H), "float64")


def test_a_basic_lstm_becomes_a_layer_with_fast_kernels():
    _, named = lstm_variables("rnn/basic_lstm_cell")
    assert type(from_tf1(named)) is TimeLSTM
    assert from_tf1(named, activation="relu").cell.activation.name == "relu"


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kind", KINDS)
def test_our_weights_come_back_bit_for_bit(kind, dtype):
    one, two, upper = (classic(kind, D=d, dtype=dtype, seed=k) for k, d in enumerate((D, D, H)))
    deep = Bidirectional(
        Stack([one, upper]), Stack([two, classic(kind, D=H, dtype=dtype, seed=9)]), None
    )
    for layer in (one, Stack([one, upper]), Bidirectional(one, two, None), deep):
        there = to_tf1(layer, forget_bias=0.0)
        back = from_tf1(there, forget_bias=0.0)
        assert_same_params(back, layer)
        assert_same_arrays(to_tf1(back, forget_bias=0.0), there)


@pytest.mark.parametrize("projection", [0, P])
def test_peepholes_and_projection_come_back_bit_for_bit(projection):
    layer = lstmp(P=projection, peepholes=True)
    back = from_tf1(to_tf1(layer, forget_bias=0.0), forget_bias=0.0)
    assert_same_params(back, layer)


def test_tensorflows_variables_come_back_bit_for_bit():
    """The forget bias is in test_tf1_forget_bias.py."""
    _, named = lstm_variables("rnn/lstm_cell", True, True)
    assert_same_arrays(to_tf1(from_tf1(named, forget_bias=0.0), forget_bias=0.0), named)
    back = to_tf1(from_tf1(named))
    for name, array in named.items():
        if name.endswith("/bias"):
            np.testing.assert_array_equal(
                np.delete(back[name], np.s_[2 * H : 3 * H]), np.delete(array, np.s_[2 * H : 3 * H])
            )
            np.testing.assert_allclose(back[name], array, rtol=0, atol=4e-16)
        else:
            np.testing.assert_array_equal(back[name], array, strict=True)


def test_names_are_those_of_tensorflow():
    variables = functools.partial(to_tf1, forget_bias=0.0)
    one, two = classic("lstm"), classic("lstm", D=H)
    assert list(variables(one)) == ["rnn/basic_lstm_cell/kernel", "rnn/basic_lstm_cell/bias"]
    assert list(variables(Stack([one, two]), scope="model/rnn"))[2] == (
        "model/rnn/multi_rnn_cell/cell_1/basic_lstm_cell/kernel"
    )
    both = Bidirectional(one, classic("lstm"))
    assert list(variables(both))[2] == "bidirectional_rnn/bw/basic_lstm_cell/kernel"
    assert "rnn/lstm_cell/w_f_diag" in variables(lstmp(peepholes=True))
    assert next(iter(variables(one, cell_name="mine"))) == "rnn/mine/kernel"
    assert_same_params(
        from_tf1(variables(one, cell_name="mine"), kind="lstm"), from_tf1(variables(one))
    )


def test_eleven_cells_stay_in_order():
    net = Stack([classic("rnn", D=H, seed=k) for k in range(11)])
    assert_same_params(from_tf1(dict(sorted(to_tf1(net).items()))), net)


def test_a_scope_chooses_one_net_of_several():
    one, two = classic("rnn"), classic("rnn", seed=1)
    both = to_tf1(one, scope="encoder/rnn") | to_tf1(two, scope="decoder/rnn")
    assert_same_params(from_tf1(both, scope="decoder"), two)
    with pytest.raises(ConversionError, match=r"cells of one net \(or fw and bw\), found decoder"):
        from_tf1(both)
    with pytest.raises(ConversionError, match="found none; give scope="):
        from_tf1(both, scope="nowhere")


REFUSED = {
    "gru": (lambda: classic("gru"), "resets after the recurrent product.*cannot be converted"),
    "gates": (lambda: cell_layer("lstm", recurrent_activation="relu"), "gates .* are sigmoids"),
    "reverse": (lambda: Reversed(classic("rnn")), "Reversed has no equal"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_tensorflow_does_not_have_is_refused_with_the_reason(case):
    make, reason = REFUSED[case]
    with pytest.raises(ConversionError, match=reason):
        to_tf1(make())


DAMAGE = {
    "unknown": ({"rnn/dense/weights": draw(2, 2)}, ConversionError, "no variable of an RNN cell"),
    "own name": (
        {"rnn/my_cell/kernel": draw(8, 20), "rnn/my_cell/bias": draw(20)},
        ConversionError,
        "the name does not tell the cell.*give kind=",
    ),
    "missing": (
        {"rnn/basic_lstm_cell/kernel": draw(8, 20)},
        ConversionError,
        "found kernel, expected kernel, bias",
    ),
    "one peephole": (
        lstm_variables("rnn/lstm_cell")[1] | {"rnn/lstm_cell/w_i_diag": draw(H)},
        ConversionError,
        "expected kernel, bias, w_i_diag, w_f_diag, w_o_diag",
    ),
    "rows": (
        {"rnn/basic_lstm_cell/kernel": draw(5, 20), "rnn/basic_lstm_cell/bias": draw(20)},
        ConversionError,
        "5 rows are not at least 1 input and 5 rows of h",
    ),
    "columns": (
        {"rnn/basic_lstm_cell/kernel": draw(9, 21), "rnn/basic_lstm_cell/bias": draw(21)},
        ShapeError,
        r"kernel has shape \(9, 21\), expected \(D \+ H, 4H\)",
    ),
    "bias": (
        {"rnn/basic_lstm_cell/kernel": draw(9, 20), "rnn/basic_lstm_cell/bias": draw(5)},
        ShapeError,
        r"bias has shape \(5,\), expected \(4H,\)",
    ),
}


@pytest.mark.parametrize("case", DAMAGE)
def test_damaged_variables_are_named(case):
    variables, error, message = DAMAGE[case]
    with pytest.raises(error, match=message):
        from_tf1(variables)
