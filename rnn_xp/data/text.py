"""UTF-8 text, read in pieces, so that a text larger than memory can be read."""

import codecs
import gzip
import hashlib
import io
import os
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Protocol

from rnn_xp.errors import DataError

CHUNK_BYTES = 1 << 20


class TextSource(Protocol):
    """A text that can be read any number of times.

    Attributes
    ----------
    name : str
        For messages: a path, or the name of a corpus.
    """

    @property
    def name(self) -> str:
        """For messages."""

    def __iter__(self) -> Iterator[str]:
        """Read the text from its beginning, in non-empty pieces of any length."""


class TextString:
    """A text in memory as a `TextSource`.

    Parameters
    ----------
    name : str
        For messages.
    text : str

    Raises
    ------
    DataError
        If the text is empty.
    """

    def __init__(self, name: str, text: str):
        if not text:
            raise DataError(f"{name}: the text is empty")
        self.name = name
        self.text = text

    def __iter__(self) -> Iterator[str]:
        """Yield the text in pieces of about a million characters."""
        for start in range(0, len(self.text), CHUNK_BYTES):
            yield self.text[start : start + CHUNK_BYTES]


class TextFile:
    r"""A UTF-8 text file, or a gzipped one (name ending in ``.gz``), as a `TextSource`.

    A byte order mark at the beginning is skipped. Line ends are universal: ``\r\n`` and a
    lone ``\r`` are read as ``\n``, so the same text gives the same tokens wherever it was
    written; every other character is kept.

    Parameters
    ----------
    path : str or os.PathLike
    chunk_bytes : int
        How many bytes are read at a time.

    Raises
    ------
    DataError
        If there is no such file, or it is not a regular file that can be opened. While it
        is read: if it is empty, not valid UTF-8 (the line and the offset of the first bad
        byte are named), or a damaged gzip file.
    """

    def __init__(self, path: str | os.PathLike[str], *, chunk_bytes: int = CHUNK_BYTES):
        self.path = Path(path)
        self.name = str(path)
        self._chunk_bytes = chunk_bytes
        if self.path.is_dir():
            raise DataError(f"{self.name}: is a folder, expected a text file")
        if not self.path.exists():
            raise DataError(f"{self.name}: no such file; check the path")
        if not self.path.is_file():
            raise DataError(
                f"{self.name}: is not a regular file; the text is read more than once, "
                "so save it to a file first"
            )
        try:
            self.path.open("rb").close()
        except OSError as error:
            raise DataError(f"{self.name}: cannot be opened: {error.strerror}") from error

    def __iter__(self) -> Iterator[str]:
        """Yield the text in pieces."""
        empty = True
        for piece in _decode(self._bytes(), self.name):
            empty = False
            yield piece
        if empty:
            raise DataError(f"{self.name}: the file is empty; give a file that holds text")

    def _bytes(self) -> Iterator[bytes]:
        try:
            with self._open() as file:
                while chunk := file.read(self._chunk_bytes):
                    yield chunk
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise DataError(
                f"{self.name}: is not a gzip file or is damaged ({error}); "
                "test it with gzip -t and fetch or compress it again"
            ) from error
        except OSError as error:
            raise DataError(f"{self.name}: cannot be read: {error.strerror}") from error

    def _open(self) -> IO[bytes] | gzip.GzipFile:
        if self.path.suffix.lower() == ".gz":
            return gzip.open(self.path, "rb")
        return self.path.open("rb")


def text_digest(chunks: Iterable[str]) -> str:
    """Return the sha256 of a text in UTF-8, in hexadecimal, in one pass over its pieces."""
    digest = hashlib.sha256()
    for chunk in chunks:
        digest.update(chunk.encode("utf-8", "surrogatepass"))
    return digest.hexdigest()


def _decode(chunks: Iterator[bytes], name: str) -> Iterator[str]:
    """Decode UTF-8 with universal line ends; yields only non-empty pieces."""
    utf8 = codecs.getincrementaldecoder("utf-8")()
    newlines = io.IncrementalNewlineDecoder(None, translate=True)
    head = b""
    line = 1  # of the first character that is not decoded yet
    offset = 0  # of the first byte that is not decoded yet
    started = False
    final = False
    while not final:
        chunk = next(chunks, b"")
        final = not chunk
        head = head or chunk[:4]
        pending = len(utf8.getstate()[0])
        try:
            decoded = utf8.decode(chunk, final)
        except UnicodeDecodeError as error:
            good = newlines.decode(error.object[: error.start].decode("utf-8"), final=True)
            line += good.count("\n")
            raise DataError(_invalid(name, line, offset + error.start, error, head)) from error
        offset += pending + len(chunk) - len(utf8.getstate()[0])
        if decoded and not started:
            started = True
            decoded = decoded.removeprefix("\ufeff")
        piece = newlines.decode(decoded, final)
        line += piece.count("\n")
        if piece:
            yield piece


def _invalid(name: str, line: int, offset: int, error: UnicodeDecodeError, head: bytes) -> str:
    bad = error.object[error.start]
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        remedy = "it looks like UTF-16; save it as UTF-8"
    elif head.startswith(b"\x1f\x8b"):
        remedy = "it looks gzipped; let its name end in .gz"
    else:
        remedy = "save the file as UTF-8, for example with iconv -f latin1 -t utf-8"
    return (
        f"{name}: not valid UTF-8 at line {line}, byte offset {offset} "
        f"(byte 0x{bad:02x}: {error.reason}); {remedy}"
    )
