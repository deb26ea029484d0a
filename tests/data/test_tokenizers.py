"""Tokenizers: round trips, streaming, and what they refuse."""

import re
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnn_xp.data import tokenizers as tk
from rnn_xp.data.tokenizers import (
    ByteTokenizer,
    CharTokenizer,
    WordTokenizer,
    build_tokenizer,
)
from rnn_xp.errors import DataError

POEM = "白日依山盡,黃河入海流。\n欲窮千里目,更上一層樓。\n"
PIECES = st.lists(st.text(alphabet="ab \n\t白日\U0001f600\U0001f468\u200d\u0301é\xa0", max_size=9))
ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)


def joined(arrays) -> list[int]:
    return [int(i) for array in arrays for i in array]


@given(ANY_TEXT)
def test_char_and_byte_round_trip(text):
    for level in ("char", "byte"):
        tokenizer = build_tokenizer(level, [text])
        ids = tokenizer.encode(text)
        assert ids.dtype == np.int64
        assert tokenizer.decode(ids) == text
        assert ids.max() < tokenizer.size
    assert CharTokenizer.build([text]).symbols == tuple(sorted(set(text)))


@given(ANY_TEXT)
def test_word_round_trip(text):
    tokenizer = WordTokenizer.build([text])
    ids = tokenizer.encode(text)
    decoded = tokenizer.decode(ids)
    assert decoded.split() == text.replace("<eos>", "\n").split()
    assert decoded.count("\n") == text.replace("<eos>", "\n").count("\n")
    assert tokenizer.encode(decoded).tolist() == ids.tolist()


@pytest.mark.parametrize("level", tk.LEVELS)
@given(pieces=PIECES.filter(any))
def test_pieces_do_not_matter(level, pieces):
    text = "".join(pieces)
    whole, parts = build_tokenizer(level, [text]), build_tokenizer(level, pieces)
    assert whole == parts
    assert whole.digest == parts.digest
    assert joined(parts.encode_chunks(pieces)) == whole.encode(text).tolist()


@pytest.mark.parametrize("level", tk.LEVELS)
@given(text=ANY_TEXT, data=st.data())
def test_decoding_one_by_one_gives_the_same(level, text, data):
    tokenizer = build_tokenizer(level, [text])
    ids = data.draw(st.lists(st.integers(0, tokenizer.size - 1)))
    decoder = tokenizer.decode_stream()
    pieces = [decoder.push(i) for i in ids]
    assert "".join(pieces) + decoder.finish() == tokenizer.decode(ids)
    assert tokenizer.decode(np.array(ids, dtype=np.int32)) == tokenizer.decode(ids)


def test_byte_stream_waits_for_the_whole_character():
    decoder = ByteTokenizer().decode_stream()
    assert [decoder.push(int(i)) for i in "a白".encode()] == ["a", "", "", "白"]
    assert decoder.push([0xE7]) == ""
    assert decoder.finish() == "\ufffd"
    assert ByteTokenizer().decode([0xFF, 0x61]) == "\ufffda"


def test_word_stream_puts_spaces_and_lines():
    tokenizer = WordTokenizer.build(["the cat sat\non the mat\n"])
    ids = tokenizer.encode("the cat\non  the\tmat\n\nsat")
    decoder = tokenizer.decode_stream()
    pieces = [decoder.push(i) for i in ids]
    assert pieces == ["the", " cat", "\n", "on", " the", " mat", "\n", "\n", "sat"]


def test_char_vocabulary_has_an_unknown_symbol_only_if_asked():
    plain, more = CharTokenizer.build([POEM]), CharTokenizer.build([POEM], unknown=True)
    assert plain.size == len(set(POEM)) == more.size - 1
    assert plain.unknown is None
    assert more.unknown == more.size - 1
    assert more.encode("白x河").tolist() == [*plain.encode("白"), more.unknown, *plain.encode("河")]
    assert more.decode(more.encode("白x河")) == "白\ufffd河"


def test_unknown_characters_are_listed():
    tokenizer = CharTokenizer("ab \n")
    with pytest.raises(DataError) as caught:
        tokenizer.encode("ab\na 白é白cdef", "prompt")
    message = str(caught.value)
    assert message.startswith(
        "prompt: not in the vocabulary: '白' (U+767D), 'é' (U+00E9), 'c' (U+0063), "
        "'d' (U+0064), 'e' (U+0065) and 1 more; first at line 2, column 3 (character offset 5); "
        "the vocabulary holds 4 characters: 'ab \\n'; "
    )
    assert "\n" not in message


@given(before=st.lists(st.text(alphabet="ab\n", max_size=5)), cut=st.integers(0, 3))
def test_first_unknown_character_of_a_stream_is_located(before, cut):
    text = "".join(before)
    line, column = text.count("\n") + 1, len(text) - (text.rfind("\n") + 1) + 1
    tail = "aab"[:cut]
    expected = f"line {line}, column {column + cut} (character offset {len(text) + cut})"
    with pytest.raises(DataError, match=re.escape(expected)):
        list(CharTokenizer("ab\n").encode_chunks([*before, tail + "z" + "ab"], "valid.txt"))


def test_surrogates_of_a_command_line():
    broken = b"a\xff".decode("utf-8", "surrogateescape")
    assert ByteTokenizer().encode(broken).tolist() == [0x61, 0xFF]
    with pytest.raises(DataError, match=r"prompt: U\+D800 is half of a surrogate pair"):
        ByteTokenizer().encode("\ud800", "prompt")
    with pytest.raises(DataError, match=r"\(U\+DCFF\)"):
        CharTokenizer("a").encode(broken)
    with pytest.raises(DataError, match="expected one character"):
        CharTokenizer.build([broken])


def test_words_in_order_of_first_appearance():
    tokenizer = WordTokenizer.build([" b a <unk>\n a c \n"])
    assert tokenizer.symbols == ("b", "a", "<unk>", "<eos>", "c")
    assert tokenizer.unknown == 2
    assert tokenizer.encode("c new\n").tolist() == [4, 2, 3]
    assert tokenizer.head(4).symbols == ("b", "a", "<unk>", "<eos>")
    assert CharTokenizer("abc").head(2).symbols == ("a", "b")


def test_unknown_words():
    tokenizer = WordTokenizer.build(["to be\nor not\n"])
    assert tokenizer.unknown is None
    with pytest.raises(DataError) as caught:
        list(tokenizer.encode_chunks(["to be\n", "or be", "e 白\nto"], "valid.txt"))
    assert str(caught.value).startswith(
        "valid.txt: not in the vocabulary: 'bee', '白'; first at line 2; "
        "the vocabulary holds 5 words and no <unk>; "
    )
    with pytest.raises(DataError, match=r"'1', '2', '3', '4', '5' and 2 more; first at line 3"):
        tokenizer.encode("to\n\n1 2 3 4 5 6 7 1")
    assert WordTokenizer.build(["to be"], unknown=True).symbols == ("to", "be", "<eos>", "<unk>")


@given(
    st.lists(st.sampled_from(["a", "b", "c", "d", "e", "<unk>", "\n"]), min_size=1),
    st.integers(2, 8),
    st.integers(1, 3),
)
def test_smaller_word_vocabularies(tokens, max_size, min_count):
    text = " ".join(tokens)
    tokenizer = WordTokenizer.build([text], max_size=max_size, min_count=min_count)
    counts = Counter(w for w in tokens if w not in ("\n", "<unk>"))
    kept = [w for w in tokenizer.symbols if w in counts]
    left_out = [w for w in counts if w not in kept]
    assert tokenizer.size <= max_size
    assert all(counts[w] >= min_count for w in kept)
    assert min((counts[w] for w in kept), default=99) >= max(
        (counts[w] for w in left_out if counts[w] >= min_count), default=0
    )
    assert (tokenizer.unknown is not None) == ("<unk>" in tokens or bool(left_out))
    assert len(tokenizer.encode(text)) == len(tokens)
    if any(counts[w] >= min_count for w in left_out):
        assert tokenizer.size == max_size, "no room is wasted"


def test_words_keep_their_order_when_some_are_left_out():
    tokenizer = WordTokenizer.build(["x c c b b b a"], max_size=4)
    assert tokenizer.symbols == ("c", "b", "<eos>", "<unk>")


def test_a_word_longer_than_many_pieces():
    pieces = ["a"] * 1000 + [" b"]
    assert WordTokenizer.build(pieces).symbols == ("a" * 1000, "b", "<eos>")


def test_nothing_to_encode():
    for tokenizer in (CharTokenizer("a"), WordTokenizer(["<eos>"]), ByteTokenizer()):
        assert tokenizer.encode("").shape == (0,)
        assert tokenizer.encode("").dtype == np.int64
        assert tokenizer.decode([]) == ""


@pytest.mark.parametrize("level", ["char", "word"])
def test_empty_text_has_no_vocabulary(level):
    with pytest.raises(DataError, match=f"a {level} vocabulary"):
        build_tokenizer(level, [])


@pytest.mark.parametrize(
    "make",
    [
        lambda: CharTokenizer(["ab"]),
        lambda: CharTokenizer("aa"),
        lambda: WordTokenizer(["a"]),
        lambda: WordTokenizer(["a b", "<eos>"]),
        lambda: WordTokenizer(["", "<eos>"]),
        lambda: WordTokenizer.build(["a"], max_size=1),
        lambda: build_tokenizer("syllable", ["a"]),
        lambda: CharTokenizer("a").decode([1]),
        lambda: CharTokenizer("a").decode([-1]),
        lambda: CharTokenizer("a").decode([0.0]),
        lambda: ByteTokenizer().decode([256]),
    ],
)
def test_refused(make):
    with pytest.raises(DataError):
        make()
