"""The common ground of all formats: one recurrent cell's weights on the host, in our layout.

Every format converts between its own names and a `RecurrentWeights`; this module turns one
into a layer and back. So each rule about layers is written once.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypedDict

import numpy as np

from rnn_xp.backend import Backend, get_backend, to_host
from rnn_xp.cells import Activation, GRUCell, LSTMCell, RNNCell
from rnn_xp.cells.dropout import DropoutCell
from rnn_xp.cells.lstmp import LSTMPCell
from rnn_xp.errors import ConversionError, DTypeError, ShapeError
from rnn_xp.interop.layouts import OURS
from rnn_xp.layers import GRU, LSTM, RNN, Layer, TimeCell, TimeGRU, TimeLSTM, TimeRNN


class LayerOptions(TypedDict, total=False):
    """Keyword arguments of every function that makes a layer from weights.

    ``backend``: where its arrays go (default: what ``RNN_BACKEND`` names). ``dtype``:
    "float32" or "float64" (default: that of the weights, which must be one of the two).
    ``stateful``, ``time_major``: as in `rnn_xp.layers.TimeRNN`, default False.
    """

    backend: str | Backend | None
    dtype: str | None
    stateful: bool
    time_major: bool


@dataclass(frozen=True, slots=True)
class RecurrentWeights:
    """Weights and settings of one recurrent cell: NumPy arrays in our layout.

    Attributes
    ----------
    kind : {"rnn", "lstm", "gru"}
    Wx : numpy.ndarray, shape (D, G*H)
    Wh : numpy.ndarray, shape (P, G*H)
        P = H without a projection.
    b : numpy.ndarray, shape (G*H,), or (2, 3H) for a GRU that resets after the product
    peepholes : numpy.ndarray, shape (3, H), or None
        Rows i, f, o; LSTM only.
    Wp : numpy.ndarray, shape (H, P), or None
        Projection; LSTM only.
    cell_clip, projection_clip : float or None
        LSTM only.
    activation, recurrent_activation : str or Activation
        Of the candidate (and of an LSTM's cell state), and of the gates.
    """

    kind: str
    Wx: Any
    Wh: Any
    b: Any
    peepholes: Any = None
    Wp: Any = None
    cell_clip: float | None = None
    projection_clip: float | None = None
    activation: str | Activation = "tanh"
    recurrent_activation: str | Activation = "sigmoid"

    @property
    def hidden(self) -> int:
        """H."""
        return int(self.Wh.shape[1] // len(OURS[self.kind]))

    @property
    def output_size(self) -> int:
        """P: H, or the width of the projection."""
        return int(self.Wh.shape[0])

    @property
    def reset_after(self) -> bool:
        """Whether this is a GRU whose reset gate acts after the recurrent product."""
        return self.kind == "gru" and self.b.ndim == 2

    @property
    def has_standard_activations(self) -> bool:
        """Whether the activations are tanh and sigmoid."""
        if activation_name(self.activation) != "tanh":
            return False
        return self.kind == "rnn" or activation_name(self.recurrent_activation) == "sigmoid"

    @property
    def is_extended(self) -> bool:
        """Whether it has what only `rnn_xp.cells.LSTMPCell` has."""
        extras = (self.peepholes, self.Wp, self.cell_clip, self.projection_clip)
        return any(extra is not None for extra in extras)


def activation_name(activation: Any) -> str:
    """Name of an activation that may be given by name."""
    return activation if isinstance(activation, str) else str(activation.name)


def layer_from_weights(
    weights: RecurrentWeights,
    *,
    backend: str | Backend | None = None,
    dtype: str | None = None,
    stateful: bool = False,
    time_major: bool = False,
) -> Any:
    """The layer that computes with these weights.

    `TimeRNN`, `TimeLSTM` or `TimeGRU` where one of them does, so that its fast kernels are
    used; otherwise `TimeCell` with the cell that has the options.
    """
    cell = cell_from_weights(weights, backend=backend, dtype=dtype)
    if weights.has_standard_activations and not weights.is_extended:
        kind: Any = {"rnn": TimeRNN, "lstm": TimeLSTM, "gru": TimeGRU}[weights.kind]
        return kind(*cell.params, stateful, time_major=time_major)
    return TimeCell(cell, stateful, time_major=time_major)


def cell_from_weights(
    weights: RecurrentWeights, *, backend: str | Backend | None = None, dtype: str | None = None
) -> Any:
    """The cell that computes with these weights."""
    target = get_backend(backend)
    dtype = str(weights.Wx.dtype) if dtype is None else dtype

    def put(array: Any) -> Any:
        return None if array is None else target.asarray(array, dtype)

    arrays = [put(weights.Wx), put(weights.Wh), put(weights.b)]
    if weights.kind == "rnn":
        return RNNCell(*arrays, activation=weights.activation)
    activations: dict[str, Any] = {
        "activation": weights.activation,
        "recurrent_activation": weights.recurrent_activation,
    }
    if weights.kind == "gru":
        return GRUCell(*arrays, **activations)
    if not weights.is_extended:
        return LSTMCell(*arrays, **activations)
    return LSTMPCell(
        *arrays,
        peepholes=put(weights.peepholes),
        Wp=put(weights.Wp),
        cell_clip=weights.cell_clip,
        projection_clip=weights.projection_clip,
        **activations,
    )


def weights_from_layer(layer: Any, where: str) -> RecurrentWeights:
    """Copy the weights of a recurrent layer, or of a cell, to the host.

    Parameters
    ----------
    layer : layer or cell
        `TimeRNN`, `TimeLSTM`, `TimeGRU`, the book's one-step `RNN`, `LSTM`, `GRU`, a cell
        of this package, or `TimeCell` of one. A `DropoutCell`, which only trains, is looked
        through; other wrappers are not.
    where : str
        For messages.

    Raises
    ------
    ConversionError
        If it is anything else: a wrapper or a user's own cell changes the step.
    """
    cell: Any = layer.cell if type(layer) is TimeCell else layer
    while type(cell) is DropoutCell:  # the cell inside, except in training
        cell = cell.cell
    kinds: dict[type, str] = {
        **{TimeRNN: "rnn", RNN: "rnn", RNNCell: "rnn"},
        **{TimeLSTM: "lstm", LSTM: "lstm", LSTMCell: "lstm", LSTMPCell: "lstm"},
        **{TimeGRU: "gru", GRU: "gru", GRUCell: "gru"},
    }
    kind = kinds.get(type(cell))
    if kind is None:
        inside = f" of {type(cell).__name__}" if cell is not layer else ""
        raise ConversionError(
            f"{where}: {type(layer).__name__}{inside} has no equal there; expected RNN, LSTM or "
            "GRU layers of this package without wrappers that change the step"
        )
    params = [np.array(to_host(p)) for p in cell.params]
    settings: dict[str, Any] = {}
    if not isinstance(cell, Layer):
        settings["activation"] = cell.activation
        if kind != "rnn":
            settings["recurrent_activation"] = cell.recurrent_activation
    if isinstance(cell, LSTMPCell):
        extra = iter(params[3:])
        settings["peepholes"] = next(extra) if cell.peepholes is not None else None
        settings["Wp"] = next(extra) if cell.Wp is not None else None
        settings["cell_clip"] = cell.cell_clip
        settings["projection_clip"] = cell.projection_clip
    return RecurrentWeights(kind, params[0], params[1], params[2], **settings)


def float_arrays(arrays: Mapping[str, Any], where: str, dtype: str | None) -> dict[str, Any]:
    """Host copies of `arrays` of one floating dtype.

    Parameters
    ----------
    arrays : dict of array
        Of any backend.
    where : str
        For messages.
    dtype : {"float32", "float64"} or None
        None keeps the arrays' own.

    Raises
    ------
    DTypeError
        If they are not floating-point, or `dtype` is None and they are not all float32 or
        all float64.
    """
    if dtype not in (None, "float32", "float64"):
        raise DTypeError(f"{where}: dtype = {dtype!r}, expected 'float32' or 'float64'")
    host = {name: _on_host(array, name, where) for name, array in arrays.items()}
    kinds = sorted({str(a.dtype) for a in host.values()})
    if any(a.dtype.kind != "f" for a in host.values()):
        raise DTypeError(f"{where}: weights of {', '.join(kinds)}, expected floating-point arrays")
    if host and dtype is None and (len(kinds) != 1 or kinds[0] not in ("float32", "float64")):
        raise DTypeError(
            f"{where}: weights of {', '.join(kinds)}, expected all float32 or all float64; "
            "give dtype='float32' or 'float64' to convert them"
        )
    return {name: a.astype(dtype or a.dtype, copy=False) for name, a in host.items()}


def require_mapping(arrays: Any, where: str, spelled: str) -> None:
    """Raise `TypeError` unless `arrays` is a mapping; `spelled` says which one."""
    if not isinstance(arrays, Mapping):
        raise TypeError(f"{where} is a {type(arrays).__name__}, expected {spelled}")


def _on_host(array: Any, name: str, where: str) -> Any:
    try:
        return to_host(array)
    except (TypeError, AttributeError, BufferError) as error:
        raise DTypeError(
            f"{where}: {name} is a {type(array).__name__} that NumPy cannot read ({error})"
        ) from error


def expect_shape(array: Any, shape: tuple[int | None, ...], where: str, spelled: str) -> None:
    """Raise `ShapeError` unless `array` has `shape`, where None stands for any length."""
    given = tuple(array.shape)
    fits = len(given) == len(shape) and all(
        e is None or g == e for g, e in zip(given, shape, strict=True)
    )
    if not fits or 0 in given:
        expected = ", ".join("any" if e is None else str(e) for e in shape)
        raise ShapeError(f"{where} has shape {given}, expected {spelled} = ({expected})")


def expect_alike(like: Mapping[str, Any], own: Mapping[str, Any], where: str) -> None:
    """Raise unless `like` has the names and shapes of `own`, which the layer would write.

    Raises
    ------
    ConversionError
    """
    for name in sorted({*like, *own}):
        theirs, ours = (
            f"has {name} {tuple(arrays[name].shape)}" if name in arrays else f"has no {name}"
            for arrays in (like, own)
        )
        if theirs != ours:
            raise ConversionError(f"{where}: like {theirs}, the layer {ours}")


def kind_by_gates(width: int, hidden: int, where: str, spelled: str) -> str:
    """The kind of cell whose recurrent matrix has `width` = G*H columns for `hidden` = H."""
    for kind, gates in OURS.items():
        if width == len(gates) * hidden:
            return kind
    raise ShapeError(
        f"{where}: {width} by {hidden} is no recurrent matrix: expected {spelled} with G = 1 "
        "(RNN), 3 (GRU) or 4 (LSTM)"
    )
