"""Reading text: what comes out, and what a bad file is told."""

import gzip
import io
import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rnn_xp.data.text import TextFile, TextString, text_digest
from rnn_xp.errors import DataError

# One file a test, written anew for each example.
SAME_FOLDER = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60
)
CHARACTERS = st.text(alphabet="ab \n\r靜夜思\U0001f600\u0301é\x85\u2028\ufeff", max_size=40)


def written(folder, data: bytes, name="a.txt"):
    path = folder / name
    path.write_bytes(data)
    return path


def read(path, **kwargs) -> str:
    return "".join(TextFile(path, **kwargs))


@SAME_FOLDER
@given(text=CHARACTERS.filter(lambda s: s.strip("\ufeff")), chunk=st.integers(1, 7))
def test_any_chunk_size_gives_the_text_with_universal_newlines(tmp_path, text, chunk):
    path = written(tmp_path, text.encode("utf-8"))
    expected = io.TextIOWrapper(io.BytesIO(text.encode("utf-8")), encoding="utf-8-sig").read()
    assert read(path, chunk_bytes=chunk) == expected
    assert all(TextFile(path, chunk_bytes=chunk)), "no piece is empty"


def test_can_be_read_again(tmp_path):
    source = TextFile(written(tmp_path, "春眠不覺曉\n".encode()))
    assert list(source) == list(source) == ["春眠不覺曉\n"]
    assert source.name == str(tmp_path / "a.txt")


def test_byte_order_mark_is_skipped_once(tmp_path):
    path = written(tmp_path, b"\xef\xbb\xbf\xef\xbb\xbfab")
    assert read(path) == "\ufeffab"
    assert read(path, chunk_bytes=1) == "\ufeffab"


def test_gzip(tmp_path):
    text = "處處聞啼鳥\r\n" * 1000
    path = written(tmp_path, gzip.compress(text.encode()), "a.txt.gz")
    assert read(path, chunk_bytes=100) == text.replace("\r\n", "\n")


@pytest.mark.parametrize("cut", [3, 40, -4])
def test_truncated_gzip(tmp_path, cut):
    data = gzip.compress(bytes(range(128)) * 50)
    path = written(tmp_path, data[:cut], "a.gz")
    with pytest.raises(DataError, match=r"a\.gz: is not a gzip file or is damaged .*gzip -t"):
        read(path)


@pytest.mark.parametrize("place", [0, 15, -5])
def test_damaged_gzip(tmp_path, place):
    data = bytearray(gzip.compress(b"To be, or not to be, that is the question" * 99))
    data[place] ^= 0xFF
    with pytest.raises(DataError, match="not a gzip file or is damaged"):
        read(written(tmp_path, bytes(data), "a.gz"))


@pytest.mark.parametrize(
    ("data", "line", "offset", "byte"),
    [
        (b"\xff", 1, 0, "ff"),
        (b"abc\nd\xe9f", 2, 5, "e9"),
        (b"a\r\nb\rc\n\xc3(", 4, 7, "c3"),
        (b"a\r\xff", 2, 2, "ff"),
        ("床前\n".encode() + b"\xe6\x98", 2, 7, "e6"),  # ends inside a character
        (b"\xef\xbb\xbfok\n\xed\xa0\x80", 2, 6, "ed"),  # an encoded surrogate
    ],
)
@pytest.mark.parametrize("chunk", [1, 2, 3, 1000])
def test_invalid_utf8_names_line_and_byte_offset(tmp_path, data, line, offset, byte, chunk):
    path = written(tmp_path, data)
    message = f"a.txt: not valid UTF-8 at line {line}, byte offset {offset} (byte 0x{byte}"
    with pytest.raises(DataError, match=re.escape(message)) as caught:
        read(path, chunk_bytes=chunk)
    assert "\n" not in str(caught.value)


@SAME_FOLDER
@given(
    before=CHARACTERS.filter(lambda s: not s.startswith("\ufeff")),
    after=CHARACTERS,
    chunk=st.integers(1, 9),
)
def test_bad_byte_is_found_anywhere(tmp_path, before, after, chunk):
    data = before.encode()
    line = 1 + len(re.findall(r"\r\n|\r|\n", before))
    path = written(tmp_path, data + b"\xfe" + after.encode())
    with pytest.raises(DataError, match=rf"line {line}, byte offset {len(data)} "):
        read(path, chunk_bytes=chunk)


def test_common_mistakes_are_named(tmp_path):
    with pytest.raises(DataError, match="looks like UTF-16"):
        read(written(tmp_path, "text".encode("utf-16")))
    with pytest.raises(DataError, match=r"looks gzipped; let its name end in \.gz"):
        read(written(tmp_path, gzip.compress(b"text")))


@pytest.mark.parametrize("data", [b"", b"\xef\xbb\xbf"])
def test_empty_file(tmp_path, data):
    with pytest.raises(DataError, match=r"a\.txt: the file is empty"):
        read(written(tmp_path, data))
    with pytest.raises(DataError, match="the file is empty"):
        read(written(tmp_path, gzip.compress(data), "a.gz"))


def test_what_is_not_a_file(tmp_path):
    with pytest.raises(DataError, match=r"nothing\.txt: no such file"):
        TextFile(tmp_path / "nothing.txt")
    with pytest.raises(DataError, match="is a folder"):
        TextFile(tmp_path)
    with pytest.raises(DataError, match="not a regular file"):
        TextFile("/dev/null")


def test_unreadable_file(tmp_path, monkeypatch):
    path = written(tmp_path, b"text")
    source = TextFile(path)

    def refuse(*args, **kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(type(path), "open", refuse)
    with pytest.raises(DataError, match=r"a\.txt: cannot be opened: Permission denied"):
        TextFile(path)
    with pytest.raises(DataError, match=r"a\.txt: cannot be read: Permission denied"):
        list(source)


def test_string_source():
    text = "白日依山盡" * 500_000
    pieces = list(TextString("poem", text))
    assert "".join(pieces) == text
    assert len(pieces) == 3
    with pytest.raises(DataError, match="poem: the text is empty"):
        TextString("poem", "")


def test_digest_does_not_depend_on_the_pieces():
    assert text_digest(["黃河", "入海流"]) == text_digest("黃河入海流") != text_digest("黃河")
