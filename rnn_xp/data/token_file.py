"""Token ids on disk, memory-mapped, so that a corpus larger than memory trains."""

import json
import os
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from rnn_xp.data.tokenizers import Tokenizer
from rnn_xp.errors import CheckpointError, DataError
from rnn_xp.files import atomic_write

HEADER_BYTES = 512
FORMAT_VERSION = 1
MEMORY_LIMIT = 64 << 20

Tokens: TypeAlias = NDArray[np.unsignedinteger[Any]]


def token_dtype(size: int) -> np.dtype[Any]:
    """Return the smallest unsigned dtype that holds the ids 0 to `size` - 1."""
    for dtype in ("u1", "<u2", "<u4"):
        if size <= 2 ** (8 * np.dtype(dtype).itemsize):
            return np.dtype(dtype)
    raise DataError(f"a vocabulary of {size}, expected at most {2**32}")


def encode_corpus(
    source: Iterable[str],
    tokenizer: Tokenizer,
    path: str | os.PathLike[str] | None = None,
    *,
    where: str | None = None,
    source_digest: str = "",
    memory_limit: int = MEMORY_LIMIT,
) -> Tokens:
    """Encode a text: in memory if it is small, else in a token file.

    Parameters
    ----------
    source : TextSource or iterable of str
        Read once.
    tokenizer : Tokenizer
    path : str or os.PathLike, optional
        The token file, written only if the ids take more than `memory_limit`. None keeps
        any amount in memory.
    where : str, optional
        The text's name, for messages; default ``source.name`` or "text".
    source_digest : str
        See `write_token_file`.
    memory_limit : int
        Bytes.

    Returns
    -------
    array of uint8, uint16 or uint32, shape (M,)

    Raises
    ------
    DataError
        If the text cannot be read or encoded, or the file not be written.
    """
    name = where or str(getattr(source, "name", "text"))
    dtype = token_dtype(tokenizer.size)
    arrays = (ids.astype(dtype) for ids in tokenizer.encode_chunks(source, name))
    kept: list[Tokens] = []
    held = 0
    for ids in arrays:
        kept.append(ids)
        held += ids.nbytes
        if path is not None and held > memory_limit:
            return write_token_file(
                path, chain(_drain(kept), arrays), tokenizer, source_digest=source_digest
            )
    return np.concatenate(kept) if kept else np.zeros(0, dtype=dtype)


def write_token_file(
    path: str | os.PathLike[str],
    arrays: Iterable[NDArray[Any]],
    tokenizer: Tokenizer,
    *,
    source_digest: str = "",
) -> Tokens:
    """Write token ids as they come; the file appears when it is complete.

    Parameters
    ----------
    path : str or os.PathLike
    arrays : iterable of int array, shape (M,)
        Ids of `tokenizer`, in order.
    tokenizer : Tokenizer
        Gives the dtype, and the digest that `open_token_file` compares.
    source_digest : str
        Anything (at most 100 ASCII characters) that tells one text from another; compared
        likewise.

    Returns
    -------
    array
        The memory-mapped ids.

    Raises
    ------
    DataError
        If the file cannot be written, for example on a full disk; nothing is left then.

    Notes
    -----
    The file is one line of JSON, padded with spaces to 512 bytes, then the ids,
    little-endian.
    """
    if len(json.dumps(source_digest)) > 102:
        raise DataError(f"{path}: source_digest {source_digest!r} is too long for the header")
    dtype = token_dtype(tokenizer.size)
    count = 0
    with atomic_write(path, DataError) as file:
        file.write(b" " * HEADER_BYTES)
        for ids in arrays:
            file.write(ids.astype(dtype, copy=False).tobytes())
            count += ids.size
        header = json.dumps(
            {
                "format": "rnn_xp tokens",
                "format_version": FORMAT_VERSION,
                "dtype": dtype.str,
                "count": count,
                "vocabulary": tokenizer.digest,
                "source": source_digest,
            }
        )
        file.rewind()
        file.write(header.encode("ascii").ljust(HEADER_BYTES - 1) + b"\n")
    return open_token_file(path, tokenizer, source_digest=source_digest)


def open_token_file(
    path: str | os.PathLike[str],
    tokenizer: Tokenizer | None = None,
    *,
    source_digest: str | None = None,
) -> Tokens:
    """Map a token file into memory, read-only.

    Parameters
    ----------
    path : str or os.PathLike
    tokenizer : Tokenizer, optional
        Raise unless the ids are of this vocabulary.
    source_digest : str, optional
        Raise unless the file was written with this one.

    Returns
    -------
    array of uint8, uint16 or uint32, shape (M,)
        A plain `numpy.ndarray` whose memory is the file.

    Raises
    ------
    CheckpointError
        If the file is missing, damaged, or of another vocabulary or text.
    """
    name = str(path)
    remedy = "delete it, it is made anew from the text"
    try:
        with Path(path).open("rb") as file:
            head = file.read(HEADER_BYTES)
            length = os.fstat(file.fileno()).st_size
    except FileNotFoundError as error:
        raise CheckpointError(f"{name}: no such token file") from error
    except OSError as error:
        raise CheckpointError(f"{name}: cannot be read: {error.strerror}") from error
    header = _parse_header(head)
    if header is None:
        raise CheckpointError(f"{name}: damaged, or not a token file; {remedy}")
    dtype, count = np.dtype(header["dtype"]), header["count"]
    expected = HEADER_BYTES + count * dtype.itemsize
    if length != expected:
        raise CheckpointError(f"{name}: has {length} bytes, expected {expected}; {remedy}")
    if tokenizer is not None and header["vocabulary"] != tokenizer.digest:
        raise CheckpointError(f"{name}: holds ids of another vocabulary; {remedy}")
    if source_digest is not None and header["source"] != source_digest:
        raise CheckpointError(f"{name}: holds ids of another text; {remedy}")
    if count == 0:
        return np.zeros(0, dtype=dtype)
    # asarray drops the subclass, whose slicing is several times slower.
    return np.asarray(np.memmap(path, dtype=dtype, mode="r", offset=HEADER_BYTES, shape=(count,)))


def split_tail(tokens: Tokens, fraction: float = 0.1) -> tuple[Tokens, Tokens]:
    """Split ids into the first part, to train on, and the last, to validate on.

    Parameters
    ----------
    tokens : array of int, shape (M,)
    fraction : float
        The last ``int(M * fraction)`` tokens validate; 0 < fraction < 1.

    Returns
    -------
    train, valid : array
        Views.

    Raises
    ------
    DataError
        If either part has less than 2 tokens, so that there is nothing to predict.
    """
    if not 0.0 < fraction < 1.0:
        raise DataError(f"split_tail: fraction {fraction}, expected between 0 and 1")
    cut = len(tokens) - int(len(tokens) * fraction)
    if min(cut, len(tokens) - cut) < 2:
        raise DataError(
            f"the text has {len(tokens)} tokens, too few to hold back {100 * fraction:g} % of them "
            "for validation; give a longer text, or one to validate on"
        )
    return tokens[:cut], tokens[cut:]


def _drain(arrays: list[Tokens]) -> Iterator[Tokens]:
    """Yield and let go."""
    while arrays:
        yield arrays.pop(0)


def _parse_header(head: bytes) -> dict[str, Any] | None:
    """Return the header if it is one of ours."""
    try:
        header = json.loads(head.decode("utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError):
        return None
    if not isinstance(header, dict) or header.get("format_version") != FORMAT_VERSION:
        return None
    count = header.get("count")
    if header.get("dtype") not in ("|u1", "<u2", "<u4") or type(count) is not int or count < 0:
        return None
    return header if {"vocabulary", "source"} <= header.keys() else None
