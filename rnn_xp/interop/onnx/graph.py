"""A graph under construction: nodes, weights and names that do not clash."""

from typing import Any

import numpy as np

from rnn_xp._version import __version__
from rnn_xp.interop.onnx.files import check_size, onnx_package

OPSET = 17
IR_VERSION = 8  # of ONNX 1.12, which introduced this opset
DOC = "Written by rnn_xp. N: batch, T: steps."


class GraphBuilder:
    """Collects the parts of an ONNX graph.

    Parameters
    ----------
    name : str
    dtype : {"float32", "float64"}
        Of all floating-point values.
    like : list of dict of numpy.ndarray, optional
        Weights of the nodes that the recurrent levels came from, in order.
    """

    def __init__(self, name: str, dtype: str, like: list[dict[str, Any]] | None = None):
        self.onnx = onnx_package("writing an ONNX file")
        self.name = name
        self.dtype = np.dtype(dtype)
        self.like = like
        self.inputs: list[Any] = []
        self.outputs: list[Any] = []
        self.states: list[Any] = []  # inputs and outputs of states come after all others
        self.final_states: list[Any] = []
        self.nodes: list[Any] = []
        self.initializers: dict[str, Any] = {}

    @property
    def float_type(self) -> int:
        """ONNX's number for the dtype."""
        return int(self.onnx.helper.np_dtype_to_tensor_dtype(self.dtype))

    def weight(self, name: str, array: Any) -> str:
        """Add a constant of floats."""
        self.initializers[name] = np.ascontiguousarray(array, dtype=self.dtype)
        return name

    def integers(self, *values: int) -> str:
        """Add a constant of int64."""
        name = "const." + "_".join(str(v) for v in values)
        self.initializers[name] = np.asarray(values, dtype=np.int64)
        return name

    def value(self, name: str, shape: tuple[Any, ...], element: int | None = None) -> Any:
        """Describe an input or output; strings in `shape` are lengths that may vary."""
        kind = self.float_type if element is None else element
        return self.onnx.helper.make_tensor_value_info(name, kind, shape)

    def add(self, op: str, inputs: list[str], output: str, **attributes: Any) -> str:
        """Add a node with one output, whose name it returns."""
        self.add_node(op, inputs, [output], **attributes)
        return output

    def add_node(self, op: str, inputs: list[str], outputs: list[str], **attributes: Any) -> None:
        """Add a node; it is named after its first output."""
        name = next(name for name in outputs if name)
        self.nodes.append(
            self.onnx.helper.make_node(op, inputs, outputs, name=f"{op} {name}", **attributes)
        )

    def model(self) -> Any:
        """The finished and checked ``onnx.ModelProto``."""
        check_size(sum(array.nbytes for array in self.initializers.values()), self.name)
        helper = self.onnx.helper
        graph = helper.make_graph(
            self.nodes,
            self.name,
            self.inputs + self.states,
            self.outputs + self.final_states,
            [self.onnx.numpy_helper.from_array(a, n) for n, a in self.initializers.items()],
        )
        model = helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=IR_VERSION,
            producer_name="rnn_xp",
            producer_version=__version__,
            doc_string=DOC,
        )
        self.onnx.checker.check_model(model, full_check=True)
        return model
