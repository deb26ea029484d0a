"""Pickles that are damaged, or made to take all memory: one clear error each."""

import contextlib
import pickle
import struct

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pickle_helpers import (
    F2,
    RECONSTRUCT,
    read_watched,
    text,
)

from rnn_xp.errors import CheckpointError
from rnn_xp.interop import pickles
from rnn_xp.interop.pickles import read_pickle


def test_every_truncation_is_an_error(write):
    data = pickle.dumps([np.arange(3, dtype=np.float16), np.ones((2, 2))], protocol=3)
    for length in range(len(data)):
        with pytest.raises(CheckpointError, match=r"weights\.pkl: not a pickle, truncated or dam"):
            read_pickle(write(data[:length]))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"hello",
        b".",
        b"h\x05.",
        b"a.",
        b"t.",
        b"]]\x86\x87.",
        b"K\x01K\x02.",
        b"I" + b"9" * 5000 + b"\n.",
        b"F\n.",
    ],
)
def test_what_is_no_pickle_is_an_error(write, data):
    with pytest.raises(CheckpointError, match=r"weights\.pkl: not a pickle"):
        read_pickle(write(data))


def test_damaged_escapes_do_not_warn(write):
    with pytest.raises(CheckpointError, match="refused"):
        read_pickle(write(b"c\\u0000\\q\n\\d\n."))


def test_bytes_after_the_end_are_an_error(write):
    with pytest.raises(CheckpointError, match="3 bytes follow the end"):
        read_pickle(write(pickle.dumps([1]) + b"abc"))


def test_declared_lengths_and_memo_indices_allocate_nothing(write):
    huge = struct.pack("<Q", 2**40)
    for data in (
        b"\x80\x04\x95" + huge + b"].",  # a frame
        b"\x80\x04\x8e" + huge + b".",  # bytes
        b"\x80\x04\x8d" + huge + b".",  # text
        b"\x80\x05\x96" + huge + b".",  # bytearray
        b"]r\xff\xff\xff\xff.",  # a memo index
        b"\x8b\xff\xff\xff\x7f.",  # an integer
    ):
        path = write(data)
        with contextlib.suppress(CheckpointError):
            assert read_pickle(path) == []


def test_a_small_file_cannot_make_many_arrays_of_one_content(write):
    head = b"](" + F2 + b"q\x01C\xfa" + b"\0" * 250 + b"q\x02"
    frombuffer = b"cnumpy.core.numeric\n_frombuffer\nq\x00"
    call = b"h\x00(h\x02h\x01K\x7d\x85X\x01\x00\x00\x00CtR"
    with pytest.raises(CheckpointError, match="larger than the file"):
        read_pickle(write(head + frombuffer + call * 100 + b"e."))


def test_a_small_file_cannot_encode_one_text_many_times(write):
    start = b"](c_codecs\nencode\nq\x00" + text("x" * 1000) + b"q\x01" + text("latin1") + b"q\x02"
    with pytest.raises(CheckpointError, match="larger than the file"):
        read_pickle(write(start + b"h\x00(h\x01h\x02tR" * 100 + b"e."))


def test_deeply_nested_shared_tuples_cost_no_time(write):
    doubled = b")" + b"".join(b"q" + bytes([k]) + b"h" + bytes([k]) + b"\x86" for k in range(99))
    assert len(read_pickle(write(doubled + b"."))) == 2
    with pytest.raises(CheckpointError, match="key of type tuple"):
        read_pickle(write(b"}" + doubled + b"K\x01s."))
    with pytest.raises(CheckpointError, match="refused"):
        read_pickle(write(RECONSTRUCT + doubled + b"R."))


def test_deep_nesting_does_not_exhaust_the_stack(write):
    assert isinstance(read_pickle(write(b"]" * 20000 + b"a" * 19999 + b".")), list)


def test_files_that_are_too_large_are_refused(write, monkeypatch):
    monkeypatch.setattr(pickles, "MAX_FILE_BYTES", 20)
    with pytest.raises(CheckpointError, match="larger than 20 bytes"):
        read_pickle(write(pickle.dumps([0] * 100)))


def test_instructions_are_counted(write, monkeypatch):
    monkeypatch.setattr(pickles, "MAX_INSTRUCTIONS", 20)
    with pytest.raises(CheckpointError, match="more than 20 instructions"):
        read_pickle(write(pickle.dumps([[0]] * 100)))


def test_a_missing_file_and_a_folder_are_errors(tmp_path):
    with pytest.raises(CheckpointError, match=r"absent\.pkl: cannot be read \(No such file"):
        read_pickle(tmp_path / "absent.pkl")
    with pytest.raises(CheckpointError, match=r"cannot be read"):
        read_pickle(tmp_path)


SEEDS = [
    pickle.dumps([np.arange(6, dtype=np.float16).reshape(2, 3), {"a": (1, 2.5)}], protocol)
    for protocol in range(6)
]


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    seed=st.sampled_from(SEEDS),
    edits=st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), min_size=1, max_size=6),
)
def test_damaged_bytes_give_a_value_or_one_clear_error(tmp_path_factory, seed, edits):
    data = bytearray(seed)
    for place, value in edits:
        data[place % len(data)] = value
    path = tmp_path_factory.getbasetemp() / "fuzz.pkl"
    path.write_bytes(data)
    message = ""
    try:
        read_watched(path)
    except CheckpointError as error:
        message = str(error)
    assert "\n" not in message
