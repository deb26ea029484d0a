"""Recurrent layers of whole ``.keras`` files, with the settings that the file tells."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias, Unpack

from rnn_xp.errors import CheckpointError, ConversionError
from rnn_xp.interop.keras_files import groups_of, in_order, read_config
from rnn_xp.interop.keras_weights import CellSettings, layer_from_list
from rnn_xp.interop.weights import LayerOptions

LAYERS = ("SimpleRNN", "LSTM", "GRU")
CELLS = ("SimpleRNNCell", "LSTMCell", "GRUCell")
NamedCell: TypeAlias = tuple[str, CellSettings]  # its class


@dataclass(frozen=True, slots=True)
class LayerSettings:
    """What the configuration of a Keras layer says about ours.

    Attributes
    ----------
    directions : tuple of tuple of CellSettings
        For each direction its cells.
    cell_groups : list of str
        Where the weight file has stacked cells, in the order of the cells.
    """

    directions: tuple[tuple[CellSettings, ...], ...]
    cell_groups: list[str]
    merge_mode: str | None = "concat"
    stateful: bool = False


def load_keras(path: str | Path, **options: Unpack[LayerOptions]) -> dict[str, Any]:
    """Make the recurrent layers of a ``.keras`` file.

    Parameters
    ----------
    path : str or Path
    **options
        ``backend``, ``dtype``, ``stateful`` (default: what the file says), ``time_major``:
        see `rnn_xp.interop.weights.LayerOptions`.

    Returns
    -------
    layers : dict of str to layer
        ``SimpleRNN``, ``LSTM``, ``GRU``, ``RNN`` of such cells and ``Bidirectional`` of
        these, with their activations, by the name that `read_keras` gives them. Other
        layers are left out (`read_keras` has their weights). Dropout is left out, and
        ours return sequences always.

    Raises
    ------
    ConversionError
        If a layer has no equal here: ``go_backwards`` (its outputs are in the order of
        processing), a cell or an activation of one's own.
    CheckpointError
        If the file is damaged.
    """
    groups = groups_of(path)
    layers = {}
    for name, class_name, config in _configurations(read_config(path), "", path):
        settings = _settings(class_name, config, f"{path}: {name}")
        if settings is None:
            continue
        if name not in groups:
            raise CheckpointError(f"{path}: the weights of {name} are missing")
        where = f"{path}: {name}"
        weights = in_order(groups[name], settings.cell_groups, where)
        own: LayerOptions = {"stateful": settings.stateful, **options}
        layers[name] = layer_from_list(
            weights, settings.directions, settings.merge_mode, where, **own
        )
    return layers


def _configurations(
    document: Any, prefix: str, path: str | Path
) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Name in the weight file, class and configuration of every layer."""
    try:
        entries = document["config"]["layers"]
    except (KeyError, TypeError) as error:
        raise CheckpointError(
            f"{path}: config.json describes no Sequential or Functional model"
        ) from error
    try:
        layers = [(str(entry["class_name"]), dict(entry["config"])) for entry in entries]
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path}: config.json is damaged (a layer)") from error
    names = _numbered(class_name for class_name, _ in layers)
    for name, (class_name, config) in zip(names, layers, strict=True):
        if isinstance(config.get("layers"), list):
            yield from _configurations({"config": config}, f"{prefix}{name}/layers/", path)
        else:
            yield prefix + name, class_name, config


def _numbered(class_names: Iterable[str]) -> Iterator[str]:
    """Names of groups: the class, and a number from the second of a class on."""
    used: dict[str, int] = {}
    for class_name in class_names:
        group = _snake_case(class_name.rpartition(">")[2])
        used[group] = used.get(group, -1) + 1
        yield f"{group}_{used[group]}" if used[group] else group


def _snake_case(name: str) -> str:
    """The rule by which Keras names groups: ``SimpleRNN`` is ``simple_rnn``."""
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", re.sub(r"\W+", "", name))
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()


def _settings(class_name: str, config: Mapping[str, Any], where: str) -> LayerSettings | None:
    """None for a layer that is not recurrent."""
    if class_name == "Bidirectional":
        there = _one_way(config, "layer", where, backwards=False)
        back = _one_way(config, "backward_layer", where, backwards=True)
        if there is None or back is None:
            return None
        merge_mode = config.get("merge_mode", "concat")
        stateful = bool(_parts(config.get("layer"), where)[1].get("stateful", False))
        return _layer_settings((there, back), merge_mode, stateful, where)
    if class_name not in (*LAYERS, "RNN"):
        return None
    direction = _direction(class_name, config, where, backwards=False)
    return _layer_settings((direction,), "concat", bool(config.get("stateful", False)), where)


def _layer_settings(
    directions: Sequence[Sequence[NamedCell]], merge_mode: str | None, stateful: bool, where: str
) -> LayerSettings:
    groups = [list(_numbered(name for name, _ in cells)) for cells in directions]
    if any(other != groups[0] for other in groups):
        raise ConversionError(f"{where}: the two directions stack different classes of cells")
    settings = tuple(tuple(cell for _, cell in cells) for cells in directions)
    return LayerSettings(settings, groups[0], merge_mode, stateful)


def _one_way(
    config: Mapping[str, Any], key: str, where: str, *, backwards: bool
) -> tuple[NamedCell, ...] | None:
    """Settings of one layer of a Bidirectional; None if it is not recurrent."""
    entry = config.get(key)
    if entry is None and key == "backward_layer":
        entry, backwards = config.get("layer"), False  # made from the forward layer
    class_name, inner = _parts(entry, where)
    if class_name not in (*LAYERS, "RNN"):
        return None
    return _direction(class_name, inner, where, backwards=backwards)


def _direction(
    class_name: str, config: Mapping[str, Any], where: str, *, backwards: bool
) -> tuple[NamedCell, ...]:
    if bool(config.get("go_backwards", False)) != backwards:
        raise ConversionError(
            f"{where}: go_backwards returns the outputs in the order of processing, which no "
            "layer here does; take the weights with read_keras and use Reversed"
        )
    if class_name != "RNN":
        return ((class_name, _cell(config, where)),)
    cells = _cells(config.get("cell"), where)
    return tuple((name, _cell(inner, where)) for name, inner in cells)


def _cells(entry: Any, where: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    class_name, config = _parts(entry, where)
    if class_name == "StackedRNNCells":
        for cell in config.get("cells", []):
            yield from _cells(cell, where)
    elif class_name in CELLS:
        yield class_name, config
    else:
        raise ConversionError(
            f"{where}: cell {class_name} has no equal here, expected one of {', '.join(CELLS)}"
        )


def _cell(config: Mapping[str, Any], where: str) -> CellSettings:
    names = {}
    for key, default in (("activation", "tanh"), ("recurrent_activation", "sigmoid")):
        name = config.get(key, default)
        if name is not None and not isinstance(name, str):
            raise ConversionError(
                f"{where}: {key} is a function of its own, expected one of Keras' by name"
            )
        names[key] = "linear" if name is None else name
    return CellSettings(
        use_bias=bool(config.get("use_bias", True)),
        reset_after=bool(config.get("reset_after", True)),
        **names,
    )


def _parts(entry: Any, where: str) -> tuple[str, Mapping[str, Any]]:
    if not isinstance(entry, Mapping) or not isinstance(entry.get("config"), Mapping):
        raise CheckpointError(f"{where}: config.json is damaged (a layer inside a layer)")
    return str(entry.get("class_name")), entry["config"]
