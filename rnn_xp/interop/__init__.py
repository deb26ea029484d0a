"""Weights in and out: formats of other systems, one a module, and the same verbs for each.

=====================  ====================================  =====================================
system                 into a layer                          from a layer
=====================  ====================================  =====================================
PyTorch                `from_torch`                          `to_torch`
Keras, lists           `from_keras`                          `to_keras`
Keras, files           `read_keras`, `load_keras`            `save_keras`
TensorFlow 1           `from_tf1`                            `to_tf1`
DLFS2, layers          `from_dlfs2`                          `to_dlfs2`
DLFS2, ``.pkl``        `read_pickle_arrays`                  `save_rnnlm_pickle`
ONNX                   `from_onnx`, `run_node`, `run_model`  `to_onnx`, `export_layer`, `export_lm`
=====================  ====================================  =====================================

``from_...`` takes arrays of any backend and returns a layer with its fast kernels where
there are some; ``to_...`` returns NumPy arrays. Our weights that go there and come back are the
same bit for bit. So are theirs, but for three sums that are one number here: the two biases of
PyTorch (all but the GRU) and of ONNX, and the forget bias that TensorFlow 1 adds at run time.
Those come back bit for bit if ``to_...`` gets what ``from_...`` got as its argument ``like``.
What the other side does not have is refused with the reason, a
`rnn_xp.errors.ConversionError`. No other framework is imported; h5py (extra ``keras``) and
onnx (extra ``onnx``) are, when a file needs them.

Names are imported on first use.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rnn_xp.interop.dlfs2 import read_pickle_arrays, save_rnnlm_pickle
    from rnn_xp.interop.dlfs2_weights import from_dlfs2, to_dlfs2
    from rnn_xp.interop.keras_files import read_keras, save_keras
    from rnn_xp.interop.keras_models import load_keras
    from rnn_xp.interop.keras_weights import from_keras, to_keras
    from rnn_xp.interop.onnx import (
        export_layer,
        export_lm,
        from_onnx,
        lm_to_onnx,
        recurrent_nodes,
        run_model,
        run_node,
        to_onnx,
    )
    from rnn_xp.interop.tf1_export import to_tf1
    from rnn_xp.interop.tf1_weights import from_tf1
    from rnn_xp.interop.torch_weights import from_torch, to_torch

_ROOMS = {
    "dlfs2": ("read_pickle_arrays", "save_rnnlm_pickle"),
    "dlfs2_weights": ("from_dlfs2", "to_dlfs2"),
    "keras_files": ("read_keras", "save_keras"),
    "keras_models": ("load_keras",),
    "keras_weights": ("from_keras", "to_keras"),
    "onnx": (
        "export_layer",
        "export_lm",
        "from_onnx",
        "lm_to_onnx",
        "recurrent_nodes",
        "run_model",
        "run_node",
        "to_onnx",
    ),
    "tf1_export": ("to_tf1",),
    "tf1_weights": ("from_tf1",),
    "torch_weights": ("from_torch", "to_torch"),
}
_ROOM_OF = {name: room for room, names in _ROOMS.items() for name in names}

__all__ = [
    "export_layer",
    "export_lm",
    "from_dlfs2",
    "from_keras",
    "from_onnx",
    "from_tf1",
    "from_torch",
    "lm_to_onnx",
    "load_keras",
    "read_keras",
    "read_pickle_arrays",
    "recurrent_nodes",
    "run_model",
    "run_node",
    "save_keras",
    "save_rnnlm_pickle",
    "to_dlfs2",
    "to_keras",
    "to_onnx",
    "to_tf1",
    "to_torch",
]


def __getattr__(name: str) -> Any:
    if name not in _ROOM_OF:
        raise AttributeError(f"module 'rnn_xp.interop' has no attribute {name!r}")
    value = getattr(import_module(f"rnn_xp.interop.{_ROOM_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
