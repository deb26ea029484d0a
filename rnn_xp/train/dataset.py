"""From the settings to a vocabulary, training batches and validation batches."""

import contextlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rnn_xp.data import (
    BookStreams,
    CharRnnStreams,
    CharTokenizer,
    ContiguousStreams,
    DataSource,
    TextSource,
    TokenBatches,
    Tokenizer,
    WordTokenizer,
    book_evaluation_batches,
    build_tokenizer,
    char_rnn_split,
    encode_corpus,
    evaluation_batches,
    open_token_file,
    resolve_data,
    split_tail,
    text_digest,
)
from rnn_xp.data.corpora import CORPORA, DEFAULT_CORPUS
from rnn_xp.data.tokenizers.word import EOS
from rnn_xp.errors import CheckpointError, DataError
from rnn_xp.train.evaluate import BOOK_BATCH, BOOK_BPTT
from rnn_xp.train.settings import NO_VALIDATION, TrainSettings

Batches = Iterator[tuple[Any, Any]]


@dataclass(slots=True)
class TrainingData:
    """What a run reads.

    Attributes
    ----------
    tokenizer : Tokenizer
    batches : TokenBatches
    validation : callable or None
        Returns the validation batches from the beginning; None if there is no validation.
    valid_tokens : int
        How many tokens they predict.
    description : dict
        For ``config.json``: names, digests and sizes.
    notes : list of str
        Lines for the user.
    """

    tokenizer: Tokenizer
    batches: TokenBatches
    validation: Callable[[], Batches] | None
    valid_tokens: int
    description: dict[str, Any]
    notes: list[str] = field(default_factory=list)


def absolute_data(settings: TrainSettings) -> TrainSettings:
    """The same settings with absolute paths, so that a run resumes from any folder.

    The name of a corpus stays as it is, whatever files there are: ``./kjv`` is a file.
    """
    data, valid = settings.data, settings.valid
    if data is None:
        data = DEFAULT_CORPUS
    elif data.startswith("ptb:"):
        data = "ptb:" + os.path.abspath(data.removeprefix("ptb:"))
    elif data not in CORPORA and (os.sep in data or Path(data).exists()):
        data = os.path.abspath(data)
    if valid is not None and valid != NO_VALIDATION:
        valid = os.path.abspath(valid)
    return settings.replace(data=data, valid=valid)


def prepare_data(
    settings: TrainSettings,
    folder: Path,
    *,
    tokenizer: Tokenizer | None = None,
    recorded: dict[str, Any] | None = None,
) -> TrainingData:
    """Read the texts, make or take the vocabulary, and encode.

    Parameters
    ----------
    settings : TrainSettings
    folder : Path
        Where token files go if the ids are too many for memory.
    tokenizer : Tokenizer, optional
        That of the run to resume.
    recorded : dict, optional
        The description of the run to resume, with the digests that the texts must have.

    Raises
    ------
    DataError
        If a text cannot be read or encoded, or is too short.
    CheckpointError
        If a text is not the one that the run to resume was trained on.
    """
    held_back = settings.valid is None
    no_validation = settings.valid == NO_VALIDATION
    source = resolve_data(settings.data, None if held_back or no_validation else settings.valid)
    other = None if no_validation else source.valid
    notes = [] if source.note is None else [source.note]
    digests = {"train": text_digest(source.train)}
    if other is not None:
        digests["valid"] = text_digest(other)
    if recorded is not None:
        _same_texts(digests, recorded, source)
    kept = tokenizer
    if tokenizer is None or settings.max_tokens is not None:
        tokenizer = _vocabulary(settings, source, other, notes)
    ids = _encode(source.train, tokenizer, folder / "train.tokens", digests["train"])
    if settings.max_tokens is not None:
        ids = ids[: settings.max_tokens]
        if isinstance(tokenizer, WordTokenizer):
            tokenizer = _only_seen(tokenizer, ids)
        if kept is not None and kept != tokenizer:
            raise CheckpointError(
                f"{folder / 'vocab.json'}: is not the vocabulary of this run; restore it"
            )
    valid_ids = None
    if other is not None:
        valid_ids = _encode(other, tokenizer, folder / "valid.tokens", digests["valid"])
    held = f"the end of {source.train.name}" if other is None else other.name
    names = source.train.name, held
    batches, validation, valid_tokens = _cut(settings, ids, valid_ids, no_validation, names)
    description = {
        "name": source.name,
        "train": source.train.name,
        "valid": None if other is None else other.name,
        "digests": digests,
        "train_tokens": len(batches.ids),
        "valid_tokens": valid_tokens,
        "vocab_size": tokenizer.size,
        "vocab_digest": tokenizer.digest,
    }
    return TrainingData(tokenizer, batches, validation, valid_tokens, description, notes)


def _same_texts(digests: dict[str, str], recorded: dict[str, Any], source: DataSource) -> None:
    before = recorded.get("digests", {})
    for part, what in (("train", "training"), ("valid", "validation")):
        if (part in digests) != (part in before):
            raise CheckpointError(
                f"{source.name}: the run has {'a' if part in before else 'no'} {what} text of its "
                "own, a resume cannot change that; leave --valid out, or start a new run"
            )
        if digests.get(part) != before.get(part):
            raise CheckpointError(
                f"{source.name}: the {what} text is not the one that this run was started with "
                f"({recorded.get(part)}); restore it, name it with --data, or start a new run"
            )


def _vocabulary(
    settings: TrainSettings, source: DataSource, other: TextSource | None, notes: list[str]
) -> Tokenizer:
    level = settings.level or source.level
    if settings.unknown and level != "char":
        raise ValueError(
            f"--unknown is for characters, it needs --level char, not {level}: a word vocabulary "
            "may have <unk>, and bytes are all known"
        )
    if level == "word":
        return WordTokenizer.build(
            source.train,
            max_size=settings.vocab_size,
            min_count=settings.min_count,
            unknown=settings.max_tokens is None,
        )
    if settings.vocab_size is not None or settings.min_count > 1:
        raise ValueError(
            f"--vocab-size and --min-count choose among words, they need --level word, not {level}"
        )
    if settings.unknown:
        return CharTokenizer.build(source.train, unknown=True)
    tokenizer = build_tokenizer(level, source.train)
    if isinstance(tokenizer, CharTokenizer) and other is not None:
        new = set(CharTokenizer.build(other).symbols) - set(tokenizer.symbols)
        if new:
            some = " ".join(repr(c) for c in sorted(new)[:5]) + (" ..." if len(new) > 5 else "")
            notes.append(
                f"{other.name} has {len(new)} characters that the training text has not "
                f"({some}): they count as one unknown character"
            )
            return CharTokenizer(tokenizer.symbols, unknown=True)
    return tokenizer


def _only_seen(tokenizer: WordTokenizer, ids: Any) -> WordTokenizer:
    """The words of the tokens that are trained on: the first ones, as ids are given in order."""
    if len(ids) == 0:
        return tokenizer
    return tokenizer.head(max(int(ids.max()), tokenizer.symbols.index(EOS)) + 1)


def _encode(source: TextSource, tokenizer: Tokenizer, path: Path, digest: str) -> Any:
    if path.exists():
        try:
            return open_token_file(path, tokenizer, source_digest=digest)
        except CheckpointError:
            # Of another text or vocabulary: it is made anew below.
            _remove(path)
    return encode_corpus(source, tokenizer, path, source_digest=digest)


def _remove(path: Path) -> None:
    try:
        path.unlink()
    except OSError as error:
        raise CheckpointError(
            f"{path}: cannot be replaced by a file of tokens: {error.strerror}; move it away"
        ) from error


@contextlib.contextmanager
def _named(text: str) -> Iterator[None]:
    """Let errors say which text they are about."""
    try:
        yield
    except DataError as error:
        raise DataError(f"{text}: {error}") from error


def _cut(
    settings: TrainSettings, ids: Any, valid_ids: Any, no_validation: bool, names: tuple[str, str]
) -> tuple[TokenBatches, Callable[[], Batches] | None, int]:
    """Training batches, and how to make the validation batches."""
    N, T = settings.batch, settings.bptt
    if settings.batching == "char-rnn" and valid_ids is None and not no_validation:
        with _named(names[0]):
            train, held = char_rnn_split(ids, N, T, 1.0 - settings.valid_fraction)

        def blocks() -> Batches:
            return (held.batch(number) for number in range(held.steps_per_epoch))

        return train, blocks, held.tokens_per_epoch
    batches: TokenBatches
    with _named(names[0]):
        if valid_ids is None and not no_validation:
            ids, valid_ids = split_tail(ids, settings.valid_fraction)
        if settings.batching == "dlfs2":
            batches = BookStreams(ids, N, T, rewind=bool(settings.reset_state_each_epoch))
        else:
            kinds = {"streams": ContiguousStreams, "char-rnn": CharRnnStreams}
            batches = kinds[settings.batching](ids, N, T)
    if valid_ids is None:
        return batches, None, 0
    held_ids = valid_ids

    def rows() -> Batches:
        if settings.valid_protocol == "dlfs2":
            return book_evaluation_batches(held_ids, BOOK_BATCH, BOOK_BPTT)
        return evaluation_batches(held_ids, settings.valid_batch, max(T, 32))

    with _named(f"validation: {names[1]}"):
        rows()  # a text that is too short is refused now, not after an hour
    if settings.valid_protocol == "dlfs2":
        block = BOOK_BATCH * BOOK_BPTT
        return batches, rows, (len(held_ids) - 1) // block * block
    return batches, rows, len(held_ids) - 1
