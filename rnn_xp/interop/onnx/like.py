"""Weights of nodes that come back to where they came from; see `rnn_xp.interop.sums`."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from rnn_xp.errors import ConversionError
from rnn_xp.interop.onnx.files import load_model
from rnn_xp.interop.onnx.load import chosen_nodes, constants_of, node_weights
from rnn_xp.interop.onnx.node import read_node
from rnn_xp.interop.sums import two_biases
from rnn_xp.interop.weights import expect_alike, float_arrays


def weights_like(
    source: Any, nodes: Sequence[str] | None, dtype: str, where: str
) -> list[dict[str, Any]]:
    """``W``, ``R``, ``B`` and ``P`` of nodes, those that each has.

    Parameters
    ----------
    source : str, Path, bytes or onnx.ModelProto
    nodes : list of str or None
        As in `rnn_xp.interop.from_onnx`.
    dtype : {"float32", "float64"}
        Of the result.
    where : str
        For messages.

    Raises
    ------
    ConversionError
        As `from_onnx`; and if a node has ``input_forget``, whose weights of the forget gate,
        which the node does not use, no layer here keeps.
    CheckpointError
        If the file is damaged.
    """
    graph = load_model(source).graph
    constants = constants_of(graph)
    found = []
    for node in chosen_nodes(graph, nodes, where):
        settings = read_node(node)
        if settings.input_forget:
            raise ConversionError(
                f"{where}: like has input_forget in {settings.where}, whose unused weights of the "
                "forget gate no layer here keeps; export without like"
            )
        arrays = node_weights(node, settings, constants)
        found.append(float_arrays(arrays, settings.where, dtype))
    return found


def alike(
    weights: dict[str, Any], like: list[dict[str, Any]], number: int, summed: bool, where: str
) -> dict[str, Any]:
    """The weights of level `number` with the biases of the node that it came from.

    Parameters
    ----------
    weights : dict of numpy.ndarray
        As the level would be written: ``W``, ``R``, ``B``, and ``P`` if it has peepholes.
    like : list of dict of numpy.ndarray
        What `weights_like` returned.
    number : int
    summed : bool
        Whether the two halves of ``B`` are one bias here.
    where : str
        For messages.

    Raises
    ------
    ConversionError
        If the node has other weights than the level.
    """
    if number >= len(like):
        raise ConversionError(f"{where}: like has {len(like)} nodes, the layer more levels")
    theirs = like[number]
    if "B" not in theirs and not np.any(weights["B"]):
        return {name: array for name, array in weights.items() if name != "B"}
    expect_alike(theirs, weights, f"{where}: level {number}")
    if not summed:
        return weights
    B = weights["B"]
    own, given = (array.reshape(len(array), 2, -1) for array in (B, theirs["B"]))
    pair = two_biases(own[:, 0], (given[:, 0], given[:, 1]))
    return {**weights, "B": np.stack(pair, axis=1).reshape(B.shape)}
