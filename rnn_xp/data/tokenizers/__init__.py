"""Tokenizers: text to ids and back, by characters, words or bytes."""

import os
from collections.abc import Iterable
from typing import Any

from rnn_xp.data.tokenizers.base import StreamDecoder, Tokenizer, read_vocabulary
from rnn_xp.data.tokenizers.byte import ByteTokenizer
from rnn_xp.data.tokenizers.char import CharTokenizer
from rnn_xp.data.tokenizers.word import WordTokenizer
from rnn_xp.errors import CheckpointError, DataError

LEVELS: dict[str, type[Tokenizer]] = {
    "char": CharTokenizer,
    "word": WordTokenizer,
    "byte": ByteTokenizer,
}

__all__ = [
    "LEVELS",
    "ByteTokenizer",
    "CharTokenizer",
    "StreamDecoder",
    "Tokenizer",
    "WordTokenizer",
    "build_tokenizer",
    "load_tokenizer",
    "tokenizer_from_json",
]


def build_tokenizer(level: str, chunks: Iterable[str]) -> Tokenizer:
    """Make a tokenizer with the vocabulary of a text.

    Parameters
    ----------
    level : {"char", "word", "byte"}
    chunks : iterable of str
        The text in pieces; read once (not at all for bytes).

    Raises
    ------
    DataError
        If there is no such level, or the text cannot be read.
    """
    return _of_level(level).build(chunks)


def tokenizer_from_json(data: dict[str, Any]) -> Tokenizer:
    """Make a tokenizer from what `Tokenizer.to_json` gave.

    Raises
    ------
    DataError
        If it is something else.
    """
    return _of_level(data.get("level")).from_json(data)


def load_tokenizer(path: str | os.PathLike[str]) -> Tokenizer:
    """Read a ``vocab.json`` that `Tokenizer.save` wrote.

    Raises
    ------
    CheckpointError
        If it is missing, damaged, or of another format.
    """
    data = read_vocabulary(path)
    try:
        return tokenizer_from_json(data)
    except DataError as error:
        raise CheckpointError(f"{path}: damaged, not a vocabulary file: {error}") from error


def _of_level(level: Any) -> type[Tokenizer]:
    if not isinstance(level, str) or level not in LEVELS:
        raise DataError(f"unknown level {level!r}, expected one of {', '.join(LEVELS)}")
    return LEVELS[level]
