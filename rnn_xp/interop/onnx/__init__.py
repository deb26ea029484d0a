"""ONNX: export of layers and language models, import of recurrent nodes.

Needs the package ``onnx`` (extra ``onnx``), which is imported when first used. Equations:
the operators RNN, GRU and LSTM of
https://github.com/onnx/onnx/blob/main/docs/Operators.md.
"""

from rnn_xp.interop.onnx.export import export_layer, to_onnx
from rnn_xp.interop.onnx.load import from_onnx, recurrent_nodes
from rnn_xp.interop.onnx.models import export_lm, lm_to_onnx
from rnn_xp.interop.onnx.run import run_model, run_node

__all__ = [
    "export_layer",
    "export_lm",
    "from_onnx",
    "lm_to_onnx",
    "recurrent_nodes",
    "run_model",
    "run_node",
    "to_onnx",
]
