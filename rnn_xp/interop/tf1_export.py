"""Variables of TensorFlow 1's cells from our layers; see `rnn_xp.interop.tf1_weights`."""

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

import numpy as np

from rnn_xp._typing import Array
from rnn_xp.errors import ConversionError
from rnn_xp.interop.layouts import LAYOUTS, PEEPHOLES, blocks_from_ours
from rnn_xp.interop.nets import directions_from_net
from rnn_xp.interop.sums import addend, adds_up
from rnn_xp.interop.tf1_variables import Variables, names_below, nets_of_variables
from rnn_xp.interop.weights import RecurrentWeights, activation_name, expect_alike, float_arrays

CELL_NAMES = {"rnn": "basic_rnn_cell", "lstm": "basic_lstm_cell", "gru": "gru_cell"}


def to_tf1(
    layer: Any,
    *,
    scope: str | None = None,
    forget_bias: float = 1.0,
    cell_name: str | None = None,
    like: Mapping[str, Array] | None = None,
    allow_rounding: bool = False,
) -> dict[str, Any]:
    """Variables of the TensorFlow 1 cells that compute what `layer` does.

    Parameters
    ----------
    layer : layer or cell
        `TimeRNN`, `TimeLSTM`, `TimeGRU` that resets before the product, `TimeCell` of an
        `LSTMPCell`, a `Stack` of these (``MultiRNNCell``), or `Bidirectional`.
    scope : str, optional
        Default ``"rnn"``, for two directions ``"bidirectional_rnn"``, as in TensorFlow.
    forget_bias : float
        Of the LSTM cells that will get the variables: these add it to the stored bias.
    cell_name : str, optional
        Scope of a cell; default the one that TensorFlow gives it: ``basic_rnn_cell``,
        ``basic_lstm_cell`` (``lstm_cell`` with peepholes or projection), ``gru_cell``.
    like : dict of array, optional
        The variables that the layer came from (with the same `forget_bias`), or goes back
        to. Their names are taken, of those below `scope` if it is given, and every stored
        forget bias that still adds up to ours is given back bit for bit. `like` is
        converted to the layer's dtype first, as `from_tf1` does.
    allow_rounding : bool
        Whether a forget bias that no number adds up to is stored as the nearest number.

    Returns
    -------
    variables : dict of numpy.ndarray
        By name, without ``:0`` unless `like` has it; `from_tf1` makes the same weights of
        them bit for bit, roundings apart. Clipping and activations are arguments of the
        cells, and not among them.

    Raises
    ------
    ConversionError
        If TensorFlow 1 has no such cell; if a forget bias would be rounded; if `like` is
        of another net. The message says why.
    ShapeError
        If `like` has a variable of another shape.
    """
    where = "to_tf1"
    directions, _ = directions_from_net(layer, where)
    if like is None:
        cells = _default_scopes(directions, scope, cell_name)
        names = None
    else:
        if cell_name is not None:
            raise ConversionError(
                f"{where}: cell_name = {cell_name!r} and like, which has its own names; give one"
            )
        names = names_below(like, scope or "", f"{where}: like")
        arrays = {name: like[full] for name, full in names.items()}
        arrays = float_arrays(arrays, f"{where}: like", str(directions[0][0].Wx.dtype))
        cells = nets_of_variables(arrays, f"{where}: like")
    if [len(net) for net in cells] != [len(net) for net in directions]:
        raise ConversionError(
            f"{where}: like has {_counted(cells)}, the layer has {_counted(directions)}"
        )
    variables: dict[str, Any] = {}
    for weights, (path, theirs) in zip(chain(*directions), chain(*cells), strict=True):
        own = _cell_variables(weights, where)
        label = f"{where}: {path}"
        if like is not None:
            expect_alike(theirs, own, label)
        if weights.kind == "lstm" and forget_bias:
            own["bias"] = _stored(
                own["bias"], forget_bias, theirs.get("bias"), allow_rounding, label
            )
        variables |= {f"{path}/{name}".lstrip("/"): array for name, array in own.items()}
    return variables if names is None else {full: variables[n] for n, full in names.items()}


def _default_scopes(
    directions: list[list[RecurrentWeights]], scope: str | None, cell_name: str | None
) -> list[list[tuple[str, Variables]]]:
    """Scopes of the cells as TensorFlow names them, and none of their variables."""
    two = len(directions) == 2
    top = scope if scope is not None else "bidirectional_rnn" if two else "rnn"
    found: list[list[tuple[str, Variables]]] = []
    for cells, end in zip(directions, ("fw", "bw"), strict=False):
        found.append([])
        for number, cell in enumerate(cells):
            own = cell_name or ("lstm_cell" if cell.is_extended else CELL_NAMES[cell.kind])
            folders = [top, end if two else ""]
            folders += [f"multi_rnn_cell/cell_{number}" if len(cells) > 1 else "", own]
            found[-1].append(("/".join(filter(None, folders)), {}))
    return found


def _counted(nets: Sequence[Sequence[Any]]) -> str:
    return " and ".join(str(len(net)) for net in nets) + " cells"


def _cell_variables(cell: RecurrentWeights, where: str) -> Variables:
    """Variables of a cell, the forget bias still inside its bias."""
    kernel, b, H = np.concatenate([cell.Wx, cell.Wh]), cell.b.copy(), cell.hidden
    if cell.kind != "rnn" and activation_name(cell.recurrent_activation) != "sigmoid":
        raise ConversionError(f"{where}: the gates of TensorFlow 1's cells are sigmoids")
    if cell.reset_after:
        raise ConversionError(
            f"{where}: a GRU that resets after the recurrent product, b (2, 3H); GRUCell resets "
            "before it, which is another function and cannot be converted"
        )
    if cell.kind == "gru":
        return {
            "gates/kernel": np.ascontiguousarray(kernel[:, : 2 * H]),
            "gates/bias": b[: 2 * H],
            "candidate/kernel": np.ascontiguousarray(kernel[:, 2 * H :]),
            "candidate/bias": b[2 * H :],
        }
    variables = {
        "kernel": blocks_from_ours(kernel, "tf1", cell.kind),
        "bias": blocks_from_ours(b, "tf1", cell.kind),
    }
    if cell.peepholes is not None:
        rows = zip(PEEPHOLES, cell.peepholes, strict=True)
        variables.update({f"w_{gate}_diag": row.copy() for gate, row in rows})
    if cell.Wp is not None:
        variables["projection/kernel"] = cell.Wp
    return variables


def _stored(b: Any, forget_bias: float, like: Any, allow_rounding: bool, where: str) -> Any:
    """The bias of an LSTM cell without what the cell itself adds to its forget gate."""
    gates = LAYOUTS["tf1"]["lstm"].gates
    H = len(b) // len(gates)
    block = slice(gates.index("f") * H, (gates.index("f") + 1) * H)
    added = b.dtype.type(forget_bias)
    stored, found = addend(b[block], added)
    if like is not None:
        kept = adds_up(like[block], added, b[block])
        stored, found = np.where(kept, like[block], stored), found | kept
    if not (allow_rounding or np.all(found)):
        first = b[block][~found][0]
        raise ConversionError(
            f"{where}: no {b.dtype} adds up with forget_bias = {forget_bias:g} to {np.sum(~found)} "
            f"of {H} forget biases (the first: {first}); forget_bias=0.0, for cells made with it, "
            "is exact, allow_rounding=True takes the nearest numbers"
        )
    b = b.copy()
    b[block] = stored
    return b
