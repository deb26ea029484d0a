"""What every tokenizer can do, and the vocabulary file ``vocab.json``."""

import hashlib
import json
import os
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, ClassVar, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

from rnn_xp.errors import CheckpointError, DataError
from rnn_xp.files import atomic_write

FORMAT_VERSION = 1
Ids: TypeAlias = NDArray[np.int64]


class StreamDecoder(ABC):
    """Turns ids into text as they come.

    The pieces that `push` and `finish` return, joined, are what `Tokenizer.decode` gives
    for all ids at once.
    """

    @abstractmethod
    def push(self, ids: Any) -> str:
        """Take one id or an array of ids; return the text that is now certain."""

    def finish(self) -> str:
        """Return what was held back for ids that did not come."""
        return ""


class Tokenizer(ABC):
    """Text to token ids and back.

    Attributes
    ----------
    level : {"char", "word", "byte"}
    size : int
        V, the number of ids: 0 to V - 1.
    unknown : int or None
        The id that stands for what the vocabulary does not hold.
    """

    level: ClassVar[str]

    @property
    @abstractmethod
    def size(self) -> int:
        """V, the number of ids."""

    @property
    def unknown(self) -> int | None:
        """The id of what the vocabulary does not hold; None: that is an error."""
        return None

    @classmethod
    @abstractmethod
    def build(cls, chunks: Iterable[str]) -> Self:
        """Make the vocabulary of a text in one pass over its pieces."""

    @abstractmethod
    def encode_chunks(self, chunks: Iterable[str], where: str = "text") -> Iterator[Ids]:
        """Encode a text that comes in pieces, cut anywhere.

        Parameters
        ----------
        chunks : iterable of str
        where : str
            The text's name, for messages.

        Yields
        ------
        array of int64, shape (M,)
            Joined, they equal ``encode("".join(chunks))``.

        Raises
        ------
        DataError
            At the first piece that holds what the vocabulary does not.
        """

    def encode(self, text: str, where: str = "text") -> Ids:
        """Return the ids of a text, int64, shape (M,).

        Raises
        ------
        DataError
            If it holds what the vocabulary does not; the message lists it.
        """
        pieces = list(self.encode_chunks([text], where))
        return np.concatenate(pieces) if pieces else np.zeros(0, dtype=np.int64)

    @abstractmethod
    def decode_stream(self) -> StreamDecoder:
        """Return a decoder that takes ids one by one."""

    def decode(self, ids: Any) -> str:
        """Return the text of some ids (an integer array of any shape, or a list)."""
        decoder = self.decode_stream()
        return decoder.push(ids) + decoder.finish()

    @abstractmethod
    def to_json(self) -> dict[str, Any]:
        """Return everything `from_json` needs, as JSON types."""

    @classmethod
    @abstractmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """Make a tokenizer from what `to_json` gave.

        Raises
        ------
        DataError
            If it is something else.
        """

    @property
    def digest(self) -> str:
        """sha256 of the vocabulary, in hexadecimal: equal digests, equal ids."""
        canonical = json.dumps(self.to_json(), sort_keys=True)
        return hashlib.sha256(canonical.encode("ascii")).hexdigest()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Tokenizer) and self.to_json() == other.to_json()

    def __hash__(self) -> int:
        return hash(self.digest)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write ``vocab.json`` (UTF-8), whole or not at all.

        Raises
        ------
        CheckpointError
            If it cannot be written.
        """
        data = {"format_version": FORMAT_VERSION, **self.to_json()}
        text = json.dumps(data, ensure_ascii=False, indent=0) + "\n"
        with atomic_write(path, CheckpointError) as file:
            file.write(text.encode("utf-8"))

    def __repr__(self) -> str:
        return f"{type(self).__name__}(size={self.size})"


def read_vocabulary(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read a ``vocab.json`` as far as its format version.

    Raises
    ------
    CheckpointError
        If it is missing, damaged, or of another format.
    """
    name = str(path)
    try:
        data = json.loads(Path(path).read_bytes().decode("utf-8"))
    except FileNotFoundError as error:
        raise CheckpointError(f"{name}: no such file, expected a vocabulary") from error
    except OSError as error:
        raise CheckpointError(f"{name}: cannot be read: {error.strerror}") from error
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise CheckpointError(f"{name}: damaged, not a vocabulary file ({error})") from error
    version = data.get("format_version") if isinstance(data, dict) else None
    if type(version) is not int:
        raise CheckpointError(f"{name}: not a vocabulary file: it has no format_version")
    if version != FORMAT_VERSION:
        raise CheckpointError(
            f"{name}: format_version {version}, this release reads {FORMAT_VERSION}; "
            "use the release that wrote it"
        )
    return dict(data)


def checked_symbols(symbols: Any, level: str) -> list[str]:
    """Return `symbols` if it is a non-empty list of different strings.

    Raises
    ------
    DataError
    """
    if not isinstance(symbols, list) or not all(isinstance(s, str) for s in symbols):
        raise DataError(f"a {level} vocabulary needs a list of strings named symbols")
    if not symbols:
        raise DataError(f"a {level} vocabulary needs at least one symbol")
    if len(set(symbols)) != len(symbols):
        raise DataError(f"a {level} vocabulary holds a symbol twice")
    return symbols


def checked_ids(ids: Any, size: int) -> Ids:
    """Flatten ids to int64 and check that they are in ``[0, size)``.

    Raises
    ------
    DataError
    """
    array: NDArray[Any] = np.atleast_1d(np.asarray(ids)).reshape(-1)
    if array.size == 0:
        return np.zeros(0, dtype=np.int64)
    if array.dtype.kind not in "iu":
        raise DataError(f"decode: ids have dtype {array.dtype}, expected integers")
    if array.min() < 0 or array.max() >= size:
        raise DataError(
            f"decode: ids go from {array.min()} to {array.max()}, "
            f"expected 0 to {size - 1} for a vocabulary of {size}"
        )
    return array.astype(np.int64)
