"""The two biases of an ONNX node, which are one here, come back as they were: ``like=``."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from interop_helpers import any_floats, assert_same_bits, changed, classic, optional
from onnx_helpers import GATES, model_of, random_node

from rnn_xp import Stack
from rnn_xp.errors import ConversionError
from rnn_xp.interop import export_layer, from_onnx, to_onnx

pytestmark = pytest.mark.filterwarnings("ignore:(overflow|invalid value) encountered")
NODES = {
    "op": st.sampled_from(list(GATES)),
    "direction": st.sampled_from(["forward", "reverse", "bidirectional"]),
    "given_inputs": st.sampled_from([("B",), (), ("B", "P"), ("P",)]),
    "reset_after": st.booleans(),
    "dtype": st.sampled_from(["float32", "float64"]),
    "seed": st.integers(0, 2**32),
}


def random_model(rng, op, direction, given_inputs, reset_after, dtype):
    """A model of one node with numbers of every sort, and its weights."""
    attributes = {"linear_before_reset": int(reset_after)} if op == "GRU" else {}
    node, values = random_node(op, direction, given_inputs, **attributes)
    weights = {
        name: any_floats(rng, *array.shape, dtype=dtype)
        for name, array in values.items()
        if name != "X"
    }
    return model_of(node, values | weights, constants=tuple(weights)), weights


def weights_of(model, number=0):
    numpy_helper = optional("onnx").numpy_helper
    prefix = f"layers.{number}."
    return {
        tensor.name.removeprefix(prefix): numpy_helper.to_array(tensor)
        for tensor in model.graph.initializer
        if tensor.name.startswith(prefix)
    }


@settings(max_examples=60, deadline=None)
@given(**NODES)
def test_the_weights_of_a_node_come_back_bit_for_bit(seed, dtype, **node):
    model, theirs = random_model(np.random.default_rng(seed), dtype=dtype, **node)
    back = to_onnx(from_onnx(model), dtype=dtype, like=model)
    assert_same_bits(weights_of(back), theirs)


@settings(max_examples=60, deadline=None)
@given(**NODES)
def test_changed_weights_come_back_bit_for_bit(seed, dtype, **node):
    rng = np.random.default_rng(seed)
    node["given_inputs"] = ("B", *node["given_inputs"])
    model, _ = random_model(rng, dtype=dtype, **node)
    layer = from_onnx(model)
    changed(layer, rng)
    back = from_onnx(to_onnx(layer, dtype=dtype, like=model))
    assert_same_bits(back.params, layer.params, any_nan=True)


def test_several_nodes_and_files(tmp_path):
    onnx = optional("onnx")
    net = Stack([classic("lstm", D=4, H=6, dtype="float32"), classic("gru", D=6, dtype="float32")])
    net.layers[0].params[2][...] = 0.0
    theirs = to_onnx(net)
    biases = next(t for t in theirs.graph.initializer if t.name == "layers.0.B")
    pair = np.random.default_rng(0).standard_normal((1, 48)).astype("float32")
    biases.CopyFrom(onnx.numpy_helper.from_array(pair, "layers.0.B"))
    nodes = [node.name for node in theirs.graph.node if node.op_type in GATES]
    layer = from_onnx(theirs, nodes=nodes)
    export_layer(layer, tmp_path / "back.onnx", like=theirs.SerializeToString(), nodes=nodes)
    back = onnx.load(tmp_path / "back.onnx")
    for number in range(2):
        assert_same_bits(weights_of(back, number), weights_of(theirs, number))


def test_a_model_of_another_layer_is_refused():
    layer = from_onnx(random_model(np.random.default_rng(0), *CASE)[0])
    plain = to_onnx(layer)
    two = to_onnx(Stack([classic("lstm", D=4, H=6), classic("lstm", D=6, H=6)]))
    nodes = [node.name for node in two.graph.node if node.op_type == "LSTM"]
    with pytest.raises(ConversionError, match=r"to_onnx: the recurrent nodes are .*; give nodes="):
        to_onnx(layer, like=two)
    with pytest.raises(ConversionError, match="like has 2 nodes, the layer fewer levels"):
        to_onnx(layer, like=two, nodes=nodes)
    with pytest.raises(ConversionError, match="like has 1 nodes, the layer more levels"):
        to_onnx(from_onnx(two, nodes=nodes), like=plain)
    with pytest.raises(ConversionError, match=r"level 0: like has B \(1, 36\), the layer has B"):
        to_onnx(layer, like=to_onnx(classic("gru", D=4, H=6)))
    node, values = random_node("LSTM", input_forget=1)
    model = model_of(node, values, ("W", "R", "B"))
    with pytest.raises(ConversionError, match="like has input_forget in ONNX node 'node'"):
        to_onnx(from_onnx(model), like=model)


CASE = ("LSTM", "forward", ("B",), False, "float32")
