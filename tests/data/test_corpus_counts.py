"""Sizes of well-known corpora, as others count them."""

import numpy as np

from rnn_xp.data.text import TextFile
from rnn_xp.data.tokenizers import WordTokenizer, build_tokenizer


def test_penn_treebank_counts(shared_file):
    tokenizer = build_tokenizer("word", TextFile(shared_file("ptb/ptb.train.txt")))
    assert tokenizer.size == 10_000
    assert isinstance(tokenizer, WordTokenizer)
    assert tokenizer.symbols[24] == "<eos>"
    assert tokenizer.symbols[tokenizer.unknown or 0] == "<unk>"
    counts = {}
    for part in ("train", "valid", "test"):
        source = TextFile(shared_file(f"ptb/ptb.{part}.txt"))
        arrays = list(tokenizer.encode_chunks(source, source.name))
        counts[part] = sum(map(len, arrays))
        if part == "train":
            assert int(np.concatenate(arrays)[:1000].max()) + 1 == 418
    assert counts == {"train": 929_589, "valid": 73_760, "test": 82_430}


def test_wikitext_counts(shared_file):
    tokenizer = build_tokenizer("word", TextFile(shared_file("wikitext-2/train.txt")))
    assert tokenizer.size == 33_278
    for part, count in {"valid": 217_646, "test": 245_569}.items():
        source = TextFile(shared_file(f"wikitext-2/{part}.txt"))
        assert sum(map(len, tokenizer.encode_chunks(source))) == count


def test_shakespeare_counts(shared_file):
    source = TextFile(shared_file("tinyshakespeare/input.txt"))
    tokenizer = build_tokenizer("char", source)
    assert tokenizer.size == 65
    assert sum(map(len, tokenizer.encode_chunks(source))) == 1_115_394


def test_tang_poems(shared_file):
    path = shared_file("tang/wuyan_jueju.hant.txt")
    tokenizer = build_tokenizer("char", TextFile(path))
    text = path.read_text(encoding="utf-8")
    assert text.count("\n") == 3754
    assert tokenizer.decode(tokenizer.encode(text)) == text
