"""Pickles as data: what NumPy writes is read."""

import pickle

import numpy as np
import pytest
from pickle_helpers import array_pickle

from rnn_xp.interop.pickles import read_pickle


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", ">f4", "i8", "u1", "?"])
def test_arrays_of_every_protocol_come_back_as_numpy_reads_them(write, protocol, dtype):
    array = (np.arange(12) % 5).astype(dtype).reshape(3, 4)
    value = {"a": [array, array.T, array[:, ::2]], "n": (1, -2.5, None, True, 10**30), 3: b"\0x"}
    back = read_pickle(write(pickle.dumps(value, protocol=protocol)))
    assert back["n"] == value["n"]
    assert back[3] == value[3]
    for got, expected in zip(back["a"], value["a"], strict=True):
        np.testing.assert_array_equal(got, expected)
        assert got.dtype == expected.dtype.newbyteorder("=")
        assert got.flags.c_contiguous
        assert got.flags.writeable


def test_shared_and_repeated_arrays_and_scalars(write):
    a = np.arange(3, dtype=np.float16)
    back = read_pickle(write(pickle.dumps([a, a, np.float32(2.5), np.array(7.0)])))
    assert back[0] is back[1]
    assert back[2] == np.float32(2.5)
    assert back[2].dtype == np.float32
    assert back[3].shape == ()
    assert back[3] == 7.0


def test_a_pickle_of_numpy_1_and_of_python_2_is_read(write):
    data = array_pickle(b"K\x02K\x01\x86", b"\x00<\x00@")
    np.testing.assert_array_equal(read_pickle(write(data)), [[1], [2]])
    short_strings = data.replace(b"B\x04\x00\x00\x00\x00<\x00@", b"U\x04\x00<\x00@")
    np.testing.assert_array_equal(read_pickle(write(short_strings)), [[1], [2]])


def test_columns_first_arrays_keep_their_values(write):
    array = np.asfortranarray(np.arange(6, dtype=np.float16).reshape(2, 3))
    for protocol in (2, 5):
        np.testing.assert_array_equal(read_pickle(write(pickle.dumps(array, protocol))), array)


def test_a_list_that_contains_itself_is_read(write):
    assert read_pickle(write(b"]q\x00h\x00a."))[0].__class__ is list
