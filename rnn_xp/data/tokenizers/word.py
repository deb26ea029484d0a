"""Words between white space, with ``<eos>`` for the end of a line."""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, Self

import numpy as np

from rnn_xp.data.tokenizers.base import (
    Ids,
    StreamDecoder,
    Tokenizer,
    checked_ids,
    checked_symbols,
)
from rnn_xp.errors import DataError

EOS = "<eos>"
UNK = "<unk>"
_LISTED = 5


class WordTokenizer(Tokenizer):
    r"""Words split at white space; every ``\n`` is the token ``<eos>``.

    This is the convention of the Penn Treebank and WikiText files: a line is its words and
    one ``<eos>``. The word ``<unk>``, if the vocabulary holds it, stands for every word that
    it does not hold.

    Parameters
    ----------
    symbols : iterable of str
        The words; their order gives the ids. ``<eos>`` must be among them.

    Raises
    ------
    DataError
        If a word is empty, holds white space, or comes twice, or ``<eos>`` is missing.

    Notes
    -----
    The text that `decode` gives has one space between words and none beside a line end;
    encoding it again gives the same ids.
    """

    level = "word"

    def __init__(self, symbols: Iterable[str]):
        self.symbols = tuple(checked_symbols(list(symbols), self.level))
        for symbol in self.symbols:
            if symbol.split() != [symbol]:
                raise DataError(f"a word vocabulary holds {symbol!r}, which is not a word")
        self._ids = {word: i for i, word in enumerate(self.symbols)}
        if EOS not in self._ids:
            raise DataError(f"a word vocabulary needs {EOS}, the end of a line")

    @classmethod
    def build(
        cls,
        chunks: Iterable[str],
        *,
        max_size: int | None = None,
        min_count: int = 1,
        unknown: bool = False,
    ) -> Self:
        """Make the vocabulary of a text, in order of first appearance.

        Parameters
        ----------
        chunks : iterable of str
        max_size : int, optional
            Keep the most frequent words (of equals the earlier one), so that V is at most
            this, ``<eos>`` and ``<unk>`` included.
        min_count : int
            Keep the words that come at least this often.
        unknown : bool
            Whether to have ``<unk>`` even if no word is left out. A text that has the word
            itself, and one from which words are left out, have it in any case.

        Raises
        ------
        DataError
            If the text is empty, or `max_size` is less than 2.
        """
        if max_size is not None and max_size < 2:
            raise DataError(f"a word vocabulary of max_size {max_size}: expected at least 2")
        counts: Counter[str] = Counter()
        empty = True
        for piece in _words(chunks):
            counts.update(piece)
            empty = False
        if empty:
            raise DataError("a word vocabulary cannot be built from an empty text")
        counts.setdefault(EOS, 0)
        words = [word for word in counts if word not in (EOS, UNK)]
        kept = [word for word in words if counts[word] >= min_count]
        has_unknown = unknown or UNK in counts or len(kept) < len(words)
        if max_size is not None and len(kept) + 1 + has_unknown > max_size:
            has_unknown = True
            kept = sorted(kept, key=lambda word: -counts[word])[: max_size - 2]
        if has_unknown:
            counts.setdefault(UNK, 0)
        chosen = {*kept, EOS, UNK}
        return cls(word for word in counts if word in chosen)

    @property
    def size(self) -> int:
        """V: the words with ``<eos>`` and, if there is one, ``<unk>``."""
        return len(self.symbols)

    @property
    def unknown(self) -> int | None:
        """The id of ``<unk>``, or None."""
        return self._ids.get(UNK)

    def head(self, size: int) -> "WordTokenizer":
        """Return a tokenizer of the first `size` words, with the same ids."""
        return WordTokenizer(self.symbols[:size])

    def encode_chunks(self, chunks: Iterable[str], where: str = "text") -> Iterator[Ids]:
        """Encode a text that comes in pieces (see `Tokenizer.encode_chunks`)."""
        known, unknown = self._ids, self.unknown
        line = 1
        for words in _words(chunks):
            if unknown is not None:
                ids = [known.get(word, unknown) for word in words]
            else:
                ids = [known.get(word, -1) for word in words]
                if -1 in ids:
                    line += words[: ids.index(-1)].count(EOS)
                    missing = list(dict.fromkeys(w for w in words if w not in known))
                    raise DataError(self._refusal(where, line, missing))
                line += words.count(EOS)
            yield np.array(ids, dtype=np.int64)

    def _refusal(self, where: str, line: int, missing: list[str]) -> str:
        named = ", ".join(repr(word) for word in missing[:_LISTED])
        if len(missing) > _LISTED:
            named += f" and {len(missing) - _LISTED} more"
        return (
            f"{where}: not in the vocabulary: {named}; first at line {line}; the vocabulary "
            f"holds {self.size} words and no {UNK}; leave out what it does not hold, train on "
            f"text that has it or has {UNK}, or use char or byte level"
        )

    def decode_stream(self) -> StreamDecoder:
        """Return a decoder that takes ids one by one."""
        return _WordDecoder(self)

    def to_json(self) -> dict[str, Any]:
        """Return level and words."""
        return {"level": self.level, "symbols": list(self.symbols)}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """Make a tokenizer from what `to_json` gave."""
        return cls(checked_symbols(data.get("symbols"), cls.level))


class _WordDecoder(StreamDecoder):
    def __init__(self, tokenizer: WordTokenizer):
        self._symbols = tokenizer.symbols
        self._glue = ""  # what goes before the next word

    def push(self, ids: Any) -> str:
        parts: list[str] = []
        for i in checked_ids(ids, len(self._symbols)).tolist():
            word = self._symbols[i]
            if word == EOS:
                parts.append("\n")
                self._glue = ""
            else:
                parts += (self._glue, word)
                self._glue = " "
        return "".join(parts)


def _words(chunks: Iterable[str]) -> Iterator[list[str]]:
    """Words and ``<eos>`` of each piece; a word cut by the end of a piece is put together."""
    pending: list[str] = []
    for chunk in chunks:
        cut = max(chunk.rfind(" "), chunk.rfind("\n")) + 1
        if cut == 0:
            pending.append(chunk)
            continue
        yield _split("".join((*pending, chunk[:cut])))
        pending = [chunk[cut:]]
    last = "".join(pending)
    if last:
        yield _split(last)


def _split(text: str) -> list[str]:
    return text.replace("\n", f" {EOS} ").split()
