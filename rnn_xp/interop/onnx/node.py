"""One recurrent node: its attributes, and its weights as a `Level` of ours."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from rnn_xp.errors import ConversionError
from rnn_xp.interop.layouts import (
    ONNX_PEEPHOLES,
    OURS,
    PEEPHOLES,
    blocks_to_ours,
    matrix_to_ours,
    reorder,
)
from rnn_xp.interop.nets import Level
from rnn_xp.interop.onnx.activations import OnnxActivation, read_activations, simplest
from rnn_xp.interop.onnx.files import onnx_package
from rnn_xp.interop.weights import RecurrentWeights, expect_shape, float_arrays

KINDS = {"RNN": "rnn", "LSTM": "lstm", "GRU": "gru"}
DEFAULT_ACTIVATIONS = {
    "rnn": ("Tanh",),
    "lstm": ("Sigmoid", "Tanh", "Tanh"),  # f, g, h
    "gru": ("Sigmoid", "Tanh"),
}
DIRECTIONS = ("forward", "reverse", "bidirectional")
INPUTS = ("X", "W", "R", "B", "sequence_lens", "initial_h", "initial_c", "P")


@dataclass(frozen=True, slots=True)
class NodeSettings:
    """Attributes of an RNN, LSTM or GRU node.

    Attributes
    ----------
    kind : {"rnn", "lstm", "gru"}
    where : str
        The node's name, for messages.
    direction : {"forward", "reverse", "bidirectional"}
    activations : list of list of OnnxActivation
        For each direction, in ONNX's order.
    batch_first : bool
        ``layout = 1``.
    linear_before_reset, input_forget : bool
    hidden_size : int or None
    """

    kind: str
    where: str
    direction: str
    activations: list[list[OnnxActivation]]
    batch_first: bool
    linear_before_reset: bool
    input_forget: bool
    hidden_size: int | None

    @property
    def direction_count(self) -> int:
        """1 or 2."""
        return 2 if self.direction == "bidirectional" else 1


def node_name(node: Any) -> str:
    """Name of a node; many files leave it empty, then that of its first output."""
    return str(node.name or next((name for name in node.output if name), node.op_type))


def read_node(node: Any) -> NodeSettings:
    """Read the attributes of a node.

    Raises
    ------
    ConversionError
        If it is not a recurrent node, or an attribute has a value that is not defined.
    """
    onnx = onnx_package()
    helper = onnx.helper
    if not isinstance(node, onnx.NodeProto):
        raise TypeError(f"ONNX node: got a {type(node).__name__}, expected an onnx.NodeProto")
    where = f"ONNX node {node_name(node)!r}"
    if node.op_type not in KINDS or node.domain not in ("", "ai.onnx"):
        raise ConversionError(f"{where}: is a {node.op_type}, expected one of {', '.join(KINDS)}")
    kind = KINDS[node.op_type]
    given = {a.name: helper.get_attribute_value(a) for a in node.attribute}

    def text(value: Any) -> str:
        return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)

    direction = text(given.get("direction", "forward"))
    if direction not in DIRECTIONS:
        raise ConversionError(
            f"{where}: direction = {direction!r}, expected one of {', '.join(DIRECTIONS)}"
        )
    count = 2 if direction == "bidirectional" else 1
    per_direction = len(DEFAULT_ACTIVATIONS[kind])
    names = [text(name) for name in given.get("activations", DEFAULT_ACTIVATIONS[kind] * count)]
    if len(names) != per_direction * count:
        raise ConversionError(
            f"{where}: {len(names)} activations, expected {per_direction} for each of {count} "
            "directions"
        )
    clip = given.get("clip")
    if clip is not None and not clip > 0.0:
        raise ConversionError(f"{where}: clip = {clip}, expected a positive number")
    alphas, betas = given.get("activation_alpha", ()), given.get("activation_beta", ())
    functions = read_activations(names, alphas, betas, clip, where)
    return NodeSettings(
        kind=kind,
        where=where,
        direction=direction,
        activations=[functions[k : k + per_direction] for k in range(0, len(names), per_direction)],
        batch_first=bool(given.get("layout", 0)),
        linear_before_reset=bool(given.get("linear_before_reset", 0)),
        input_forget=bool(given.get("input_forget", 0)),
        hidden_size=given.get("hidden_size"),
    )


def level_from_node(
    settings: NodeSettings, arrays: dict[str, Any], dtype: str | None, merge: str | None
) -> Level:
    """Convert the weights of a node.

    Parameters
    ----------
    settings : NodeSettings
    arrays : dict of array
        ``W`` (directions, G*H, D), ``R`` (directions, G*H, H), and if the node has them
        ``B`` (directions, 2*G*H) and ``P`` (directions, 3*H).
    dtype : {"float32", "float64"} or None
        None keeps the arrays' own.
    merge : str or None
        For two directions; see `Bidirectional`.

    Raises
    ------
    ConversionError
        If a setting has no equal here.
    ShapeError, DTypeError
    """
    where, kind = settings.where, settings.kind
    host = float_arrays(arrays, where, dtype)
    count, G = settings.direction_count, len(OURS[kind])
    W, R = host["W"], host["R"]
    expect_shape(R, (count, None, None), f"{where}: R", "(directions, G*H, H)")
    H = R.shape[2]
    expect_shape(R, (count, G * H, H), f"{where}: R", f"(directions, {G}H, H)")
    expect_shape(W, (count, G * H, None), f"{where}: W", f"(directions, {G}H, D)")
    if settings.hidden_size not in (None, H):
        raise ConversionError(
            f"{where}: hidden_size = {settings.hidden_size}, but R is for H = {H}"
        )
    B, P = host.get("B"), host.get("P")
    if B is not None:
        expect_shape(B, (count, 2 * G * H), f"{where}: B", f"(directions, {2 * G}H)")
    if P is not None:
        expect_shape(P, (count, 3 * H), f"{where}: P", "(directions, 3H)")
    cells = []
    for k in range(count):
        b = np.zeros((2, G * H), W.dtype) if B is None else B[k].reshape(2, G * H)
        if not (kind == "gru" and settings.linear_before_reset):
            b = b[0] + b[1]
        cell = RecurrentWeights(
            kind,
            matrix_to_ours(W[k], "onnx", kind),
            matrix_to_ours(R[k], "onnx", kind),
            blocks_to_ours(b, "onnx", kind),
            peepholes=None if P is None else _peepholes(P[k]),
            **_activations(settings, k),
        )
        cells.append(_coupled(cell, settings, k) if settings.input_forget else cell)
    return Level(tuple(cells), merge, reverse=settings.direction == "reverse")


def _peepholes(P: Any) -> Any:
    return reorder(P, ONNX_PEEPHOLES, PEEPHOLES).reshape(3, -1)


def _activations(settings: NodeSettings, direction: int) -> dict[str, Any]:
    functions = settings.activations[direction]
    if settings.kind == "rnn":
        return {"activation": simplest(functions[0])}
    gate, activation = functions[:2]
    if settings.kind == "lstm" and functions[2].name != activation.name:
        raise ConversionError(
            f"{settings.where}: the LSTM's candidate has the activation {activation.name}, its "
            f"cell state {functions[2].name}; an LSTM here has one for both"
        )
    return {"activation": simplest(activation), "recurrent_activation": simplest(gate)}


def _coupled(cell: RecurrentWeights, settings: NodeSettings, direction: int) -> RecurrentWeights:
    """The same cell with f = 1 - i, written as weights: 1 - sigmoid(a) = sigmoid(-a)."""
    if settings.kind != "lstm":
        return cell
    if not settings.activations[direction][0].is_symmetric_gate:
        raise ConversionError(
            f"{settings.where}: input_forget (f = 1 - i) can be written as weights only where "
            f"1 - f(x) = f(-x), but the gates have {settings.activations[direction][0].name}"
        )
    H = cell.hidden

    def coupled(array: Any) -> Any:
        array = array.copy()
        array[..., H : 2 * H] = -array[..., :H]
        return array

    peepholes = None if cell.peepholes is None else cell.peepholes.copy()
    if peepholes is not None:
        peepholes[1] = -peepholes[0]
    return RecurrentWeights(
        cell.kind,
        coupled(cell.Wx),
        coupled(cell.Wh),
        coupled(cell.b),
        peepholes=peepholes,
        activation=cell.activation,
        recurrent_activation=cell.recurrent_activation,
    )
