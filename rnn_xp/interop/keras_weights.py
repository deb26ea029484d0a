"""Weights of Keras' recurrent layers as lists, the form of ``get_weights``.

A list holds, for each cell, ``kernel`` (D, G*H), ``recurrent_kernel`` (H, G*H) and, with
``use_bias``, ``bias``: (G*H,), or (2, 3H) for a GRU with ``reset_after=True`` (row 0 input,
row 1 recurrent). A `Bidirectional` lists its forward, then its backward layer. Files are
read in `rnn_xp.interop.keras_files`. Source: ``keras/src/layers/rnn`` of Keras 3; Keras 2
is the same.

Our layers return sequences always, have no ``go_backwards`` and put zeros, not the last
output, at masked steps; see the documentation for people who come from Keras.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Unpack

import numpy as np

from rnn_xp._typing import Array
from rnn_xp.cells import Activation
from rnn_xp.errors import ConversionError
from rnn_xp.interop.layouts import blocks_from_ours, blocks_to_ours
from rnn_xp.interop.nets import directions_from_net, net_from_directions
from rnn_xp.interop.weights import (
    LayerOptions,
    RecurrentWeights,
    expect_shape,
    float_arrays,
    kind_by_gates,
)

MERGES = {"concat": "concat", "sum": "sum", "mul": "mul", "ave": "mean", None: None}


@dataclass(frozen=True, slots=True)
class CellSettings:
    """What a list of weights does not tell about a cell; Keras' names and defaults."""

    use_bias: bool = True
    reset_after: bool = True
    activation: str | Activation = "tanh"
    recurrent_activation: str | Activation = "sigmoid"

    @property
    def array_count(self) -> int:
        """How many arrays a cell has."""
        return 3 if self.use_bias else 2


def from_keras(
    weights: Sequence[Array],
    *,
    bidirectional: bool = False,
    merge_mode: str | None = "concat",
    use_bias: bool = True,
    reset_after: bool = True,
    activation: str | Activation = "tanh",
    recurrent_activation: str | Activation = "sigmoid",
    **options: Unpack[LayerOptions],
) -> Any:
    """Make the layer of a list of weights.

    Parameters
    ----------
    weights : list of array
        What ``get_weights()`` of ``SimpleRNN``, ``LSTM``, ``GRU``, ``RNN`` of cells,
        ``Bidirectional`` of these, or of a cell, returns. The shapes tell the kind.
    bidirectional : bool
        Whether the first half of the list is a forward, the second a backward layer.
    merge_mode : {"concat", "sum", "mul", "ave", None}
        As in Keras.
    use_bias : bool
    reset_after : bool
        For a GRU without bias; the shape of a bias tells it.
    activation, recurrent_activation : str or Activation
        Names as in Keras.
    **options
        ``backend``, ``dtype``, ``stateful``, ``time_major``: see
        `rnn_xp.interop.weights.LayerOptions`.

    Returns
    -------
    layer : TimeRNN, TimeLSTM, TimeGRU or TimeCell; Stack of several; Bidirectional

    Raises
    ------
    ConversionError
        If the number of arrays is wrong, or `merge_mode` unknown.
    ShapeError, DTypeError
    """
    settings = CellSettings(use_bias, reset_after, activation, recurrent_activation)
    per_direction = len(weights) // (settings.array_count * (2 if bidirectional else 1))
    directions = [[settings] * per_direction] * (2 if bidirectional else 1)
    return layer_from_list(weights, directions, merge_mode, "from_keras", **options)


def layer_from_list(
    weights: Sequence[Array],
    settings: Sequence[Sequence[CellSettings]],
    merge_mode: str | None,
    where: str,
    **options: Unpack[LayerOptions],
) -> Any:
    """Make the layer of a list of weights from the settings of each cell, by direction."""
    if merge_mode not in MERGES:
        raise ConversionError(
            f"{where}: merge_mode = {merge_mode!r}, expected one of {', '.join(map(repr, MERGES))}"
        )
    expected = sum(cell.array_count for direction in settings for cell in direction)
    if len(weights) != expected or not expected:
        raise ConversionError(
            f"{where}: got {len(weights)} arrays, expected kernel, recurrent_kernel and bias for "
            "each cell and direction; without biases give use_bias=False"
        )
    named = {f"array {k}": array for k, array in enumerate(weights)}
    arrays = iter(float_arrays(named, where, options.get("dtype")).items())
    directions = []
    for direction in settings:
        cells: list[RecurrentWeights] = []
        for one in direction:
            D = cells[-1].output_size if cells else None
            cells.append(_cell([next(arrays) for _ in range(one.array_count)], one, D, where))
        directions.append(cells)
    return net_from_directions(directions, MERGES[merge_mode], **options)


def _cell(
    named: Sequence[tuple[str, Any]], settings: CellSettings, D: int | None, where: str
) -> RecurrentWeights:
    (kernel_name, kernel), (recurrent_name, recurrent) = named[:2]
    expect_shape(recurrent, (None, None), f"{where}: {recurrent_name}", "recurrent_kernel (H, G*H)")
    H, width = recurrent.shape
    spelled = "recurrent_kernel (H, G*H)"
    kind = kind_by_gates(width, H, f"{where}: {recurrent_name}", spelled)
    expect_shape(kernel, (D, width), f"{where}: {kernel_name}", "kernel (D, G*H)")
    if settings.use_bias:
        name, b = named[2]
        if kind != "gru" or b.ndim != 2:
            expect_shape(b, (width,), f"{where}: {name}", "bias (G*H,)")
        else:
            expect_shape(b, (2, width), f"{where}: {name}", "bias (2, 3H)")
    else:
        two_rows = kind == "gru" and settings.reset_after
        b = np.zeros((2, width) if two_rows else width, recurrent.dtype)
    Wx, Wh, b = (blocks_to_ours(array, "keras", kind) for array in (kernel, recurrent, b))
    return RecurrentWeights(
        kind,
        Wx,
        Wh,
        b,
        activation=settings.activation,
        recurrent_activation=settings.recurrent_activation,
    )


def to_keras(layer: Any, *, use_bias: bool = True) -> list[Any]:
    """List of weights for ``set_weights`` of the Keras layer that computes what `layer` does.

    Parameters
    ----------
    layer : layer or cell
        `TimeRNN`, `TimeLSTM`, `TimeGRU`, `TimeCell` of a cell without projection, peepholes
        and clipping, a `Stack` of these (``RNN([cells])``, or several Keras layers in
        order), or `Bidirectional` of any of these. Activations and the merge are not part
        of the list: they are arguments of the Keras layer, as is ``reset_after``.
    use_bias : bool
        False for a layer made with ``use_bias=False``: the bias must be zero.

    Returns
    -------
    weights : list of numpy.ndarray

    Raises
    ------
    ConversionError
        If Keras has no such layer; the message says why.
    """
    where = "to_keras"
    directions, _ = directions_from_net(layer, where)
    return [
        array
        for cells in directions
        for cell in cells
        for array in cell_arrays(cell, use_bias, where)
    ]


def cell_arrays(cell: RecurrentWeights, use_bias: bool, where: str) -> list[Any]:
    """The two or three arrays of one cell; raises as `to_keras` does."""
    if cell.is_extended:
        raise ConversionError(
            f"{where}: Keras has no LSTM with peepholes, projection or clipping of the cell state"
        )
    Wx, Wh, b = (blocks_from_ours(a, "keras", cell.kind) for a in (cell.Wx, cell.Wh, cell.b))
    if use_bias:
        return [Wx, Wh, b]
    if np.any(b):
        raise ConversionError(f"{where}: use_bias=False, but the bias of a layer is not zero")
    return [Wx, Wh]
