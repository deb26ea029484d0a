"""Named arrays in a safetensors file: no pickle, readable on any backend.

The format is described at https://github.com/huggingface/safetensors: a JSON header with
names, dtypes, shapes and offsets, then the bytes. Ours adds to the header's metadata
``format = "rnn_xp"``, a JSON document, and a CRC-32 of all of it: the format itself has none,
and a weight with a wrong bit looks like any other.
"""

import json
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from rnn_xp._typing import Array
from rnn_xp.backend import to_host
from rnn_xp.errors import CheckpointError
from rnn_xp.files import atomic_write

FORMAT_VERSION = 1


def save_arrays(path: str | Path, arrays: dict[str, Array], document: dict[str, Any]) -> None:
    """Write arrays of any backend, and a JSON document, atomically.

    Raises
    ------
    CheckpointError
        If the file cannot be written.
    """
    from safetensors.numpy import save

    host = {name: np.ascontiguousarray(to_host(a)) for name, a in arrays.items()}
    text = json.dumps(document)
    metadata = {
        "format": "rnn_xp",
        "format_version": str(FORMAT_VERSION),
        "document": text,
        "crc32": _checksum(host, text),
    }
    data = save(host, metadata=metadata)
    with atomic_write(path) as file:
        file.write(data)


def load_arrays(path: str | Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Read what `save_arrays` wrote: NumPy arrays by name, and the document.

    Raises
    ------
    CheckpointError
        If the file is missing, truncated, damaged, or not one of ours.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    path = Path(path)
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise CheckpointError(f"{path}: no such file") from error
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read: {error.strerror or error}") from error
    try:
        arrays = load(data)
        metadata = _metadata(data)
    except (SafetensorError, ValueError, KeyError, struct.error) as error:
        raise CheckpointError(
            f"{path}: damaged or truncated ({error}); restore it from a copy"
        ) from error
    if metadata.get("format") != "rnn_xp":
        raise CheckpointError(f"{path}: a safetensors file, but not one that rnn_xp wrote")
    if metadata.get("format_version") != str(FORMAT_VERSION):
        raise CheckpointError(
            f"{path}: format version {metadata.get('format_version')}, expected {FORMAT_VERSION}; "
            "it was written by another version of rnn_xp"
        )
    try:
        document: dict[str, Any] = json.loads(metadata["document"])
    except (KeyError, ValueError) as error:
        raise CheckpointError(f"{path}: damaged header ({error})") from error
    # Files of releases before there was a checksum have none.
    if metadata.get("crc32") not in (None, _checksum(arrays, metadata["document"])):
        raise CheckpointError(
            f"{path}: damaged (its content is not what its checksum says); restore it from a copy"
        )
    return arrays, document


def _checksum(arrays: dict[str, Any], document: str) -> str:
    """CRC-32 of the document and of each array's name, dtype, shape and bytes."""
    crc = zlib.crc32(document.encode("utf-8"))
    for name in sorted(arrays):
        array = arrays[name]
        crc = zlib.crc32(f"{name} {array.dtype} {array.shape}".encode(), crc)
        crc = zlib.crc32(array.reshape(-1).view(np.uint8), crc)
    return f"{crc:08x}"


def _metadata(data: bytes) -> dict[str, str]:
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    found: dict[str, str] = header.get("__metadata__", {})
    return found
