"""Take recurrent layers out of an ONNX model."""

from collections.abc import Sequence
from typing import Any, Unpack

import numpy as np

from rnn_xp.errors import ConversionError
from rnn_xp.interop.nets import Level, net_from_levels
from rnn_xp.interop.onnx.files import load_model, tensor_array
from rnn_xp.interop.onnx.node import (
    INPUTS,
    KINDS,
    NodeSettings,
    level_from_node,
    node_name,
    read_node,
)
from rnn_xp.interop.weights import LayerOptions
from rnn_xp.layers.bidirectional import check_merge


def recurrent_nodes(source: Any) -> list[str]:
    """Names of the RNN, LSTM and GRU nodes of a model, in its order.

    Parameters
    ----------
    source : str, Path, bytes or onnx.ModelProto
    """
    return [node_name(node) for node in load_model(source).graph.node if node.op_type in KINDS]


def from_onnx(
    source: Any,
    *,
    nodes: Sequence[str] | None = None,
    merge: str | None = "concat",
    **options: Unpack[LayerOptions],
) -> Any:
    """Make the layer of a recurrent node, or of several that follow each other.

    Parameters
    ----------
    source : str, Path, bytes or onnx.ModelProto
        The weights must be constants of the model.
    nodes : list of str, optional
        Names of nodes, each of which gets the output of the one before; see
        `recurrent_nodes`. Default: the only one.
    merge : {"concat", "sum", "mean", "mul", None}
        What the model does with the outputs of two directions.
    **options
        ``backend``, ``dtype``, ``stateful``, ``time_major`` (whatever the node's layout):
        see `rnn_xp.interop.weights.LayerOptions`.

    Returns
    -------
    layer : TimeRNN, TimeLSTM, TimeGRU or TimeCell; Reversed, Bidirectional; Stack of several
        An ``input_forget`` node becomes an LSTM whose forget gate has the negated weights
        of the input gate: the same values, but trained on, the two part.

    Raises
    ------
    ConversionError
        If there are several nodes and `nodes` does not say which, if weights are computed in
        the graph, if a node has a constant initial state that is not zero (give it to
        `set_state` yourself, through `run_node`), or a setting that no cell here has.
    CheckpointError
        If the file is damaged.
    ValueError
        If `merge` is another.

    Notes
    -----
    An LSTM node with ``clip``, which bounds the input of every activation, bounds c too on its
    way into h (not the state c itself), as the operator's definition has it. onnxruntime bounds
    the gates only, so its numbers are others where c leaves the bounds. RNN and GRU agree.
    """
    check_merge(merge, "from_onnx")
    graph = load_model(source).graph
    constants = constants_of(graph)
    levels: list[Level] = []
    for node in chosen_nodes(graph, nodes, "from_onnx"):
        level = _level(node, constants, options.get("dtype"), merge)
        D = level.cells[0].Wx.shape[0]
        if levels and levels[-1].output_size != D:
            raise ConversionError(
                f"from_onnx: node {node_name(node)!r} takes {D} features, the one before it gives "
                f"{levels[-1].output_size}"
            )
        levels.append(level)
    return net_from_levels(levels, **options)


def chosen_nodes(graph: Any, nodes: Sequence[str] | None, where: str) -> list[Any]:
    """The recurrent nodes of a graph with these names; for None the only one."""
    known = {node_name(node): node for node in graph.node if node.op_type in KINDS}
    if isinstance(nodes, str):
        raise TypeError(f"{where}: nodes is the string {nodes!r}, expected a list of names")
    chosen = list(known) if nodes is None else list(nodes)
    wrong = [name for name in chosen if name not in known]
    if wrong or not chosen or (nodes is None and len(chosen) > 1):
        found = ", ".join(known) or "none"
        raise ConversionError(
            f"{where}: the recurrent nodes are {found}; give nodes=[...], those that follow "
            "each other" + (f" (got {', '.join(wrong)})" if wrong else "")
        )
    return [known[name] for name in chosen]


def constants_of(graph: Any) -> dict[str, Any]:
    """Arrays of a graph that are constant, by name."""
    values = {tensor.name: tensor_array(tensor) for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type == "Constant":
            for attribute in node.attribute:
                if attribute.name == "value":
                    values[node.output[0]] = tensor_array(attribute.t)
    return values


def _level(node: Any, constants: dict[str, Any], dtype: str | None, merge: str | None) -> Level:
    settings = read_node(node)
    names = _inputs(node)
    for what in ("initial_h", "initial_c"):
        state = constants.get(names.get(what, ""))
        if state is not None and np.any(state):
            raise ConversionError(
                f"{settings.where}: {what} is a constant other than zero, which a layer here does "
                "not keep; run_node takes it as an input"
            )
    return level_from_node(settings, node_weights(node, settings, constants), dtype, merge)


def node_weights(node: Any, settings: NodeSettings, constants: dict[str, Any]) -> dict[str, Any]:
    """The constants ``W``, ``R``, ``B`` and ``P`` of a node, those that it has."""
    names = _inputs(node)
    arrays: dict[str, Any] = {}
    for what in ("W", "R", "B", "P"):
        if what not in names:
            continue
        if names[what] not in constants:
            raise ConversionError(
                f"{settings.where}: {what} is computed in the graph or given at run time, expected "
                "a constant; run_node takes it as an input"
            )
        arrays[what] = constants[names[what]]
    return arrays


def _inputs(node: Any) -> dict[str, str]:
    return {what: name for what, name in zip(INPUTS, node.input, strict=False) if name}
