"""Gate orders of every system, as data, and the one function that applies them.

A weight matrix of a gated cell is G blocks side by side, one for each gate. Gates are
named here as in `rnn_xp.cells`:

* LSTM: input ``i``, forget ``f``, candidate ``g`` (elsewhere also j, c or a), output ``o``;
* GRU: reset ``r``, update ``z``, new state ``n`` (elsewhere also h or c), with
  ``h' = (1 - z) n + z h``.

Sources: ``torch/nn/modules/rnn.py`` of PyTorch; ``keras/src/layers/rnn`` of Keras 3;
``tf_keras/src/layers/rnn/legacy_cells.py`` for TensorFlow 1; ``common/time_layers.py`` of
"Deep Learning from Scratch 2"; the operators RNN, LSTM and GRU of
https://github.com/onnx/onnx/blob/main/docs/Operators.md.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from rnn_xp.errors import ShapeError

KINDS = ("rnn", "lstm", "gru")
OURS = {"rnn": ("h",), "lstm": ("i", "f", "g", "o"), "gru": ("r", "z", "n")}
PEEPHOLES = ("i", "f", "o")  # rows of `rnn_xp.cells.LSTMPCell`'s peepholes
ONNX_PEEPHOLES = ("i", "o", "f")


@dataclass(frozen=True, slots=True)
class Layout:
    """How a system lays out the weights of one kind of cell.

    Attributes
    ----------
    gates : tuple of str
        Its blocks in order, in our names.
    out_major : bool
        Whether a matrix is (outputs, inputs), applied as ``x @ W.T``; ours are (inputs,
        outputs).
    negated : tuple of str
        Gates whose weights have the opposite sign there, because the system's gate is one
        minus ours.
    """

    gates: tuple[str, ...]
    out_major: bool = False
    negated: tuple[str, ...] = ()


LAYOUTS = {
    "torch": {
        "rnn": Layout(("h",), out_major=True),
        "lstm": Layout(("i", "f", "g", "o"), out_major=True),
        "gru": Layout(("r", "z", "n"), out_major=True),
    },
    "keras": {
        "rnn": Layout(("h",)),
        "lstm": Layout(("i", "f", "g", "o")),
        "gru": Layout(("z", "r", "n")),
    },
    "tf1": {
        "rnn": Layout(("h",)),
        "lstm": Layout(("i", "g", "f", "o")),
        "gru": Layout(("r", "z", "n")),  # gates/kernel holds r and z, candidate/kernel n
    },
    "dlfs2": {
        "rnn": Layout(("h",)),
        "lstm": Layout(("f", "g", "i", "o")),
        "gru": Layout(("z", "r", "n"), negated=("z",)),
    },
    "onnx": {
        "rnn": Layout(("h",), out_major=True),
        "lstm": Layout(("i", "o", "f", "g"), out_major=True),
        "gru": Layout(("z", "r", "n"), out_major=True),
    },
}


def blocks_to_ours(array: Any, origin: str, kind: str) -> Any:
    """Reorder the G blocks on the last axis from the order of `origin` to ours.

    Parameters
    ----------
    array : numpy.ndarray, shape (..., G*H)
    origin : {"torch", "keras", "tf1", "dlfs2", "onnx"}
    kind : {"rnn", "lstm", "gru"}

    Returns
    -------
    array : numpy.ndarray, shape (..., G*H)
        New and contiguous. Nothing is rounded: blocks move, or change their sign.
    """
    layout = LAYOUTS[origin][kind]
    return _moved(array, layout.gates, OURS[kind], layout.negated)


def blocks_from_ours(array: Any, origin: str, kind: str) -> Any:
    """Reorder the G blocks on the last axis from our order to that of `origin`."""
    layout = LAYOUTS[origin][kind]
    return _moved(array, OURS[kind], layout.gates, layout.negated)


def matrix_to_ours(array: Any, origin: str, kind: str) -> Any:
    """A weight matrix of `origin` as (inputs, G*H) in our order of gates."""
    array = array.T if LAYOUTS[origin][kind].out_major else array
    return blocks_to_ours(array, origin, kind)


def matrix_from_ours(array: Any, origin: str, kind: str) -> Any:
    """Our matrix (inputs, G*H) as `origin` has it."""
    array = blocks_from_ours(array, origin, kind)
    return np.ascontiguousarray(array.T) if LAYOUTS[origin][kind].out_major else array


def reorder(array: Any, given: tuple[str, ...], wanted: tuple[str, ...]) -> Any:
    """Reorder the blocks on the last axis from the order `given` to the order `wanted`."""
    return _moved(array, given, wanted, ())


def _moved(
    array: Any, given: tuple[str, ...], wanted: tuple[str, ...], negated: tuple[str, ...]
) -> Any:
    width = len(given)
    if array.ndim == 0 or array.shape[-1] % width:
        raise ShapeError(
            f"gate blocks: got shape {array.shape}, expected a last axis of {width}H "
            f"({', '.join(given)})"
        )
    blocks = array.reshape(*array.shape[:-1], width, array.shape[-1] // width)
    parts = [blocks[..., given.index(gate), :] for gate in wanted]
    parts = [-p if gate in negated else p for gate, p in zip(wanted, parts, strict=True)]
    return np.ascontiguousarray(np.concatenate(parts, axis=-1))
