"""Vocabulary files: written and read back, damaged, interrupted."""

import json

import pytest

from rnn_xp.data.tokenizers import (
    ByteTokenizer,
    CharTokenizer,
    Tokenizer,
    WordTokenizer,
    load_tokenizer,
    tokenizer_from_json,
)
from rnn_xp.errors import CheckpointError, RnnXpError
from rnn_xp.files import atomic_write

POEM = "白日依山盡,黃河入海流。\n欲窮千里目,更上一層樓。\n"
TOKENIZERS = [
    CharTokenizer.build([POEM + '\t"\\\x00\U0001f600']),
    CharTokenizer("ab", unknown=True),
    WordTokenizer.build([POEM]),
    ByteTokenizer(),
]


@pytest.mark.parametrize("tokenizer", TOKENIZERS, ids=repr)
def test_vocabulary_file(tmp_path, tokenizer: Tokenizer):
    path = tmp_path / "vocab.json"
    tokenizer.save(path)
    loaded = load_tokenizer(path)
    assert type(loaded) is type(tokenizer)
    assert loaded == tokenizer
    assert (loaded.digest, loaded.size, loaded.unknown) == (
        tokenizer.digest,
        tokenizer.size,
        tokenizer.unknown,
    )
    assert tokenizer_from_json(tokenizer.to_json()) == tokenizer
    assert json.loads(path.read_text(encoding="utf-8"))["format_version"] == 1
    assert [p.name for p in tmp_path.iterdir()] == ["vocab.json"]


def test_different_vocabularies_differ():
    assert len({t.digest for t in TOKENIZERS}) == len(set(TOKENIZERS)) == len(TOKENIZERS)
    assert CharTokenizer("ab") != CharTokenizer("ba")
    assert CharTokenizer("ab") != "ab"


def test_chinese_stays_readable_in_the_file(tmp_path):
    CharTokenizer("白日").save(tmp_path / "v.json")
    assert "白" in (tmp_path / "v.json").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"[]",
        b"3",
        b"[" * 100_000,
        b'{"level": "char", "symbols": ["a"], "unknown": false}',
        b'{"format_version": true}',
        b'{"format_version": 2, "level": "byte"}',
        b'{"format_version": 1}',
        b'{"format_version": 1, "level": "bits"}',
        b'{"format_version": 1, "level": ["char"]}',
        b'{"format_version": 1, "level": "char"}',
        b'{"format_version": 1, "level": "char", "symbols": "ab", "unknown": false}',
        b'{"format_version": 1, "level": "char", "symbols": ["a", 1], "unknown": false}',
        b'{"format_version": 1, "level": "char", "symbols": ["a", "a"], "unknown": false}',
        b'{"format_version": 1, "level": "char", "symbols": ["a"], "unknown": 3}',
        b'{"format_version": 1, "level": "char", "symbols": ["\\ud800"], "unknown": false}',
        b'{"format_version": 1, "level": "word", "symbols": []}',
        b'{"format_version": 1, "level": "word", "symbols": ["a"]}',
    ],
)
def test_damaged_vocabulary_file(tmp_path, content):
    path = tmp_path / "vocab.json"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"vocab\.json: ") as caught:
        load_tokenizer(path)
    assert "\n" not in str(caught.value)


def test_missing_vocabulary_file(tmp_path):
    with pytest.raises(CheckpointError, match="no such file"):
        load_tokenizer(tmp_path / "vocab.json")
    with pytest.raises(CheckpointError, match="cannot be read"):
        load_tokenizer(tmp_path)


def test_full_disk_keeps_the_old_vocabulary(tmp_path, full_disk):
    path = tmp_path / "vocab.json"
    CharTokenizer("ab").save(path)
    before = path.read_bytes()
    with full_disk(), pytest.raises(CheckpointError, match=r"vocab\.json: .*[Nn]o space left"):
        CharTokenizer("白日").save(path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["vocab.json"]


def test_missing_folder(tmp_path):
    with pytest.raises(CheckpointError, match="cannot be written: No such file or directory"):
        ByteTokenizer().save(tmp_path / "none" / "vocab.json")


def test_interrupted_write_leaves_nothing(tmp_path):
    def interrupted():
        with atomic_write(tmp_path / "a", RnnXpError) as file:
            file.write(b"half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert list(tmp_path.iterdir()) == []
