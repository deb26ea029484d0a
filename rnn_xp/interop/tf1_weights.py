"""Weights of TensorFlow 1's cells, in and out: dictionaries by variable name.

Names are those of ``tf.compat.v1.nn.rnn_cell`` under ``dynamic_rnn`` (tf_keras,
``legacy_cells.py``), with or without ``:0`` at the end::

    rnn/basic_rnn_cell/{kernel, bias}          (D + H, H), (H,)
    rnn/basic_lstm_cell/{kernel, bias}         (D + H, 4H), (4H,)
    rnn/lstm_cell/{kernel, bias, w_i_diag, w_f_diag, w_o_diag, projection/kernel}
                                               (D + P, 4H), (4H,), (H,) each, (H, P)
    rnn/gru_cell/{gates, candidate}/{kernel, bias}
                                               (D + H, 2H), (2H,), (D + H, H), (H,)
    rnn/multi_rnn_cell/cell_k/<cell>/...       bidirectional_rnn/{fw, bw}/...

Rows of a kernel are the input, then h. The LSTM's gates are i, j, f, o, and its cell adds
``forget_bias`` to f at run time; ours has it in ``b``. `to_tf1` stores the number that `from_tf1`
(and TensorFlow) adds up to our ``b`` again, if there is one, else the nearest. There is one for
every ``b`` from 0.5 to 2**24 (float64: 2**53) with the default of 1; below 0.5 our ``b`` may have
digits that no number near ``b - 1`` has, and is rounded to what one of them has. Variables that
come in are rounded once: ``bias + 1`` cannot keep all digits of a small ``bias``. With
``forget_bias=0.0``, for cells made with it, everything goes to and fro unchanged.
"""

from collections.abc import Mapping
from typing import Any, Unpack

import numpy as np

from rnn_xp._typing import Array
from rnn_xp.cells import Activation
from rnn_xp.errors import ConversionError
from rnn_xp.interop.layouts import PEEPHOLES, blocks_from_ours, blocks_to_ours
from rnn_xp.interop.nets import directions_from_net, net_from_directions
from rnn_xp.interop.tf1_variables import (
    Variables,
    kind_of_variables,
    nets_of_variables,
    take,
)
from rnn_xp.interop.weights import (
    LayerOptions,
    RecurrentWeights,
    activation_name,
    expect_shape,
    float_arrays,
)

CELL_NAMES = {"rnn": "basic_rnn_cell", "lstm": "basic_lstm_cell", "gru": "gru_cell"}


def from_tf1(
    variables: Mapping[str, Array],
    *,
    scope: str = "",
    forget_bias: float = 1.0,
    kind: str | None = None,
    cell_clip: float | None = None,
    proj_clip: float | None = None,
    activation: str | Activation = "tanh",
    merge: str | None = None,
    **options: Unpack[LayerOptions],
) -> Any:
    """Make the layer of the variables of one ``dynamic_rnn`` or ``bidirectional_dynamic_rnn``.

    Parameters
    ----------
    variables : dict of array
        By name; see the top of this module.
    scope : str
        Take the variables below this scope only, such as ``"decoder/rnn"``.
    forget_bias : float
        That of the LSTM cells (TensorFlow's default is 1), added to the stored bias.
    kind : {"rnn", "lstm", "gru"}, optional
        Of cells whose scope has a name of its own.
    cell_clip, proj_clip : float, optional
        Arguments of the ``LSTMCell``.
    activation : str or Activation
        Of the cells.
    merge : {None, "concat", "sum", "mul", "mean"}
        For two directions; None returns both outputs, as TensorFlow does.
    **options
        ``backend``, ``dtype``, ``stateful``, ``time_major``: see
        `rnn_xp.interop.weights.LayerOptions`.

    Returns
    -------
    layer : TimeRNN, TimeLSTM, TimeGRU or TimeCell; Stack of several; Bidirectional

    Raises
    ------
    ConversionError
        If variables are missing, unknown, or of more than one net.
    ShapeError, DTypeError
    """
    where = "from_tf1"
    start = f"{scope.strip('/')}/" if scope.strip("/") else ""
    named = {
        name.removesuffix(":0")[len(start) :]: array
        for name, array in variables.items()
        if name.startswith(start)
    }
    arrays = float_arrays(named, where, options.get("dtype"))
    directions = []
    for cells in nets_of_variables(arrays, where):
        weights: list[RecurrentWeights] = []
        for name, own in cells:
            D = weights[-1].output_size if weights else None
            label = f"{where}: {start}{name}"
            found = kind or kind_of_variables(name, own, label)
            if found == "gru":
                weights.append(_gru(own, D, label, activation))
            else:
                limits = (cell_clip, proj_clip)
                weights.append(_one_kernel(found, own, D, label, activation, forget_bias, limits))
        directions.append(weights)
    return net_from_directions(directions, merge, **options)


def _gru(
    own: Variables, D: int | None, where: str, activation: str | Activation
) -> RecurrentWeights:
    names = ("gates/kernel", "gates/bias", "candidate/kernel", "candidate/bias")
    gates, gates_b, candidate, candidate_b = take(own, names, where)
    expect_shape(candidate, (None, None), f"{where}/candidate/kernel", "(D + H, H)")
    rows, H = candidate.shape
    _split_rows(rows, H, D, where)
    expect_shape(gates, (rows, 2 * H), f"{where}/gates/kernel", "(D + H, 2H)")
    expect_shape(gates_b, (2 * H,), f"{where}/gates/bias", "(2H,)")
    expect_shape(candidate_b, (H,), f"{where}/candidate/bias", "(H,)")
    kernel = np.concatenate([gates, candidate], axis=1)  # r, z, n: our order
    b = np.concatenate([gates_b, candidate_b])
    return RecurrentWeights("gru", kernel[:-H].copy(), kernel[-H:].copy(), b, activation=activation)


def _one_kernel(
    kind: str,
    own: Variables,
    D: int | None,
    where: str,
    activation: str | Activation,
    forget_bias: float,
    limits: tuple[float | None, float | None],
) -> RecurrentWeights:
    peephole_names = [f"w_{gate}_diag" for gate in PEEPHOLES]
    optional = [n for n in (*peephole_names, "projection/kernel") if kind == "lstm" and n in own]
    if any(name in own for name in peephole_names) and kind == "lstm":
        optional = [*peephole_names, *(n for n in optional if n.startswith("projection"))]
    kernel, b, *_ = take(own, ["kernel", "bias", *optional], where)
    G = 4 if kind == "lstm" else 1
    expect_shape(kernel, (None, None), f"{where}/kernel", f"(D + H, {G}H)")
    rows, width = kernel.shape
    H = width // G
    expect_shape(kernel, (None, G * H), f"{where}/kernel", f"(D + H, {G}H)")
    expect_shape(b, (width,), f"{where}/bias", f"({G}H,)")
    Wp = own.get("projection/kernel")
    if Wp is not None:
        expect_shape(Wp, (H, None), f"{where}/projection/kernel", "(H, P)")
    P = H if Wp is None else Wp.shape[1]
    _split_rows(rows, P, D, where)
    kernel, b = (blocks_to_ours(array, "tf1", kind) for array in (kernel, b))
    extras: dict[str, Any] = {}
    if kind == "lstm":
        b[H : 2 * H] += b.dtype.type(forget_bias)
        extras = {
            "Wp": Wp,
            "cell_clip": limits[0],
            "projection_clip": None if Wp is None else limits[1],
        }
        if peephole_names[0] in own:
            for name in peephole_names:
                expect_shape(own[name], (H,), f"{where}/{name}", "(H,)")
            extras["peepholes"] = np.stack([own[name] for name in peephole_names])
    return RecurrentWeights(
        kind, kernel[:-P].copy(), kernel[-P:].copy(), b, activation=activation, **extras
    )


def _split_rows(rows: int, P: int, D: int | None, where: str) -> None:
    if rows <= P or (D is not None and rows != D + P):
        inputs = "at least 1 input" if D is None else f"{D} inputs"
        raise ConversionError(
            f"{where}/kernel: {rows} rows are not {inputs} and {P} rows of h, as the columns say"
        )


def to_tf1(
    layer: Any, *, scope: str | None = None, forget_bias: float = 1.0, cell_name: str | None = None
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
        Of the LSTM cells that will get the variables; subtracted from the bias, see the top of
        this module for what that rounds.
    cell_name : str, optional
        Scope of a cell; default the one that TensorFlow gives it: ``basic_rnn_cell``,
        ``basic_lstm_cell`` (``lstm_cell`` with peepholes or projection), ``gru_cell``.

    Returns
    -------
    variables : dict of numpy.ndarray
        By name, without ``:0``. Clipping and activations are arguments of the cells, and
        not among them.

    Raises
    ------
    ConversionError
        If TensorFlow 1 has no such cell; the message says why.
    """
    where = "to_tf1"
    directions, _ = directions_from_net(layer, where)
    bidirectional = len(directions) == 2
    top = scope if scope is not None else "bidirectional_rnn" if bidirectional else "rnn"
    variables: dict[str, Any] = {}
    for cells, end in zip(directions, ("fw", "bw"), strict=False):
        for number, cell in enumerate(cells):
            own = cell_name or ("lstm_cell" if cell.is_extended else CELL_NAMES[cell.kind])
            folders = [top, end if bidirectional else ""]
            folders += [f"multi_rnn_cell/cell_{number}" if len(cells) > 1 else "", own]
            path = "/".join(filter(None, folders))
            for name, array in _cell_variables(cell, forget_bias, where).items():
                variables[f"{path}/{name}"] = array
    return variables


def _cell_variables(cell: RecurrentWeights, forget_bias: float, where: str) -> Variables:
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
    if cell.kind == "lstm":
        b[H : 2 * H] = _stored_bias(b[H : 2 * H], forget_bias)
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


def _stored_bias(b: Any, forget_bias: float) -> Any:
    """What adds up to `b` with `forget_bias`, where a number does; else what comes nearest."""
    added = b.dtype.type(forget_bias)
    nearest = b - added
    stored = nearest
    for end in (-np.inf, np.inf):
        # Half way between two sums the addition rounds to the even one, which may not be b.
        other = np.nextafter(nearest, b.dtype.type(end))
        stored = np.where((stored + added != b) & (other + added == b), other, stored)
    return stored
