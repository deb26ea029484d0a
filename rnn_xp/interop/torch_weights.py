"""Weights of PyTorch's ``nn.RNN``, ``nn.LSTM`` and ``nn.GRU``, in and out.

A state dict is a dictionary of arrays; torch itself is not imported. Names are those of
``torch/nn/modules/rnn.py``: for layer k, with the suffix ``_reverse`` for the backward
direction,

    ``weight_ih_lk`` (G*H, D), ``weight_hh_lk`` (G*H, P), ``bias_ih_lk`` and ``bias_hh_lk``
    (G*H,), and for an LSTM with ``proj_size`` ``weight_hr_lk`` (P, H).

Two biases and one: ours is ``b = bias_ih + bias_hh``, except for a GRU, which keeps both
rows because its reset gate acts between them. The way back is ``bias_ih = b`` and
``bias_hh = 0``, so weights of this package come back unchanged, bit for bit. So do torch's,
if `to_torch` gets the state dict that they came in as its argument ``like``; without it its
two biases come back as another pair with the same sum.
"""

import re
from collections.abc import Mapping
from typing import Any, Unpack

import numpy as np

from rnn_xp._typing import Array
from rnn_xp.errors import ConversionError
from rnn_xp.interop.layouts import (
    OURS,
    blocks_from_ours,
    blocks_to_ours,
    matrix_from_ours,
    matrix_to_ours,
)
from rnn_xp.interop.nets import Level, levels_from_net, net_from_levels
from rnn_xp.interop.sums import two_biases
from rnn_xp.interop.weights import (
    LayerOptions,
    RecurrentWeights,
    activation_name,
    expect_alike,
    expect_shape,
    float_arrays,
    kind_by_gates,
    require_mapping,
)

NAME = re.compile(r"(weight_ih|weight_hh|weight_hr|bias_ih|bias_hh)_l(\d+)(_reverse)?")
CELL_NAMES = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
NONLINEARITIES = ("tanh", "relu")
STATE_DICT = "a mapping of names to arrays, as module.state_dict() gives"


def from_torch(
    state_dict: Mapping[str, Array],
    *,
    prefix: str = "",
    nonlinearity: str = "tanh",
    **options: Unpack[LayerOptions],
) -> Any:
    """Make the layer that a module's state dict describes.

    Parameters
    ----------
    state_dict : dict of array
        Of ``nn.RNN``, ``nn.LSTM``, ``nn.GRU`` (any number of layers, both directions, with
        or without bias, with ``proj_size``) or of the ``...Cell`` modules. Torch tensors
        or arrays of any backend; the shapes tell the kind.
    prefix : str
        Such as ``"rnn."``, if the module is part of a larger one; other names are ignored
        then.
    nonlinearity : {"tanh", "relu"}
        Of ``nn.RNN``, whose state dict does not tell it.
    **options
        ``backend``, ``dtype``, ``stateful``, ``time_major``: see
        `rnn_xp.interop.weights.LayerOptions`.

    Returns
    -------
    layer : TimeRNN, TimeLSTM, TimeGRU or TimeCell; Bidirectional of two; Stack of several
        Without dropout between the layers, which a state dict does not tell.

    Raises
    ------
    ConversionError
        If a name is missing or unknown.
    ShapeError, DTypeError
    """
    where = "from_torch"
    if nonlinearity not in NONLINEARITIES:
        raise ConversionError(
            f"{where}: nonlinearity = {nonlinearity!r}, expected one of {', '.join(NONLINEARITIES)}"
        )
    require_mapping(state_dict, f"{where}: state_dict", STATE_DICT)
    arrays = {name: state_dict[full] for name, full in _names(state_dict, prefix).items()}
    unknown = sorted(name for name in arrays if NAME.fullmatch(name) is None)
    if unknown or not arrays:
        found = ", ".join(unknown[:5]) if unknown else f"no name that starts with {prefix!r}"
        raise ConversionError(
            f"{where}: found {found}, expected names such as weight_ih_l0; give prefix= for a "
            "module inside another"
        )
    arrays = float_arrays(arrays, where, options.get("dtype"))
    matches = [NAME.fullmatch(name) for name in arrays]
    count = 1 + max(int(match[2]) for match in matches if match)
    suffixes = ("", "_reverse") if any(match[3] for match in matches if match) else ("",)
    levels: list[Level] = []
    for number in range(count):
        D = levels[-1].output_size if levels else None
        cells = [
            _cell(arrays, f"_l{number}{suffix}", D, nonlinearity, where) for suffix in suffixes
        ]
        levels.append(Level(tuple(cells)))
    _require_one_module(levels, where)
    return net_from_levels(levels, **options)


def _names(state_dict: Mapping[str, Any], prefix: str) -> dict[str, str]:
    """Names of a module's parameters, and those that they have in the state dict.

    A ``...Cell`` module is named as layer 0 of a module.
    """
    names = {name[len(prefix) :]: name for name in state_dict if name.startswith(prefix)}
    if names and set(names) <= set(CELL_NAMES):
        return {f"{name}_l0": full for name, full in names.items()}
    return names


def _cell(
    arrays: Mapping[str, Any], suffix: str, D: int | None, nonlinearity: str, where: str
) -> RecurrentWeights:
    def get(name: str) -> Any:
        if name + suffix not in arrays:
            raise ConversionError(f"{where}: {name}{suffix} is missing")
        return arrays[name + suffix]

    W_ih, W_hh = get("weight_ih"), get("weight_hh")
    Wp = arrays.get(f"weight_hr{suffix}")
    expect_shape(W_hh, (None, None), f"{where}: weight_hh{suffix}", "(G*H, H)")
    if Wp is not None:
        expect_shape(Wp, (W_hh.shape[1], None), f"{where}: weight_hr{suffix}", "(P, H)")
    H = W_hh.shape[1] if Wp is None else Wp.shape[1]
    kind = kind_by_gates(W_hh.shape[0], H, f"{where}: weight_hh{suffix}", "(G*H, H)")
    if Wp is not None and kind != "lstm":
        raise ConversionError(f"{where}: weight_hr{suffix} belongs to an LSTM, found a {kind}")
    rows = W_hh.shape[0]
    expect_shape(W_ih, (rows, D), f"{where}: weight_ih{suffix}", "(G*H, D)")
    bias_names = [name + suffix for name in ("bias_ih", "bias_hh")]
    if any(name in arrays for name in bias_names):
        biases = [get("bias_ih"), get("bias_hh")]
        for name, bias in zip(bias_names, biases, strict=True):
            expect_shape(bias, (rows,), f"{where}: {name}", "(G*H,)")
    else:
        biases = [np.zeros(rows, W_hh.dtype)] * 2
    b = np.stack(biases) if kind == "gru" else biases[0] + biases[1]
    return RecurrentWeights(
        kind,
        matrix_to_ours(W_ih, "torch", kind),
        matrix_to_ours(W_hh, "torch", kind),
        blocks_to_ours(b, "torch", kind),
        Wp=None if Wp is None else np.ascontiguousarray(Wp.T),
        activation=nonlinearity if kind == "rnn" else "tanh",
    )


def to_torch(
    layer: Any,
    *,
    prefix: str = "",
    bias: bool | None = None,
    like: Mapping[str, Array] | None = None,
) -> dict[str, Any]:
    """State dict of the torch module that computes what `layer` does.

    Parameters
    ----------
    layer : layer or cell
        `TimeRNN`, `TimeLSTM`, `TimeGRU` (reset after), `TimeCell` of an `RNNCell` with
        relu or of an `LSTMPCell` with a projection, `Bidirectional` with
        ``merge="concat"``, or a `Stack` of such layers of one kind and one hidden size.
        Dropout layers, which have no weights, are left out.
    prefix : str
        Put before every name; with `like`, as in `from_torch`.
    bias : bool, optional
        False for a module made with ``bias=False``: the layer's bias must be zero. Default:
        as in `like`; without it True.
    like : dict of array, optional
        The state dict that the layer came from, or goes back to. Its names are taken. Where
        its two biases still add up to ours they are given back bit for bit; where ours has
        changed, ``bias_hh`` is kept if some ``bias_ih`` adds up to ours with it, and is
        zero (with ``bias_ih = b``) otherwise. `like` is converted to the layer's dtype
        first, as `from_torch` does.

    Returns
    -------
    state_dict : dict of numpy.ndarray
        In torch's order, or that of `like`, and the layer's dtype; `from_torch` makes the
        same weights of it bit for bit. For ``load_state_dict``, make tensors of
        them: ``{name: torch.from_numpy(a) for name, a in state_dict.items()}``.

    Raises
    ------
    ConversionError
        If torch has no such module, or `like` is of another one; the message says why.
    """
    where = "to_torch"
    levels = levels_from_net(layer, where)
    _require_one_module(levels, where)
    if like is not None:
        require_mapping(like, f"{where}: like", STATE_DICT)
    names = None if like is None else _names(like, prefix)
    if names == {}:
        raise ConversionError(f"{where}: like has no name that starts with {prefix!r}")
    if bias is None:
        bias = names is None or any("bias" in name for name in names)
    arrays: dict[str, Any] = {}
    for number, level in enumerate(levels):
        for cell, direction in zip(level.cells, ("", "_reverse"), strict=False):
            suffix = f"_l{number}{direction}"
            for name, array in _cell_arrays(cell, bias, where).items():
                arrays[name + suffix] = array
    if like is None or names is None:
        return {prefix + name: array for name, array in arrays.items()}
    dtype = str(levels[0].cells[0].Wx.dtype)
    theirs = {name: like[full] for name, full in names.items()}
    theirs = float_arrays(theirs, f"{where}: like", dtype)
    expect_alike(theirs, arrays, where)
    if levels[0].cells[0].kind != "gru":
        for first in [name for name in arrays if name.startswith("bias_ih")]:
            second = first.replace("_ih", "_hh")
            arrays[first], arrays[second] = two_biases(
                arrays[first], (theirs[first], theirs[second])
            )
    return {full: arrays[name] for name, full in names.items()}


def _cell_arrays(cell: RecurrentWeights, bias: bool, where: str) -> dict[str, Any]:
    kind = cell.kind
    arrays = {
        "weight_ih": matrix_from_ours(cell.Wx, "torch", kind),
        "weight_hh": matrix_from_ours(cell.Wh, "torch", kind),
    }
    b = blocks_from_ours(cell.b, "torch", kind)
    if bias:
        rows = (b[0].copy(), b[1].copy()) if kind == "gru" else two_biases(b)
        arrays["bias_ih"], arrays["bias_hh"] = rows
    elif np.any(b):
        raise ConversionError(f"{where}: bias=False, but the bias of a layer is not zero")
    if cell.Wp is not None:
        arrays["weight_hr"] = np.ascontiguousarray(cell.Wp.T)
    return arrays


def _require_one_module(levels: list[Level], where: str) -> None:
    """Raise unless a single torch module holds all levels."""
    problem = next(filter(None, (_problem(level, levels[0]) for level in levels)), None)
    if not levels:
        problem = "there is no recurrent layer"
    if problem is not None:
        raise ConversionError(f"{where}: torch has no such module: {problem}")


def _problem(level: Level, first: Level) -> str | None:
    if level.reverse:
        return "one direction alone, in reversed time"
    if len(level.cells) == 2 and level.merge != "concat":
        return f"two directions merged by {level.merge!r}; torch's are side by side (concat)"
    if len(level.cells) != len(first.cells):
        return "some layers have one direction, others two"
    for cell in level.cells:
        model = first.cells[0]
        if (cell.kind, cell.hidden, cell.output_size) != (
            model.kind,
            model.hidden,
            model.output_size,
        ):
            return "the layers differ in kind, hidden size or projection size; a module has one"
        if cell.kind == "gru" and not cell.reset_after:
            return (
                f"a GRU that resets before the recurrent product, b ({len(OURS['gru'])}H,); "
                "torch's resets after it, which is another function and cannot be converted"
            )
        if cell.Wp is not None and cell.output_size >= cell.hidden:
            return f"a projection to {cell.output_size}; proj_size must be less than H"
        if cell.peepholes is not None or cell.cell_clip or cell.projection_clip:
            return "an LSTM with peepholes or clipping"
        name = activation_name(cell.activation)
        if name != activation_name(model.activation):
            return "the layers differ in their activation; a module has one"
        if cell.kind == "rnn":
            if name not in NONLINEARITIES:
                return f"an RNN with activation {name}, expected tanh or relu"
        elif not cell.has_standard_activations:
            return f"a {cell.kind.upper()} with activations other than tanh and sigmoid"
    return None
