"""Groups and arrays of an HDF5 file that came from elsewhere: what it holds itself, no links."""

from math import prod
from pathlib import Path
from typing import Any

from rnn_xp.errors import CheckpointError

MAX_BYTES = 2**33
MAX_EXPANSION = 1000  # unpacked to packed


def child_group(group: Any, name: str, path: str | Path) -> Any:
    """A group inside `group`, not a link out of the file."""
    _refuse_links(group, name, path)
    child = group[name]
    if not hasattr(child, "attrs") or hasattr(child, "shape"):
        raise CheckpointError(f"{path}: {child.name} is an array, expected a group")
    return child


def stored_array(group: Any, name: str, path: str | Path) -> Any:
    """A dataset that is stored in this file, as a NumPy array."""
    *folders, last = name.split("/")
    for folder in folders:
        group = child_group(group, folder, path)
    _refuse_links(group, last, path)
    data = group[last]
    if not hasattr(data, "shape") or data.external or data.is_virtual:
        raise CheckpointError(f"{path}: {data.name} is not an array stored in the file")
    size = prod(data.shape) * data.dtype.itemsize
    stored = data.id.get_storage_size()
    if size > min(MAX_BYTES, MAX_EXPANSION * max(stored, 1)):
        raise CheckpointError(f"{path}: {data.name} declares {size} bytes, but {stored} are stored")
    return data[()]


def _refuse_links(group: Any, name: str, path: str | Path) -> None:
    link = group.get(name, getlink=True)
    if type(link).__name__ != "HardLink":
        raise CheckpointError(
            f"{path}: {group.name}/{name} is a {type(link).__name__}, expected what it holds itself"
        )
