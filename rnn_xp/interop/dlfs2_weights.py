"""Weights of the book's layers ("Deep Learning from Scratch 2"), in and out.

Lists of arrays as its layers list their parameters (``common/time_layers.py``): ``Wx``
(D, G*H), ``Wh`` (H, G*H), ``b`` (G*H,) for each layer. LSTM gates are f, g, i, o. The GRU's
are z, r, h; it resets before the recurrent product, and its z is one minus ours:
``h' = (1 - z) h + z n``, so the weights of z change their sign. Whole models and ``.pkl``
files are in `rnn_xp.interop.dlfs2`.
"""

from collections.abc import Sequence
from typing import Any, Unpack

from rnn_xp._typing import Array
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


def from_dlfs2(
    params: Sequence[Array], *, bidirectional: bool = False, **options: Unpack[LayerOptions]
) -> Any:
    """Make the layer of the parameters of the book's layers.

    Parameters
    ----------
    params : list of array
        ``Wx, Wh, b`` of ``TimeRNN``, ``TimeLSTM`` or ``TimeGRU``, or of several one after
        the other. The shapes tell the kind.
    bidirectional : bool
        Whether the first half belongs to the forward, the second to the backward direction
        (``TimeBiLSTM``).
    **options
        ``backend``, ``dtype``, ``stateful``, ``time_major``: see
        `rnn_xp.interop.weights.LayerOptions`.

    Returns
    -------
    layer : TimeRNN, TimeLSTM or TimeGRU; Stack of several; Bidirectional

    Raises
    ------
    ConversionError, ShapeError, DTypeError
    """
    where = "from_dlfs2"
    count = 2 if bidirectional else 1
    if not params or len(params) % (3 * count):
        raise ConversionError(
            f"{where}: got {len(params)} arrays, expected Wx, Wh and b for each layer"
            + (" of both directions" if bidirectional else "")
        )
    named = {f"array {k}": array for k, array in enumerate(params)}
    arrays = list(float_arrays(named, where, options.get("dtype")).values())
    size = len(arrays) // count
    directions = [_cells(arrays[k * size : (k + 1) * size], where) for k in range(count)]
    return net_from_directions(directions, "concat", **options)


def _cells(arrays: Sequence[Any], where: str) -> list[RecurrentWeights]:
    cells: list[RecurrentWeights] = []
    for k in range(0, len(arrays), 3):
        Wx, Wh, b = arrays[k : k + 3]
        expect_shape(Wh, (None, None), f"{where}: Wh of layer {k // 3}", "(H, G*H)")
        H, width = Wh.shape
        kind = kind_by_gates(width, H, f"{where}: Wh of layer {k // 3}", "(H, G*H)")
        D = cells[-1].output_size if cells else None
        expect_shape(Wx, (D, width), f"{where}: Wx of layer {k // 3}", "(D, G*H)")
        expect_shape(b, (width,), f"{where}: b of layer {k // 3}", "(G*H,)")
        ours = [blocks_to_ours(array, "dlfs2", kind) for array in (Wx, Wh, b)]
        cells.append(RecurrentWeights(kind, *ours))
    return cells


def to_dlfs2(layer: Any) -> list[Any]:
    """Parameters of the book's layers that compute what `layer` does.

    Parameters
    ----------
    layer : layer or cell
        `TimeRNN`, `TimeLSTM`, `TimeGRU` that resets before the product, a `Stack` of these,
        or `Bidirectional` of two with ``merge="concat"``.

    Returns
    -------
    params : list of numpy.ndarray

    Raises
    ------
    ConversionError
        If the book has no such layer; the message says why.
    """
    where = "to_dlfs2"
    directions, merge = directions_from_net(layer, where)
    if merge != "concat":
        raise ConversionError(f"{where}: merge = {merge!r}, the book's TimeBiLSTM concatenates")
    cells = [cell for direction in directions for cell in direction]
    for cell in cells:
        if cell.reset_after:
            raise ConversionError(
                f"{where}: a GRU that resets after the recurrent product, b (2, 3H); the book's "
                "resets before it, which is another function and cannot be converted"
            )
        if cell.is_extended or not cell.has_standard_activations:
            raise ConversionError(
                f"{where}: the book's layers have tanh and sigmoid, no peepholes, projection or "
                "clipping"
            )
    return [
        blocks_from_ours(array, "dlfs2", cell.kind)
        for cell in cells
        for array in (cell.Wx, cell.Wh, cell.b)
    ]
