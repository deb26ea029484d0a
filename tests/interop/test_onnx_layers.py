"""Recurrent nodes of ONNX files become layers; damaged files are named."""

import importlib
import io

import numpy as np
import pytest
from interop_helpers import assert_same_params, optional, torch_module
from onnx_helpers import D, H, N, T, model_of, random_node, run_in_runtime

from rnn_xp import Bidirectional, Stack, TimeGRU, TimeLSTM, TimeRNN
from rnn_xp.errors import (
    CheckpointError,
    ConversionError,
    MissingExtraError,
)
from rnn_xp.interop.onnx import from_onnx, recurrent_nodes, run_model
from rnn_xp.layers.reverse import Reversed
from rnn_xp.testing import check_gradients


def constant_model(op, direction="forward", given=("B",), **attributes):
    node, values = random_node(op, direction, given, **attributes)
    return model_of(node, values, [n for n in ("W", "R", "B", "P") if n in values]), values


@pytest.mark.parametrize(
    ("op", "direction", "attributes", "kind"),
    [
        ("RNN", "forward", {}, TimeRNN),
        ("LSTM", "forward", {}, TimeLSTM),
        ("GRU", "forward", {}, TimeGRU),
        ("GRU", "reverse", {"linear_before_reset": 1}, Reversed),
        ("LSTM", "bidirectional", {}, Bidirectional),
    ],
)
def test_a_node_becomes_a_layer(op, direction, attributes, kind):
    model, values = constant_model(op, direction, **attributes)
    layer = from_onnx(model.SerializeToString(), time_major=True)
    assert type(layer) is kind
    expected = run_in_runtime(model, {"X": values["X"]})["Y"]
    expected = expected.transpose(0, 2, 1, 3).reshape(T, N, -1)
    np.testing.assert_allclose(layer.forward(values["X"]), expected, atol=2e-6)
    layer.backward(np.ones_like(expected))


def test_an_imported_layer_has_right_gradients():
    model, values = constant_model("LSTM", "bidirectional", ("B", "P"), clip=0.6, input_forget=1)
    layer = from_onnx(model, dtype="float64", time_major=True)
    x = values["X"].astype("float64")
    check_gradients(layer, x)


def test_nodes_that_follow_each_other_become_a_stack():
    torch_like, values = constant_model("LSTM")
    second, more = random_node("LSTM")
    second.name = "second"
    onnx = optional("onnx")
    more["W"] = np.random.default_rng(1).standard_normal((1, 4 * H, H)).astype("float32")
    for k, name in enumerate(("W", "R", "B"), start=1):
        second.input[k] = f"{name}2"
        torch_like.graph.initializer.append(onnx.numpy_helper.from_array(more[name], f"{name}2"))
    axis = onnx.numpy_helper.from_array(np.array([1]), "axis")
    torch_like.graph.initializer.append(axis)
    torch_like.graph.node.append(onnx.helper.make_node("Squeeze", ["Y", "axis"], ["hs"]))
    second.input[0] = "hs"
    second.output[:] = ["Y2", "Y2_h", "Y2_c"]
    torch_like.graph.node.append(second)
    torch_like.graph.output[0].name = "Y2"
    assert recurrent_nodes(torch_like) == ["node", "second"]
    with pytest.raises(ConversionError, match="the recurrent nodes are node, second; give nodes="):
        from_onnx(torch_like)
    stack = from_onnx(torch_like, nodes=["node", "second"], time_major=True)
    assert isinstance(stack, Stack)
    expected = run_in_runtime(torch_like, {"X": values["X"]})["Y2"][:, 0]
    np.testing.assert_allclose(stack.forward(values["X"]), expected, atol=2e-6)
    assert_same_params(from_onnx(torch_like, nodes=["second"]), stack.layers[1])
    with pytest.raises(ConversionError, match=r"\(got third\)"):
        from_onnx(torch_like, nodes=["third"])
    with pytest.raises(ConversionError, match="'node' takes 4 features, the one before it gives 6"):
        from_onnx(torch_like, nodes=["second", "node"])


def test_weights_and_states_that_a_layer_cannot_keep_are_refused():
    node, values = random_node("RNN", "forward", ("B", "initial_h"))
    with pytest.raises(ConversionError, match="W is computed in the graph or given at run time"):
        from_onnx(model_of(node, values))
    constant = model_of(node, values, ["W", "R", "B", "initial_h"])
    with pytest.raises(ConversionError, match="initial_h is a constant other than zero"):
        from_onnx(constant)
    with pytest.raises(ConversionError, match=r"input X is missing"):
        run_model(constant, {})


def test_damaged_files_are_named(tmp_path):
    optional("onnx")
    path = tmp_path / "model.onnx"
    with pytest.raises(CheckpointError, match=r"model\.onnx: no such file"):
        from_onnx(path)
    data = constant_model("LSTM")[0].SerializeToString()
    for damaged in (b"", b"not a model", data[: len(data) // 2], data[:-7]):
        path.write_bytes(damaged)
        with pytest.raises(CheckpointError, match=r"model\.onnx: not an ONNX model, or damaged"):
            from_onnx(path)
    for dims, data_type in (([1, 5], 1), ([1, 4 * H, D], 80)):
        model = constant_model("LSTM")[0]
        tensor = model.graph.initializer[0]
        tensor.dims[:], tensor.data_type = dims, data_type
        with pytest.raises(CheckpointError, match="tensor 'W' is damaged"):
            from_onnx(model)
    path.write_bytes(data)
    assert type(from_onnx(path)) is TimeLSTM


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(importlib.import_module("sys").modules, "onnx", None)
    with pytest.raises(MissingExtraError, match=r"needs onnx.*pip install 'rnn-xp\[onnx\]'"):
        from_onnx("model.onnx")


@pytest.mark.filterwarnings("ignore")  # torch's tracer warns about its own modules
@pytest.mark.parametrize("name", ["RNN", "LSTM", "GRU"])
def test_a_file_that_torch_wrote(name):
    optional("onnx")
    torch = torch_module()
    module = getattr(torch.nn, name)(D, H, num_layers=2, bidirectional=True)
    x, file = torch.randn(T, N, D), io.BytesIO()
    torch.onnx.export(module, (x,), file, dynamo=False)
    names = recurrent_nodes(file.getvalue())
    layer = from_onnx(file.getvalue(), nodes=names, time_major=True)
    with torch.no_grad():
        np.testing.assert_allclose(layer.forward(x.numpy()), module(x)[0].numpy(), atol=1e-6)
