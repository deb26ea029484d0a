"""One level of a net, in one direction or two, as one ONNX node."""

from typing import Any

import numpy as np

from rnn_xp.errors import ConversionError
from rnn_xp.interop.layouts import (
    ONNX_PEEPHOLES,
    PEEPHOLES,
    blocks_from_ours,
    matrix_from_ours,
    reorder,
)
from rnn_xp.interop.nets import Level
from rnn_xp.interop.onnx.activations import FORMS, onnx_form
from rnn_xp.interop.onnx.graph import GraphBuilder
from rnn_xp.interop.onnx.like import alike
from rnn_xp.interop.onnx.node import DEFAULT_ACTIVATIONS, KINDS
from rnn_xp.interop.sums import two_biases
from rnn_xp.interop.weights import RecurrentWeights

OPERATORS = {kind: operator for operator, kind in KINDS.items()}
PARTS = {"rnn": ("h",), "lstm": ("h", "c"), "gru": ("h",)}


def add_level(
    graph: GraphBuilder, level: Level, x: str, lengths: str, where: str
) -> tuple[str, int]:
    """Add a recurrent node with its inputs and outputs for the state.

    Parameters
    ----------
    graph : GraphBuilder
    level : Level
    x : str
        Name of the input (T, N, D).
    lengths : str
        Name of the lengths, "" if there are none.
    where : str
        For messages.

    Returns
    -------
    output : str
        Name of the output (T, N, width).
    width : int

    Raises
    ------
    ConversionError
        If no ONNX operator computes this.
    """
    _require_operator(level, where)
    cells = level.cells
    kind, H, count = cells[0].kind, cells[0].hidden, len(cells)
    number = len(graph.states) and 1 + max(int(s.name.split(".")[1]) for s in graph.states)
    prefix = f"layers.{number}"
    weights = {
        "W": np.stack([matrix_from_ours(c.Wx, "onnx", kind) for c in cells]),
        "R": np.stack([matrix_from_ours(c.Wh, "onnx", kind) for c in cells]),
        "B": np.stack([_biases(c, graph.dtype) for c in cells]),
    }
    if any(c.peepholes is not None for c in cells):
        weights["P"] = np.stack([_peepholes(c) for c in cells])
    if graph.like is not None:
        weights = alike(weights, graph.like, number, not cells[0].reset_after, where)
    names = {what: graph.weight(f"{prefix}.{what}", array) for what, array in weights.items()}
    inputs = [x, names["W"], names["R"], names.get("B", ""), lengths]
    shape = ("N", H) if count == 1 else (count, "N", H)
    for part in PARTS[kind]:
        name = f"state.{number}.{part}"
        graph.states.append(graph.value(name, shape))
        if count == 1:
            name = graph.add("Unsqueeze", [name, graph.integers(0)], f"{prefix}.initial_{part}")
        inputs.append(name)
    if "P" in names:
        inputs.append(names["P"])
    finals = [f"final.{number}.{part}" for part in PARTS[kind]]
    raw = finals if count == 2 else [f"{prefix}.{name}" for name in finals]
    Y = f"{prefix}.Y"
    graph.add_node(OPERATORS[kind], inputs, [Y, *raw], **_attributes(level, where))
    for name, given in zip(finals, raw, strict=True):
        if count == 1:
            graph.add("Squeeze", [given, graph.integers(0)], name)
        graph.final_states.append(graph.value(name, shape))
    return _merged(graph, level, Y, prefix, H)


def _merged(graph: GraphBuilder, level: Level, Y: str, prefix: str, H: int) -> tuple[str, int]:
    """From (T, directions, N, H) to (T, N, width)."""
    output = f"{prefix}.output"
    if len(level.cells) == 1:
        return graph.add("Squeeze", [Y, graph.integers(1)], output), H
    if level.merge == "concat":
        rows = graph.add("Transpose", [Y], f"{prefix}.rows", perm=[0, 2, 1, 3])
        return graph.add("Reshape", [rows, graph.integers(0, 0, 2 * H)], output), 2 * H
    if level.merge == "sum":  # in this opset its axes are an input, those of the others are not
        return graph.add("ReduceSum", [Y, graph.integers(1)], output, keepdims=0), H
    op = {"mean": "ReduceMean", "mul": "ReduceProd"}[str(level.merge)]
    return graph.add(op, [Y], output, axes=[1], keepdims=0), H


def _biases(cell: RecurrentWeights, dtype: Any) -> Any:
    """(2*G*H,): the input's, then the recurrent bias, which is zero where there is one."""
    b = blocks_from_ours(cell.b, "onnx", cell.kind).astype(dtype)
    return b.reshape(-1) if b.ndim == 2 else np.concatenate(two_biases(b))


def _peepholes(cell: RecurrentWeights) -> Any:
    if cell.peepholes is None:
        return np.zeros(3 * cell.hidden, cell.Wx.dtype)
    return reorder(cell.peepholes.reshape(-1), PEEPHOLES, ONNX_PEEPHOLES)


def _attributes(level: Level, where: str) -> dict[str, Any]:
    first = level.cells[0]
    direction = "bidirectional" if len(level.cells) == 2 else "reverse" if level.reverse else None
    attributes: dict[str, Any] = {"hidden_size": first.hidden, "direction": direction or "forward"}
    if first.kind == "gru":
        attributes["linear_before_reset"] = int(first.reset_after)
    forms = [onnx_form(a, where) for cell in level.cells for a in _activations(cell)]
    clips = {clip for _, clip in forms}
    if len(clips) > 1:
        raise ConversionError(f"{where}: activations of one level with different clipping")
    if (clip := clips.pop()) is not None:
        if first.kind == "lstm":
            raise ConversionError(
                f"{where}: an LSTM with ONNX's clip: what it bounds differs between runtimes (the "
                "cell state on its way into h, or the gates only), so such a node is not written"
            )
        attributes["clip"] = clip
    names = [name for (name, _, _), _ in forms]
    if names != list(DEFAULT_ACTIVATIONS[first.kind]) * len(level.cells):
        attributes["activations"] = names
        alphas = [alpha for (name, alpha, _), _ in forms if FORMS[name].alpha]
        betas = [beta for (name, _, beta), _ in forms if FORMS[name].beta]
        attributes |= {"activation_alpha": alphas} if alphas else {}
        attributes |= {"activation_beta": betas} if betas else {}
    return attributes


def _activations(cell: RecurrentWeights) -> list[Any]:
    if cell.kind == "rnn":
        return [cell.activation]
    inner = [cell.activation] * (2 if cell.kind == "lstm" else 1)
    return [cell.recurrent_activation, *inner]


def _require_operator(level: Level, where: str) -> None:
    first = level.cells[0]
    for cell in level.cells:
        if cell.Wp is not None:
            raise ConversionError(f"{where}: ONNX's LSTM has no projection")
        if cell.cell_clip is not None or cell.projection_clip is not None:
            raise ConversionError(
                f"{where}: ONNX's LSTM has no clipping of the cell state (its clip bounds what "
                "goes into the activations)"
            )
        if (cell.kind, cell.hidden, cell.reset_after) != (
            first.kind,
            first.hidden,
            first.reset_after,
        ):
            raise ConversionError(
                f"{where}: two directions of different kinds or sizes are no single ONNX node"
            )
    if len(level.cells) == 2 and level.merge is None:
        raise ConversionError(
            f"{where}: two directions that are not merged; give Bidirectional a merge"
        )
