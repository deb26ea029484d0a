"""Recurrent ONNX nodes, computed here: as the backend tests of onnx and onnxruntime have it."""

import importlib
import re

import numpy as np
import pytest
from interop_helpers import optional
from onnx_helpers import GATES, D, H, N, T, model_of, random_node, run_in_runtime

from rnn_xp.errors import (
    ConversionError,
    DTypeError,
    ShapeError,
)
from rnn_xp.interop.onnx import run_model, run_node
from rnn_xp.interop.onnx.activations import FORMS, onnx_activation

ALL = ("B", "sequence_lens", "initial_h", "initial_c", "P")


def backend_cases():
    optional("onnx")
    for name in ("rnn", "lstm", "gru"):  # their cases are collected by importing them
        importlib.import_module(f"onnx.backend.test.case.node.{name}")
    cases = importlib.import_module("onnx.backend.test.case.node")._NodeTestCases
    return [c for c in cases if re.match(r"test_(simple_rnn|rnn|lstm|gru)_", c.name)]


def test_the_recurrent_backend_tests_of_onnx_pass(be):
    cases = backend_cases()
    assert len(cases) >= 18
    for case in cases:
        names = [value.name for value in case.model.graph.input]
        for inputs, expected in case.data_sets:
            given = run_model(case.model, dict(zip(names, inputs, strict=True)), backend=be)
            for ours, theirs in zip(given.values(), expected, strict=True):
                assert ours.dtype == theirs.dtype
                assert ours.shape == theirs.shape, case.name
                np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-7, err_msg=case.name)


def assert_as_in_runtime(node, values, atol=2e-6):
    expected = run_in_runtime(model_of(node, values), values)
    given = run_node(node, [values.get(name) for name in node.input])
    for ours, theirs in zip(given, expected.values(), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=atol * max(1, np.abs(theirs).max()))


@pytest.mark.parametrize("given", [(), ("B",), ("initial_h",), ("initial_c",), ALL])
@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
@pytest.mark.parametrize("op", GATES)
def test_inputs_and_directions(op, direction, given):
    assert_as_in_runtime(*random_node(op, direction, given))


@pytest.mark.parametrize("direction", ["forward", "bidirectional"])
def test_a_gru_that_resets_after_the_product(direction):
    assert_as_in_runtime(*random_node("GRU", direction, ALL, linear_before_reset=1))


FUNCTIONS = [
    ("Affine", [0.7], [0.1]),
    ("Relu", [], []),
    ("LeakyRelu", [0.3], []),
    ("LeakyRelu", [], []),
    ("ThresholdedRelu", [0.5], []),
    ("ScaledTanh", [0.8], [0.6]),
    ("HardSigmoid", [], []),
    ("HardSigmoid", [0.3], [0.4]),
    ("Elu", [0.7], []),
    ("Elu", [], []),
    ("Softsign", [], []),
    ("Softplus", [], []),
    ("Sigmoid", [], []),
    ("Tanh", [], []),
]


@pytest.mark.parametrize(("name", "alpha", "beta"), FUNCTIONS)
@pytest.mark.parametrize("op", GATES)
def test_activations(op, name, alpha, beta):
    count = 2 if op == "LSTM" else 1
    names = {"RNN": [name], "GRU": ["Sigmoid", name], "LSTM": ["Sigmoid", name, name]}[op]
    options = {"activations": names}
    options |= {"activation_alpha": alpha * count} if alpha else {}
    options |= {"activation_beta": beta * count} if beta else {}
    assert_as_in_runtime(*random_node(op, **options))


def test_numbers_go_to_the_activations_that_take_them():
    names = ["HardSigmoid", "LeakyRelu", "HardSigmoid", "Tanh"]
    numbers = {"activation_alpha": [0.3, 0.2, 0.25], "activation_beta": [0.4, 0.6]}
    assert_as_in_runtime(*random_node("GRU", "bidirectional", activations=names, **numbers))


@pytest.mark.parametrize("op", ["RNN", "GRU"])
def test_clip_bounds_the_input_of_the_activations(op):
    assert_as_in_runtime(*random_node(op, clip=0.5))
    if op == "GRU":
        assert_as_in_runtime(*random_node(op, clip=0.5, linear_before_reset=1))


def test_clip_of_an_lstm_bounds_the_cell_state_on_its_way_into_h_too():
    """As the text of the operator has it; onnxruntime leaves the cell state alone there."""
    node, values = random_node("LSTM", clip=0.3)
    given = run_node(node, [values.get(name) for name in node.input])
    W, R, B = values["W"][0], values["R"][0], values["B"][0]
    h = c = np.zeros((N, H))
    for x in values["X"]:
        a = np.clip(x @ W.T + h @ R.T + B[: 4 * H] + B[4 * H :], -0.3, 0.3)
        i, o, f, g = np.split(a, 4, axis=1)
        i, o, f = (1 / (1 + np.exp(-gate)) for gate in (i, o, f))
        c = f * c + i * np.tanh(g)
        h = o * np.tanh(np.clip(c, -0.3, 0.3))
    np.testing.assert_allclose(given[1][0], h, atol=1e-6)
    np.testing.assert_allclose(given[2][0], c, atol=1e-6)


@pytest.mark.parametrize("given", [("B",), ALL])
def test_input_forget_is_written_as_weights(given):
    assert_as_in_runtime(*random_node("LSTM", "bidirectional", given, input_forget=1))
    names = ["HardSigmoid", "Tanh", "Tanh"]
    assert_as_in_runtime(*random_node("LSTM", "forward", given, input_forget=1, activations=names))


def test_layout_1_is_batch_first():
    for op in GATES:
        node, values = random_node(op, "bidirectional", ALL)
        expected = run_node(node, [values.get(name) for name in node.input])
        attribute = optional("onnx").helper.make_attribute("layout", 1)
        node.attribute.append(attribute)
        for name in ("X", "initial_h", "initial_c"):
            if name in values:
                values[name] = values[name].swapaxes(0, 1)
        given = run_node(node, [values.get(name) for name in node.input])
        np.testing.assert_array_equal(given[0], expected[0].transpose(2, 0, 1, 3))
        np.testing.assert_array_equal(given[1], expected[1].swapaxes(0, 1))


def test_a_sequence_of_length_0_keeps_its_initial_state():
    node, values = random_node("LSTM", "forward", ALL, lengths=(0, 5, 3))
    Y, Y_h, Y_c = run_node(node, [values.get(name) for name in node.input])
    assert not Y[:, :, 0].any()
    np.testing.assert_array_equal(Y_h[0, 0], values["initial_h"][0, 0])
    np.testing.assert_array_equal(Y_c[0, 0], values["initial_c"][0, 0])


@pytest.mark.parametrize("clip", [None, 0.8])
@pytest.mark.parametrize("name", FORMS)
def test_activations_have_their_derivative(name, clip):
    activation = onnx_activation(name, 0.7, 0.4, clip)
    x = np.linspace(-2.03, 2.01, 38)
    dy = np.cos(x)
    step = 1e-6
    up, down = activation.function(x + step, np), activation.function(x - step, np)
    y, kept = activation.apply(x, np)
    np.testing.assert_array_equal(y, activation.function(x, np))
    expected = dy * (up - down) / (2 * step)
    np.testing.assert_allclose(activation.backward(dy, kept, np), expected, atol=1e-8)


# ------------------------------------------------------------------------------ refusals

REFUSED = {
    "two activations": (
        ("LSTM", {"activations": ["Sigmoid", "Tanh", "Relu"]}),
        "candidate has the activation Tanh, its cell state Relu",
    ),
    "unknown activation": (("RNN", {"activations": ["Swish"]}), "'Swish' is unknown, expected"),
    "too few activations": (("LSTM", {"activations": ["Tanh"]}), "1 activations, expected 3"),
    "alpha": (("RNN", {"activations": ["Affine"]}), "alpha of Affine is missing"),
    "coupled gates": (
        ("LSTM", {"activations": ["Softsign", "Tanh", "Tanh"], "input_forget": 1}),
        r"input_forget \(f = 1 - i\) .* the gates have Softsign",
    ),
    "clip": (("GRU", {"clip": -1.0}), "clip = -1.0, expected a positive number"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_no_cell_here_computes_is_refused_with_the_reason(case):
    (op, attributes), reason = REFUSED[case]
    node, values = random_node(op, **attributes)
    with pytest.raises(ConversionError, match=rf"ONNX node 'node'.*{reason}"):
        run_node(node, [values.get(name) for name in node.input])


def test_other_nodes_and_wrong_inputs_are_named():
    helper = optional("onnx").helper
    node, values = random_node("GRU")
    inputs = [values.get(name) for name in node.input]
    with pytest.raises(ConversionError, match="is a Relu, expected one of RNN, LSTM, GRU"):
        run_node(helper.make_node("Relu", ["x"], ["y"]), inputs)
    with pytest.raises(ConversionError, match="input R is missing"):
        run_node(node, inputs[:2])
    with pytest.raises(ConversionError, match="got 7 inputs, expected at most 6"):
        run_node(node, [*inputs, None])
    with pytest.raises(ShapeError, match=rf"X has shape \({T}, {N}, {D - 1}\)"):
        run_node(node, [values["X"][..., 1:], *inputs[1:]])
    with pytest.raises(ShapeError, match=r"B has shape \(1, 3\), expected \(directions, 6H\)"):
        run_node(node, [*inputs[:3], np.zeros((1, 3), "float32")])
    with pytest.raises(ShapeError, match=r"initial_h has shape \(3, 6\)"):
        run_node(node, [*inputs[:5], np.zeros((N, H), "float32")])
    with pytest.raises(DTypeError, match="weights of float32, float64"):
        run_node(node, [values["X"].astype("float64"), *inputs[1:]])
    node.attribute.append(helper.make_attribute("direction", "sideways"))
    with pytest.raises(ConversionError, match="direction = 'sideways', expected one of forward"):
        run_node(node, inputs)
