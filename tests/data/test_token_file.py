"""Token files: what is written comes back, and nothing else is taken for one."""

import json
import tracemalloc

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rnn_xp.data.batches import ContiguousStreams
from rnn_xp.data.text import TextFile, TextString
from rnn_xp.data.token_file import (
    HEADER_BYTES,
    encode_corpus,
    open_token_file,
    split_tail,
    token_dtype,
    write_token_file,
)
from rnn_xp.data.tokenizers import ByteTokenizer, CharTokenizer, WordTokenizer
from rnn_xp.errors import CheckpointError, DataError

POEM = "千山鳥飛絕,萬徑人蹤滅。\n"


@pytest.mark.parametrize(
    ("size", "dtype"),
    [(1, "u1"), (256, "u1"), (257, "<u2"), (65536, "<u2"), (65537, "<u4"), (2**32, "<u4")],
)
def test_smallest_dtype(size, dtype):
    assert token_dtype(size) == np.dtype(dtype)


def test_no_dtype_is_large_enough():
    with pytest.raises(DataError, match="expected at most 4294967296"):
        token_dtype(2**32 + 1)


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=40
)
@given(
    pieces=st.lists(st.lists(st.integers(0, 299), max_size=5)), size=st.sampled_from([300, 70_000])
)
def test_round_trip(tmp_path, pieces, size):
    tokenizer = CharTokenizer(chr(0x4E00 + i) for i in range(300))
    if size > 65536:
        tokenizer = WordTokenizer(["<eos>", *map(str, range(size - 1))])
    arrays = [np.array(piece, dtype=np.int64) for piece in pieces]
    ids = write_token_file(tmp_path / "a.tokens", arrays, tokenizer, source_digest="x")
    assert ids.dtype == token_dtype(size)
    assert ids.tolist() == [i for piece in pieces for i in piece]
    assert [p.name for p in tmp_path.iterdir()] == ["a.tokens"]


def test_the_header_can_be_read_by_eye(tmp_path):
    write_token_file(tmp_path / "a", [np.arange(3)], ByteTokenizer(), source_digest="z" * 100)
    line = (tmp_path / "a").read_bytes()[:HEADER_BYTES].decode()
    assert line.endswith(" \n")
    assert json.loads(line)["count"] == 3
    for bad in ("z" * 101, "\x00" * 20):
        with pytest.raises(DataError, match=r"source_digest .* too long"):
            write_token_file(tmp_path / "a", [], ByteTokenizer(), source_digest=bad)


def test_small_stays_in_memory_and_large_goes_to_disk(tmp_path):
    source = TextString("poem", POEM * 200_000)  # three pieces
    tokenizer = CharTokenizer.build(source)
    path = tmp_path / "a.tokens"
    small = encode_corpus(source, tokenizer, path)
    assert not path.exists()
    large = encode_corpus(source, tokenizer, path, memory_limit=1_500_000, source_digest="d")
    assert path.stat().st_size == HEADER_BYTES + len(POEM) * 200_000
    assert isinstance(large.base, np.memmap)
    assert type(large) is np.ndarray
    assert small.dtype == large.dtype == np.uint8
    np.testing.assert_array_equal(small, large)
    np.testing.assert_array_equal(open_token_file(path, tokenizer, source_digest="d"), small)
    np.testing.assert_array_equal(encode_corpus(source, tokenizer, memory_limit=1), small)


def test_a_corpus_is_never_in_memory_whole(tmp_path):
    text = tmp_path / "a.txt"
    with text.open("w", encoding="utf-8") as file:
        for _ in range(100):
            file.write("0123456789abcdef\n" * 10_000)  # 17 MB in all
    source = TextFile(text, chunk_bytes=1 << 16)
    tracemalloc.start()
    tokenizer = CharTokenizer.build(source)
    ids = encode_corpus(source, tokenizer, tmp_path / "a.tokens", memory_limit=1 << 20)
    streams = ContiguousStreams(ids, 4, 5)
    x, t = next(streams)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(ids) == 17_000_000
    assert (x.shape, t.shape) == ((4, 5), (4, 5))
    assert peak < 8_000_000


def test_unknown_characters_name_the_text(tmp_path):
    path = tmp_path / "a.tokens"
    source = TextString("valid.txt", "ab" * 1_000_000 + "z")
    with pytest.raises(DataError, match=r"valid\.txt: not in the vocabulary: 'z'"):
        encode_corpus(source, CharTokenizer("ab"), path, memory_limit=1)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(DataError, match="text: not in"):
        encode_corpus(["z"], CharTokenizer("ab"))


def test_empty():
    assert encode_corpus([], ByteTokenizer()).shape == (0,)


def test_full_disk_leaves_nothing(tmp_path, full_disk):
    path = tmp_path / "a.tokens"
    with full_disk(), pytest.raises(DataError, match=r"a\.tokens: cannot be written: No space"):
        write_token_file(path, [np.zeros(10**6, dtype=np.int64)] * 3, ByteTokenizer())
    with full_disk(), pytest.raises(DataError, match="free some space"):
        write_token_file(path, [np.zeros(3, dtype=np.int64)], ByteTokenizer())
    assert not path.exists()


def test_wrong_vocabulary_and_wrong_text(tmp_path):
    path = tmp_path / "a.tokens"
    write_token_file(path, [np.arange(3)], CharTokenizer("abc"), source_digest="one")
    open_token_file(path)
    with pytest.raises(CheckpointError, match=r"a\.tokens: holds ids of another vocabulary"):
        open_token_file(path, CharTokenizer("abd"))
    with pytest.raises(CheckpointError, match="another text"):
        open_token_file(path, source_digest="two")


def test_damaged_files(tmp_path):
    path = tmp_path / "a.tokens"
    write_token_file(path, [np.arange(200)], ByteTokenizer())
    good = path.read_bytes()
    header = json.loads(good[:HEADER_BYTES])

    def with_header(**changes):
        changed = json.dumps({**header, **changes}).encode()
        return changed.ljust(HEADER_BYTES) + good[HEADER_BYTES:]

    wrong_length = [good[:-1], good + b"x", good[:HEADER_BYTES], with_header(count=100)]
    no_header = [
        b"",
        good[:100],
        b"\xff" * 1000,
        b"3".ljust(HEADER_BYTES),
        with_header(format_version=2),
        with_header(dtype="O"),
        with_header(dtype=["u1"]),
        with_header(count=-1),
        with_header(count="200"),
        json.dumps({"format_version": 1, "dtype": "|u1", "count": 0}).encode(),
    ]
    for message, contents in ((r"has \d+ bytes, expected", wrong_length), ("damaged", no_header)):
        for content in contents:
            path.write_bytes(content)
            with pytest.raises(CheckpointError, match=rf"a\.tokens: .*{message}.*delete it"):
                open_token_file(path)
    with pytest.raises(CheckpointError, match="no such token file"):
        open_token_file(tmp_path / "b")
    with pytest.raises(CheckpointError, match="cannot be read"):
        open_token_file(tmp_path)


@given(st.integers(4, 3000), st.floats(0.01, 0.99))
def test_split(count, fraction):
    tokens = np.arange(count, dtype=np.uint16)
    held = int(count * fraction)
    if min(held, count - held) < 2:
        with pytest.raises(DataError, match=f"the text has {count} tokens, too few"):
            split_tail(tokens, fraction)
        return
    train, valid = split_tail(tokens, fraction)
    assert len(valid) == held
    assert np.concatenate([train, valid]).tolist() == tokens.tolist()
    assert np.shares_memory(train, tokens)


@pytest.mark.parametrize("fraction", [0.0, 1.0, -1.0, float("nan")])
def test_split_refuses(fraction):
    with pytest.raises(DataError, match="expected between 0 and 1"):
        split_tail(np.arange(100), fraction)
