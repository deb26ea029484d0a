"""ONNX nodes and models for the tests, and how onnxruntime computes them."""

import numpy as np
from interop_helpers import optional

T, N, D, H = 5, 3, 4, 6
GATES = {"RNN": 1, "LSTM": 4, "GRU": 3}
NAMES = ("X", "W", "R", "B", "sequence_lens", "initial_h", "initial_c", "P")


def runtime_session(model):
    """An onnxruntime session of a model (bytes, a ModelProto, or a path)."""
    runtime = optional("onnxruntime")
    runtime.set_default_logger_severity(4)
    source = model.SerializeToString() if hasattr(model, "SerializeToString") else model
    options = runtime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return runtime.InferenceSession(source, options, providers=["CPUExecutionProvider"])


def run_in_runtime(model, feeds):
    """Outputs by name."""
    session = runtime_session(model)
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(None, feeds), strict=True))


def random_node(op, direction="forward", optional_inputs=("B",), lengths=(5, 2, 1), **attributes):
    """A node, and values for its inputs by name."""
    helper = optional("onnx").helper
    rng = np.random.default_rng(0)
    d, G = 2 if direction == "bidirectional" else 1, GATES[op]
    shapes = {
        "X": (T, N, D),
        "W": (d, G * H, D),
        "R": (d, G * H, H),
        "B": (d, 2 * G * H),
        "initial_h": (d, N, H),
        "initial_c": (d, N, H),
        "P": (d, 3 * H),
    }
    names = NAMES if op == "LSTM" else NAMES[:6]
    given = [n if n in ("X", "W", "R", *optional_inputs) else "" for n in names]
    values = {
        n: 0.5 * rng.standard_normal(shapes[n]).astype("float32") for n in given if n in shapes
    }
    if "sequence_lens" in given:
        values["sequence_lens"] = np.array(lengths, np.int32)
    outputs = ["Y", "Y_h", "Y_c"] if op == "LSTM" else ["Y", "Y_h"]
    node = helper.make_node(
        op, given, outputs, hidden_size=H, direction=direction, name="node", **attributes
    )
    return node, values


def model_of(node, values, constants=()):
    """A model of one node; the inputs named in `constants` become initializers."""
    onnx = optional("onnx")
    helper = onnx.helper
    inputs = [
        helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(v.dtype), v.shape)
        for n, v in values.items()
        if n not in constants
    ]
    outputs = [
        helper.make_tensor_value_info(n, 1, [None] * (4 if n == "Y" else 3))
        for n in node.output
        if n
    ]
    tensors = [onnx.numpy_helper.from_array(values[n], n) for n in constants]
    graph = helper.make_graph([node], "graph", inputs, outputs, tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def states_of(model, N):
    """Zeros for the states of an exported model, by name."""
    return {
        value.name: np.zeros(
            [N if d.dim_param else d.dim_value for d in value.type.tensor_type.shape.dim], "float32"
        )
        for value in model.graph.input
        if value.name.startswith("state.")
    }
