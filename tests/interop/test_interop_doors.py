"""What is no state dict, no variables and no model at all gets one clear line."""

import numpy as np
import pytest
from interop_helpers import classic, optional

from rnn_xp.errors import ConversionError
from rnn_xp.interop import (
    from_onnx,
    from_tf1,
    from_torch,
    run_model,
    run_node,
    to_onnx,
    to_tf1,
    to_torch,
)


class Module:
    """As a torch module: not the dictionary that its ``state_dict()`` is."""


STATE_DICT = r"expected a mapping of names to arrays, as module\.state_dict\(\) gives"
CALLS = {
    "a module": (
        lambda: from_torch(Module()),
        TypeError,
        f"^from_torch: state_dict is a Module, {STATE_DICT}$",
    ),
    "no state dict": (lambda: from_torch(None), TypeError, "state_dict is a NoneType, expected"),
    "like a module": (
        lambda: to_torch(classic("lstm"), like=Module()),
        TypeError,
        f"^to_torch: like is a Module, {STATE_DICT}$",
    ),
    "like nothing": (
        lambda: to_torch(classic("lstm"), like={"decoder.bias": np.zeros(3)}, prefix="encoder."),
        ConversionError,
        r"^to_torch: like has no name that starts with 'encoder\.'$",
    ),
    "a list of variables": (
        lambda: from_tf1([np.zeros(3)]),
        TypeError,
        "^from_tf1: variables is a list, expected a mapping of names to arrays$",
    ),
    "like a list of variables": (
        lambda: to_tf1(classic("lstm"), like=[np.zeros(3)]),
        TypeError,
        "^to_tf1: like is a list, expected a mapping of names to arrays$",
    ),
    "an unknown kind": (
        lambda: from_tf1({}, kind="lstmp"),
        ConversionError,
        "^from_tf1: kind = 'lstmp', expected one of rnn, lstm, gru$",
    ),
    "an unknown merge": (
        lambda: from_tf1({}, merge="both"),
        ValueError,
        r"^from_tf1: merge = 'both', expected one of \('concat'",
    ),
}
ONNX_CALLS = {
    "a number": (
        lambda: from_onnx(3),
        TypeError,
        r"^ONNX model: got a int, expected a path, bytes or an onnx\.ModelProto$",
    ),
    "like a number": (lambda: to_onnx(classic("lstm"), like=3), TypeError, "got a int, expected"),
    "nodes of nothing": (
        lambda: to_onnx(classic("lstm"), nodes=["lstm"]),
        ConversionError,
        "^to_onnx: nodes are those of like, but there is no like$",
    ),
    "a node's name": (
        lambda: from_onnx(to_onnx(classic("lstm")), nodes="level"),
        TypeError,
        "^from_onnx: nodes is the string 'level', expected a list of names$",
    ),
    "an unknown merge": (
        lambda: from_onnx(to_onnx(classic("lstm")), merge="both"),
        ValueError,
        r"^from_onnx: merge = 'both', expected one of \('concat'",
    ),
    "no node": (
        lambda: run_node("lstm", []),
        TypeError,
        r"^ONNX node: got a str, expected an onnx\.NodeProto$",
    ),
    "a list of inputs": (
        lambda: run_model(to_onnx(classic("lstm")), [np.zeros(3)]),
        TypeError,
        "^ONNX model: inputs is a list, expected a mapping of names to arrays$",
    ),
}


@pytest.mark.parametrize("name", CALLS)
def test_misuse(name):
    call, error, message = CALLS[name]
    with pytest.raises(error, match=message):
        call()


@pytest.mark.parametrize("name", ONNX_CALLS)
def test_misuse_of_onnx(name):
    optional("onnx")
    call, error, message = ONNX_CALLS[name]
    with pytest.raises(error, match=message):
        call()
