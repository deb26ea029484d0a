"""Characters: one id for each Unicode code point of the training text."""

import codecs
from collections.abc import Iterable, Iterator
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from rnn_xp.data.tokenizers.base import (
    Ids,
    StreamDecoder,
    Tokenizer,
    checked_ids,
    checked_symbols,
)
from rnn_xp.errors import DataError

UNKNOWN_TEXT = "\N{REPLACEMENT CHARACTER}"
_CODE_POINTS = 0x110000
_LISTED = 5


class CharTokenizer(Tokenizer):
    """One id for each code point; any script works.

    Parameters
    ----------
    symbols : iterable of str
        One character each; their order gives the ids.
    unknown : bool
        Whether one more id, the last, stands for every other character. It is decoded as
        U+FFFD. Without it another character is an error, and V is the number of symbols.

    Raises
    ------
    DataError
        If a symbol is not one character, or comes twice.

    Notes
    -----
    Encoding is one look-up a character, in a table that is as long as the highest code point.
    """

    level = "char"

    def __init__(self, symbols: Iterable[str], *, unknown: bool = False):
        self.symbols = tuple(checked_symbols(list(symbols), self.level))
        for symbol in self.symbols:
            if len(symbol) != 1 or "\ud800" <= symbol <= "\udfff":
                raise DataError(
                    f"a char vocabulary holds {symbol!r}, expected one character a symbol"
                )
        self._unknown = len(self.symbols) if unknown else None
        codes = _code_points("".join(self.symbols))
        # The last entry stands for all code points above the highest that is known.
        other = len(self.symbols) if unknown else -1
        self._table = np.full(int(codes.max()) + 2, other, dtype=np.int64)
        self._table[codes] = np.arange(len(codes))

    @classmethod
    def build(cls, chunks: Iterable[str], *, unknown: bool = False) -> Self:
        """Make the vocabulary of a text: its characters in the order of their code points.

        Raises
        ------
        DataError
            If the text is empty.
        """
        seen = np.zeros(_CODE_POINTS, dtype=bool)
        for chunk in chunks:
            seen[_code_points(chunk)] = True
        return cls((chr(code) for code in np.flatnonzero(seen)), unknown=unknown)

    @property
    def size(self) -> int:
        """V: the symbols, and the unknown one if there is one."""
        return len(self.symbols) + (self._unknown is not None)

    @property
    def unknown(self) -> int | None:
        """V - 1, or None."""
        return self._unknown

    def head(self, size: int) -> "CharTokenizer":
        """Return a tokenizer of the first `size` symbols, with the same ids."""
        return CharTokenizer(self.symbols[:size], unknown=self._unknown is not None)

    def encode_chunks(self, chunks: Iterable[str], where: str = "text") -> Iterator[Ids]:
        """Encode a text that comes in pieces (see `Tokenizer.encode_chunks`)."""
        line, column, offset = 1, 1, 0
        for chunk in chunks:
            codes = _code_points(chunk)
            ids: Ids = self._table[np.minimum(codes, len(self._table) - 1)]
            if self._unknown is None and ids.size and ids.min() < 0:
                first = int(np.argmax(ids < 0))
                line, column = _advance(chunk[:first], line, column)
                place = f"line {line}, column {column} (character offset {offset + first})"
                raise DataError(self._refusal(where, place, codes[ids < 0]))
            yield ids
            line, column = _advance(chunk, line, column)
            offset += len(chunk)

    def _refusal(self, where: str, place: str, codes: NDArray[Any]) -> str:
        unknown = list(dict.fromkeys(codes.tolist()))  # in order of appearance
        named = ", ".join(f"{chr(code)!r} (U+{code:04X})" for code in unknown[:_LISTED])
        if len(unknown) > _LISTED:
            named += f" and {len(unknown) - _LISTED} more"
        held = "".join(self.symbols[:80])
        ending = "..." if len(self.symbols) > 80 else ""
        return (
            f"{where}: not in the vocabulary: {named}; first at {place}; the vocabulary holds "
            f"{len(self.symbols)} characters: {held!r}{ending}; leave out what it does not "
            "hold, train on text that has it, or use byte level, which knows every text"
        )

    def decode_stream(self) -> StreamDecoder:
        """Return a decoder that takes ids one by one."""
        return _CharDecoder(self)

    def to_json(self) -> dict[str, Any]:
        """Return level, symbols and whether there is an unknown id."""
        return {
            "level": self.level,
            "symbols": list(self.symbols),
            "unknown": self._unknown is not None,
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """Make a tokenizer from what `to_json` gave."""
        unknown = data.get("unknown")
        if not isinstance(unknown, bool):
            raise DataError("a char vocabulary needs true or false named unknown")
        return cls(checked_symbols(data.get("symbols"), cls.level), unknown=unknown)


class _CharDecoder(StreamDecoder):
    def __init__(self, tokenizer: CharTokenizer):
        self._size = tokenizer.size
        self._texts = (*tokenizer.symbols, UNKNOWN_TEXT)

    def push(self, ids: Any) -> str:
        return "".join(self._texts[i] for i in checked_ids(ids, self._size).tolist())


def _code_points(text: str) -> NDArray[np.uint32]:
    # Surrogates cannot come from a UTF-8 file, but can from a command line: they pass here
    # and are then refused as characters that no vocabulary holds.
    data, _ = codecs.utf_32_le_encode(text, "surrogatepass")
    return np.frombuffer(data, dtype="<u4")


def _advance(text: str, line: int, column: int) -> tuple[int, int]:
    """Line and column (from 1) after `text`."""
    newlines = text.count("\n")
    if newlines:
        return line + newlines, len(text) - text.rfind("\n")
    return line, column + len(text)
