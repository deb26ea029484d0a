"""Keras' files: ``.weights.h5``, ``.keras`` and the older ``.h5``, through h5py.

Two layouts exist. Keras 3 stores arrays as ``layers/<layer>/.../vars/<number>``, where the
layer's group is its class in snake case with a number (``lstm``, ``lstm_1``); Keras 1 and 2
store a group for each layer, with the names of its arrays in the attribute
``weight_names``. A ``.keras`` file is a zip of ``config.json`` and ``model.weights.h5``.
Source: ``keras/src/saving/saving_lib.py`` and
``keras/src/legacy/saving/legacy_h5_format.py`` of Keras 3.

A file is data from elsewhere: links out of it are not followed, and what is larger
unpacked than packed by more than any weights would be is refused.
"""

import io
import json
import re
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

from rnn_xp._typing import Array
from rnn_xp.backend import to_host
from rnn_xp.errors import CheckpointError, ConversionError
from rnn_xp.files import atomic_write
from rnn_xp.interop.extras import optional
from rnn_xp.interop.hdf5 import MAX_BYTES, MAX_EXPANSION, child_group, stored_array
from rnn_xp.interop.keras_weights import cell_arrays
from rnn_xp.interop.nets import directions_from_net

DIRECTIONS = ("forward_layer", "backward_layer")  # in the order of get_weights
CELL_GROUPS = {"rnn": "simple_rnn_cell", "gru": "gru_cell", "lstm": "lstm_cell"}
CELL = re.compile(r"(?:^|/)cells/([^/]+)/")
Groups: TypeAlias = dict[str, list[Any]]


def read_keras(path: str | Path) -> dict[str, list[Any]]:
    """Read the weights of every layer of a file.

    Parameters
    ----------
    path : str or Path
        ``.weights.h5`` or ``.h5`` of either layout, or ``.keras``.

    Returns
    -------
    weights : dict of str to list of numpy.ndarray
        By the name of the layer's group (``lstm``, ``lstm_1``, ``bidirectional``), in the
        older layout the layer's own name; in the order of ``get_weights()``. Layers
        without weights are left out; those of a model inside the model have the path
        ``functional/layers/lstm``.

    Raises
    ------
    CheckpointError
        If the file is missing, damaged, or not one of Keras'.
    MissingExtraError
        If h5py is not installed.
    """
    return {
        name: in_order(groups, None, f"{path}: {name}") for name, groups in groups_of(path).items()
    }


def groups_of(path: str | Path) -> dict[str, Groups]:
    """Arrays of every layer, by the group inside the layer that holds them."""
    with open_weights(path) as root:
        found = _modern(root, path) if "layers" in root else _legacy(root, path)
    if not found:
        raise CheckpointError(f"{path}: holds no weights of Keras layers")
    return found


def in_order(groups: Groups, cells: Sequence[str] | None, where: str) -> list[Any]:
    """The arrays of a layer in the order of ``get_weights``.

    Parameters
    ----------
    groups : dict of str to list of numpy.ndarray
    cells : list of str or None
        Names of the groups of stacked cells in the order of the cells. The file alone tells
        it only where all of them are of one class, and so numbered.
    where : str
        For messages.

    Raises
    ------
    CheckpointError
        If the order cannot be told.
    """
    names = [match[1] for name in groups if (match := CELL.search(name))]
    classes = sorted({re.sub(r"_\d+$", "", name) for name in names})
    if len(classes) > 1 and cells is None:
        raise CheckpointError(
            f"{where}: stacks cells of several classes ({', '.join(classes)}), whose order a "
            "weight file does not tell; save the model as .keras and use load_keras"
        )
    if cells is not None and not set(names) <= set(cells):
        raise CheckpointError(
            f"{where}: config.json has the cells {', '.join(cells)}, the weights {', '.join(names)}"
        )

    def key(name: str) -> tuple[Any, ...]:
        first = name.split("/")[0]
        match = CELL.search(name)
        cell = match[1] if match else ""
        place = cells.index(cell) if cells and cell else _natural(cell)[1]
        return (DIRECTIONS.index(first) if first in DIRECTIONS else 0, place, _natural(name))

    return [array for name in sorted(groups, key=key) for array in groups[name]]


def save_keras(
    path: str | Path, layers: Mapping[str, Any], *, use_bias: bool | Mapping[str, bool] = True
) -> None:
    """Write a ``.weights.h5`` file for ``Model.load_weights`` of Keras 3.

    Parameters
    ----------
    path : str or Path
        Ends in ``.weights.h5``. An older file is replaced whole or not at all.
    layers : dict of str to layer or list of array
        By the name of the layer's group: the class in snake case (``lstm``, ``gru``,
        ``simple_rnn``, ``bidirectional``, ``dense``, ``embedding``), with ``_1``, ``_2``, …
        for the second and third of a class. Every layer of the Keras model that has
        weights must be there. A layer of this package is converted by `to_keras`; a list
        of arrays is written as it is. A `Stack` is written as ``RNN([cells])``.
    use_bias : bool or dict of str to bool
        False for Keras layers made with ``use_bias=False``, whose bias here must be zero: all
        of them, or those that a dictionary names (the others have a bias).

    Raises
    ------
    ConversionError
        If Keras has no such layer, or `use_bias` names one that is not written.
    CheckpointError
        If the file cannot be written.
    """
    h5py = optional("h5py", "keras", "writing a Keras file")
    if not str(path).endswith(".weights.h5"):
        raise CheckpointError(f"{path}: expected a name that ends in .weights.h5")
    biased = use_bias if isinstance(use_bias, Mapping) else dict.fromkeys(layers, use_bias)
    if unknown := sorted(set(biased) - set(layers)):
        raise ConversionError(
            f"save_keras: use_bias names {', '.join(unknown)}, expected some of {', '.join(layers)}"
        )
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        for name, layer in layers.items():
            group = file.create_group(f"layers/{name}")
            if isinstance(layer, Sequence):
                _write_vars(group, layer)
            else:
                _write_layer(group, layer, biased.get(name, True), f"save_keras: {name}")
    with atomic_write(path) as target:
        target.write(buffer.getvalue())


def _write_layer(group: Any, layer: Any, use_bias: bool, where: str) -> None:
    directions, _ = directions_from_net(layer, where)
    groups = [group]
    if len(directions) == 2:
        groups = [group.create_group(name) for name in DIRECTIONS]
    for direction, cells in zip(groups, directions, strict=True):
        inner = direction.create_group("cell")
        if len(cells) == 1:
            _write_vars(inner, cell_arrays(cells[0], use_bias, where))
            continue
        used: dict[str, int] = {}
        for cell in cells:
            name = CELL_GROUPS[cell.kind]
            used[name] = used.get(name, -1) + 1
            suffix = f"_{used[name]}" if used[name] else ""
            arrays = cell_arrays(cell, use_bias, where)
            _write_vars(inner.create_group(f"cells/{name}{suffix}"), arrays)


def _write_vars(group: Any, arrays: Sequence[Array]) -> None:
    for number, array in enumerate(arrays):
        group[f"vars/{number}"] = to_host(array)


@contextmanager
def open_weights(path: str | Path) -> Iterator[Any]:
    """The HDF5 root of a file, from inside a ``.keras`` file too."""
    h5py = optional("h5py", "keras", "reading a Keras file")
    try:
        if not Path(path).is_file():
            raise CheckpointError(f"{path}: no such file")
        source: Any = path
        if zipfile.is_zipfile(path):
            source = io.BytesIO(read_member(path, "model.weights.h5"))
        with h5py.File(source, "r") as root:
            yield child_group(root, "model_weights", path) if "model_weights" in root else root
    except (OSError, KeyError, ValueError, TypeError, RuntimeError) as error:
        # h5py reports damage as any of these; ours pass through, being RuntimeErrors.
        if isinstance(error, CheckpointError):
            raise
        raise CheckpointError(
            f"{path}: not a Keras weight file, or damaged ({_line(error)})"
        ) from error


def read_member(path: str | Path, name: str) -> bytes:
    """One file of a ``.keras`` archive."""
    try:
        with zipfile.ZipFile(path) as archive:
            info = archive.getinfo(name)
            if info.file_size > min(MAX_BYTES, MAX_EXPANSION * max(info.compress_size, 1)):
                raise CheckpointError(f"{path}: {name} would unpack to {info.file_size} bytes")
            return archive.read(info)
    except KeyError as error:
        raise CheckpointError(f"{path}: holds no {name}, so it is not a .keras file") from error
    except (OSError, zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        raise CheckpointError(f"{path}: damaged ({_line(error)})") from error


def read_config(path: str | Path) -> Any:
    """The JSON document ``config.json`` of a ``.keras`` archive."""
    try:
        return json.loads(read_member(path, "config.json"))
    except ValueError as error:
        raise CheckpointError(f"{path}: config.json is damaged ({_line(error)})") from error


def _line(error: Exception) -> str:
    return str(error).splitlines()[0][:200] if str(error) else type(error).__name__


def _modern(root: Any, path: str | Path) -> dict[str, Groups]:
    found: dict[str, Groups] = {}
    _collect(root, "", found, path)
    return found


def _collect(group: Any, prefix: str, found: dict[str, Groups], path: str | Path) -> None:
    layers = child_group(group, "layers", path)
    for name in sorted(layers, key=_natural):
        layer = child_group(layers, name, path)
        if "layers" in layer:
            _collect(layer, f"{prefix}{name}/layers/", found, path)
            continue
        groups: Groups = {}
        _gather(layer, "", groups, path)
        if groups:
            found[prefix + name] = groups


def _gather(group: Any, prefix: str, groups: Groups, path: str | Path) -> None:
    """Collect the arrays of a layer; the state of random generators is not among them."""
    for name in group:
        child = child_group(group, name, path)
        if name == "vars":
            if len(child):
                groups[prefix] = [stored_array(child, n, path) for n in sorted(child, key=_natural)]
        elif not name.startswith("seed_generator"):
            _gather(child, f"{prefix}{name}/", groups, path)


def _legacy(root: Any, path: str | Path) -> dict[str, Groups]:
    found: dict[str, Groups] = {}
    for name in _names(root, "layer_names", path):
        group = child_group(root, name, path)
        arrays = [stored_array(group, array, path) for array in _names(group, "weight_names", path)]
        if arrays:
            found[name] = {"": arrays}
    return found


def _names(group: Any, attribute: str, path: str | Path) -> list[str]:
    """A list of names; long ones are in several attributes, ``layer_names0`` and so on."""
    if attribute in group.attrs:
        values = list(group.attrs[attribute])
    else:
        values = []
        while f"{attribute}{len(values)}" in group.attrs:
            values.append(group.attrs[f"{attribute}{len(values)}"])
        values = [value for chunk in values for value in chunk]
        if f"{attribute}0" not in group.attrs:
            raise CheckpointError(
                f"{path}: has neither a group 'layers' nor the attribute {attribute!r}, so it is "
                "not a weight file of Keras"
            )
    return [v.decode("utf-8") if isinstance(v, bytes) else str(v) for v in values]


def _natural(name: str) -> tuple[Any, ...]:
    """Sort key that puts ``lstm_cell_10`` after ``lstm_cell_2``."""
    match = re.fullmatch(r"(.*?)_?(\d*)", name, re.DOTALL)
    if match is None or not match[2]:
        return (name, -1)
    return (match[1], int(match[2]))
