"""Exported layers compute the same in onnxruntime."""

import itertools

import numpy as np
import pytest
from interop_helpers import D, H, assert_same_params, cell_layer, classic, draw, lstmp, optional
from onnx_helpers import model_of, random_node, run_in_runtime, states_of

from rnn_xp import (
    Bidirectional,
    Stack,
    TimeAffine,
    TimeCell,
    TimeDropout,
)
from rnn_xp.cells import LSTMCell
from rnn_xp.cells.zoneout import ZoneoutCell
from rnn_xp.errors import CheckpointError, ConversionError, DTypeError
from rnn_xp.interop.onnx import (
    export_layer,
    from_onnx,
    lm_to_onnx,
    run_node,
    to_onnx,
)
from rnn_xp.interop.onnx import graph as onnx_graph
from rnn_xp.layers.residual import Residual
from rnn_xp.layers.reverse import Reversed
from rnn_xp.layers.weight_drop import WeightDrop

F = {"dtype": "float32"}
KINDS = ("rnn", "lstm", "gru", "gru-before")


def both(kind, merge="concat", D=D):
    return Bidirectional(classic(kind, D, **F), classic(kind, D, seed=1, **F), merge)


def affine(inputs, outputs, transposed=False):
    shape = (outputs, inputs) if transposed else (inputs, outputs)
    return TimeAffine(draw(*shape, **F), draw(outputs, **F), transposed=transposed)


LAYERS = {
    **{kind: lambda kind=kind: classic(kind, **F) for kind in KINDS},
    **{f"{kind} reverse": lambda kind=kind: Reversed(classic(kind, **F)) for kind in KINDS},
    **{
        f"{kind} {merge}": lambda kind=kind, merge=merge: both(kind, merge)
        for kind, merge in itertools.product(KINDS, ("concat", "sum", "mean", "mul"))
    },
    **{
        f"activation {name}": lambda name=name: cell_layer("gru", activation=name, **F)
        for name in ("relu", "linear", "softplus", "softsign", "elu", "leaky_relu", "hard_sigmoid")
    },
    "gates": lambda: cell_layer("lstm", recurrent_activation="hard_sigmoid", **F),
    "peepholes": lambda: lstmp(P=0, peepholes=True, **F),
    "cell": lambda: LSTMCell(*classic("lstm", **F).params),
    "stack": lambda: Stack(
        [
            TimeDropout(0.5),
            both("lstm"),
            WeightDrop(classic("gru", D=2 * H, **F), 0.5),
            affine(H, 4),
            affine(4, 2, transposed=True),
        ]
    ),
    "float64": lambda: classic("lstm"),
    "time-major": lambda: Stack([classic("rnn", time_major=True, **F)]),
}


@pytest.mark.parametrize("lengths", [None, (4, 1, 2)])
@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_computes_the_same_in_onnxruntime(name, lengths):
    optional("onnx")
    layer = LAYERS[name]()
    if name == "stack" and lengths is not None:
        layer = Stack(layer.layers[:3])  # an affine map gives its bias at masked steps
    model = to_onnx(layer, lengths=lengths is not None)
    shape = (4, 3, D) if name == "time-major" else (3, 4, D)
    xs = draw(*shape, **F)
    feeds = {"xs": xs, **states_of(model, 3)}
    if lengths is not None:
        feeds["lengths"] = np.array(lengths, np.int32)
    given = run_in_runtime(model, feeds)
    runner = TimeCell(layer) if name == "cell" else layer
    if name == "stack":
        expected = xs
        for part in layer.layers:
            masked = {} if isinstance(part, TimeDropout | TimeAffine) else {"lengths": lengths}
            expected = part.forward(expected, train=False, **masked)
    else:
        if name == "float64":
            xs = xs.astype("float64")
        expected = runner.forward(xs, lengths=lengths, train=False)
    np.testing.assert_allclose(given["hs"], expected, rtol=0, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("name", LAYERS)
def test_a_file_holds_no_constant_that_nothing_uses(name):
    optional("onnx")
    graph = to_onnx(LAYERS[name]()).graph
    used = {taken for node in graph.node for taken in node.input}
    assert {tensor.name for tensor in graph.initializer} <= used


@pytest.mark.parametrize("kind", KINDS)
def test_states_go_in_and_out(kind):
    optional("onnx")
    layer = Stack([both(kind), classic(kind, D=2 * H, stateful=True, **F)])
    for one in (layer.layers[0].forward_layer, layer.layers[0].backward_layer):
        one.stateful = True
    model = to_onnx(layer)
    states = states_of(model, 3)
    for k in range(2):
        xs = draw(3, 4, D, seed=k, **F)
        given = run_in_runtime(model, {"xs": xs, **states})
        expected = layer.forward(xs, train=False)
        np.testing.assert_allclose(given.pop("hs"), expected, atol=1e-5)
        states = {name.replace("final", "state"): array for name, array in given.items()}
    (there, back), top = layer.state
    np.testing.assert_allclose(states["state.0.h"], np.stack([there[0], back[0]]), atol=1e-5)
    np.testing.assert_allclose(states["state.1.h"], top[0], atol=1e-5)
    assert ("state.1.c" in states) == (kind == "lstm")


def attributes(model):
    (node,) = [n for n in model.graph.node if n.op_type in ("RNN", "LSTM", "GRU")]
    return {a.name: a.SerializeToString() for a in node.attribute}


@pytest.mark.parametrize("name", [n for n in LAYERS if n not in ("stack", "cell", "float64")])
def test_what_was_exported_is_imported_bit_for_bit(tmp_path, name):
    optional("onnx")
    layer = LAYERS[name]()
    export_layer(layer, tmp_path / "layer.onnx")
    merge = layer.merge if isinstance(layer, Bidirectional) else "concat"
    back = from_onnx(tmp_path / "layer.onnx", merge=merge)
    assert_same_params(back, layer)
    assert attributes(to_onnx(back)) == attributes(to_onnx(layer))


def test_residual():
    optional("onnx")
    layer = Residual(classic("lstm", D=H, **F))
    xs = draw(3, 4, H, **F)
    model = to_onnx(layer)
    given = run_in_runtime(model, {"xs": xs, **states_of(model, 3)})
    np.testing.assert_allclose(given["hs"], layer.forward(xs), atol=1e-6)
    with pytest.raises(ConversionError, match="Residual with lengths"):
        to_onnx(layer, lengths=True)


def test_an_imported_activation_is_exported_again():
    helper = optional("onnx").helper
    names = ["HardSigmoid", "LeakyRelu"]
    node, values = random_node("GRU", activations=names, activation_alpha=[0.3, 0.2], clip=0.7)
    inputs = [values.get(name) for name in node.input]
    onnx = optional("onnx")
    graph = helper.make_graph(
        [node],
        "graph",
        [helper.make_tensor_value_info("X", 1, values["X"].shape)],
        [helper.make_tensor_value_info("Y", 1, [None] * 4)],
        [onnx.numpy_helper.from_array(values[n], n) for n in ("W", "R", "B")],
    )
    layer = from_onnx(helper.make_model(graph), time_major=True)
    model = to_onnx(layer)
    given = run_in_runtime(model, {"xs": values["X"], **states_of(model, 3)})
    np.testing.assert_allclose(given["hs"], run_node(node, inputs)[0][:, 0], atol=1e-6)


REFUSED = {
    "projection": (lambda: lstmp(**F), "ONNX's LSTM has no projection"),
    "cell clip": (lambda: lstmp(P=0, cell_clip=1.0, **F), "no clipping of the cell state"),
    "not merged": (lambda: both("rnn", None), "two directions that are not merged"),
    "two sizes": (
        lambda: Bidirectional(classic("rnn", **F), classic("rnn", H=2, **F)),
        "two directions of different kinds or sizes",
    ),
    "activation": (lambda: cell_layer("rnn", activation="mish", **F), "no activation 'mish'"),
    "wrapper": (
        lambda: TimeCell(ZoneoutCell(LSTMCell(*classic("lstm", **F).params), (0.1, 0.1))),
        "TimeCell of ZoneoutCell has no equal",
    ),
    "stacks": (
        lambda: Bidirectional(
            Stack([classic("rnn"), classic("rnn", D=H)]), Stack([classic("rnn")]), "concat"
        ),
        "expected a Stack of Bidirectional layers",
    ),
    "nothing": (lambda: TimeDropout(0.5), "there is no layer to export"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_onnx_does_not_have_is_refused_with_the_reason(case):
    optional("onnx")
    make, reason = REFUSED[case]
    with pytest.raises(ConversionError, match=reason):
        to_onnx(make())


def test_an_lstm_with_clip_which_runtimes_read_in_two_ways_is_not_written():
    optional("onnx")
    node, values = random_node("LSTM", clip=0.3)
    layer = from_onnx(model_of(node, values, constants=("W", "R", "B")))
    with pytest.raises(ConversionError, match="to_onnx: an LSTM with ONNX's clip: what it bounds"):
        to_onnx(layer)


def test_settings_and_limits_are_checked(tmp_path, monkeypatch):
    optional("onnx")
    with pytest.raises(DTypeError, match="dtype = 'float16', expected 'float32' or 'float64'"):
        to_onnx(classic("rnn"), dtype="float16")
    assert to_onnx(classic("rnn"), dtype="float64").graph.initializer[0].data_type == 11
    with pytest.raises(CheckpointError, match="cannot be written"):
        export_layer(classic("rnn"), tmp_path / "no folder" / "x.onnx")
    with pytest.raises(ConversionError, match="got a TimeRNN, expected an Rnnlm"):
        lm_to_onnx(classic("rnn"))
    monkeypatch.setattr(
        onnx_graph, "check_size", lambda count, where: onnx_graph_refuses(count * 2**26, where)
    )
    with pytest.raises(ConversionError, match="holds less than 2 GiB"):
        to_onnx(classic("rnn"))


def onnx_graph_refuses(count, where):
    from rnn_xp.interop.onnx.files import check_size

    check_size(count, where)
