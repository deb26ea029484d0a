"""Weights of TensorFlow 1's cells, by variable name; `rnn_xp.interop.tf1_export` is the way back.

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
``forget_bias`` to f at run time; ours has the sum in ``b``. So `to_tf1` has to find the number
that `from_tf1` (and TensorFlow) adds up to our ``b`` again. There is one for every ``b`` from
0.5 to 2**24 (float64: 2**53) with the default of 1; below 0.5 our ``b`` may have digits that no
number near ``b - 1`` has, and such a layer is refused: ``forget_bias=0.0``, for cells made with
it, is always exact, and ``allow_rounding=True`` takes the nearest numbers. Of TensorFlow's own
variables ``bias + 1`` does not keep all digits either: with ``like``, the variables that came in,
they come back as they were wherever our ``b`` is still their sum.
"""

from collections.abc import Mapping
from typing import Any, Unpack

import numpy as np

from rnn_xp._typing import Array
from rnn_xp.cells import Activation
from rnn_xp.errors import ConversionError
from rnn_xp.interop.layouts import KINDS, PEEPHOLES, blocks_to_ours
from rnn_xp.interop.nets import net_from_directions
from rnn_xp.interop.tf1_variables import (
    Variables,
    kind_of_variables,
    names_below,
    nets_of_variables,
    take,
)
from rnn_xp.interop.weights import (
    LayerOptions,
    RecurrentWeights,
    expect_shape,
    float_arrays,
)
from rnn_xp.layers.bidirectional import check_merge


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
    ValueError
        If `merge` is another.
    """
    where = "from_tf1"
    if kind not in (None, *KINDS):
        raise ConversionError(f"{where}: kind = {kind!r}, expected one of {', '.join(KINDS)}")
    check_merge(merge, where)
    names = names_below(variables, scope, f"{where}: variables")
    named = {name: variables[full] for name, full in names.items()}
    arrays = float_arrays(named, where, options.get("dtype"))
    start = f"{scope.strip('/')}/" if scope.strip("/") else ""
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
        if forget_bias:  # adding 0 would lose the sign of a zero
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
