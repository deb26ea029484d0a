"""Pickles as data: what is no plain array of numbers is refused, and never run."""

import copyreg
import io
import os
import pickle
import subprocess

import numpy as np
import pytest
from pickle_helpers import (
    EVIL,
    F2,
    MALICIOUS,
    NDARRAY,
    RECONSTRUCT,
    array_pickle,
    call,
    read_watched,
    text,
)

from rnn_xp.errors import CheckpointError
from rnn_xp.interop.pickles import read_pickle


class Calls:
    """Pickles to a call of `function`."""

    def __init__(self, function, *arguments, state=None):
        self.what = (function, arguments, state) if state else (function, arguments)

    def __reduce__(self):
        return self.what


@pytest.mark.parametrize("name", MALICIOUS)
@pytest.mark.parametrize("nested", [False, True])
def test_a_name_that_is_not_numpys_is_refused_and_not_called(write, name, nested):
    data = MALICIOUS[name]
    if nested:  # inside a list, inside a dict
        data = b"\x80\x04}" + text("k") + b"(" + data.removeprefix(b"\x80\x04")[:-1] + b"ls."
    with pytest.raises(CheckpointError) as caught:
        read_watched(write(data))
    message = str(caught.value)
    assert "weights.pkl" in message
    assert f"'{name}'" in message
    assert "\n" not in message
    assert ("asnumpy" if name.startswith("cupy") else "could run code") in message


INSTRUCTIONS = {
    "INST": b"(" + EVIL + b"ios\nsystem\n.",
    "OBJ": b"(" + NDARRAY + b"o.",
    "NEWOBJ": NDARRAY + b")\x81.",
    "NEWOBJ_EX": NDARRAY + b")}\x92.",
    "PERSID": b"PEVIL\n.",
    "BINPERSID": EVIL + b"Q.",
    "EXT1": b"\x82\x01.",
    "EXT2": b"\x83\x01\x00.",
    "EXT4": b"\x84\x01\x00\x00\x00.",
    "NEXT_BUFFER": b"\x97.",
    "READONLY_BUFFER": EVIL + b"\x98.",
    "EMPTY_SET": b"\x8f.",
    "FROZENSET": b"(\x91.",
    "DUP": b"]2a.",
}


@pytest.mark.parametrize("name", INSTRUCTIONS)
def test_instructions_that_arrays_do_not_need_are_refused(write, name):
    if name.startswith("EXT"):  # extension codes need a registry entry to be dangerous
        copyreg.add_extension("os", "system", 1)
    try:
        with pytest.raises(CheckpointError, match=f"refused the pickle instruction {name}"):
            read_watched(write(b"\x80\x04" + INSTRUCTIONS[name]))
    finally:
        if name.startswith("EXT"):
            copyreg.remove_extension("os", "system", 1)


def test_real_malicious_objects_are_refused(write):
    class State:
        def __reduce__(self):
            return (np.ndarray, ((2,),), {"__setstate__": "EVIL"})

    for evil in (
        Calls(subprocess.Popen, ["EVIL"]),
        Calls(np.load, "EVIL"),
        Calls(eval, "EVIL"),
        [np.zeros(3), (Calls(getattr, "EVIL", "upper"),)],
        State(),
    ):
        for protocol in range(6):
            with pytest.raises(CheckpointError, match="refused"):
                read_watched(write(pickle.dumps(evil, protocol)))


@pytest.mark.parametrize(
    ("array", "code"),
    [
        (np.array([Calls(os.system, "EVIL")]), "O8"),
        (np.array([None, "EVIL"], dtype=object), "O8"),
        (np.zeros(2, dtype=[("a", "f4"), ("b", "O")]), "V12"),
        (np.zeros(2, dtype=[("a", "f4")]), "V4"),
        (np.array(["EVIL"]), "U4"),
        (np.array(["2020-01-01"], dtype="M8[D]"), "M8"),
        (np.zeros(2, dtype=complex), "c16"),
    ],
)
@pytest.mark.parametrize("protocol", [0, 2, 3, 5])
def test_arrays_of_anything_but_plain_numbers_are_refused(write, array, code, protocol):
    if array.dtype == object and callable(getattr(array[0], "__reduce__", None)):
        match = "refused"
    else:
        match = f"refused dtype '{code}'"
    with pytest.raises(CheckpointError, match=match):
        read_watched(write(pickle.dumps([array], protocol)))


def test_a_dtype_that_becomes_an_object_dtype_by_its_state_is_refused(write):
    for state in (
        b"K\x03X\x01\x00\x00\x00|NX\x01\x00\x00\x00a\x85}",  # names and fields
        b"K\x03X\x01\x00\x00\x00O" + b"NNN",  # byte order "O"
        b"K\x03X\x01\x00\x00\x00|" + F2 + b"NN",  # a sub-array
        b"K\x03X\x01\x00\x00\x00|NNNK\x02K\x01K\x3f}",  # flags and metadata
    ):
        dtype = b"cnumpy\ndtype\n(X\x02\x00\x00\x00f2K\x00K\x01tR(" + state + b"tb"
        with pytest.raises(CheckpointError, match="refused"):
            read_watched(write(array_pickle(b"K\x01\x85", b"\0\0", dtype)))


@pytest.mark.parametrize(
    ("shape", "raw", "match"),
    [
        (b"K\x03\x85", b"\0\0", r"shape \(3,\) and dtype float16 needs 6 bytes, the file holds 2"),
        (b"K\x01\x85", b"\0" * 4, "needs 2 bytes, the file holds 4"),
        (b"J\xff\xff\xff\x7fJ\xff\xff\xff\x7f\x86", b"\0\0", "needs 92233720"),
        (b"J\xff\xff\xff\xffJ\xff\xff\xff\xff\x86", b"\0\0", "not a tuple of lengths"),
        (b"\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f\x85", b"", "not a tuple of lengths"),
        (b"(" + b"K\x01" * 9 + b"t", b"\0\0", "9 dimensions"),
        (b"G@\x00\x00\x00\x00\x00\x00\x00\x85", b"\0\0", "not a tuple of lengths"),
        (b"]", b"", "not a tuple of lengths"),
    ],
)
def test_a_shape_that_does_not_fit_the_bytes_is_refused(write, shape, raw, match):
    with pytest.raises(CheckpointError, match=match):
        read_watched(write(array_pickle(shape, raw)))


def test_arguments_that_numpy_does_not_write_are_refused(write):
    for data in (
        RECONSTRUCT + b"(" + EVIL + b"K\x00\x85C\x01btR.",  # a subtype that is a string
        RECONSTRUCT + b"(" + RECONSTRUCT + b"K\x00\x85C\x01btR.",  # or a function
        RECONSTRUCT + b")R.",
        NDARRAY + b"(K\x02\x85tR.",  # the class called itself
        b"cnumpy\ndtype\n(NtR.",
        b"cnumpy.core.multiarray\nscalar\n(" + F2 + b"NtR.",
        b"c_codecs\nencode\n(" + text("x") + text("rot13") + b"tR.",
        b"cnumpy.core.numeric\n_frombuffer\n(" + EVIL + F2 + b"K\x01\x85" + text("C") + b"tR.",
        RECONSTRUCT + b"]R.",  # arguments that are no tuple
        text("os.system") + b")R.",  # a function that is no name
        RECONSTRUCT + b"}b.",  # state for a name
        b"]}b.",  # state for a list
        b"}(" + NDARRAY + b"K\x01u.",  # a dict with an odd key
        b"})K\x01s.",
        b"K\x01K\x02a.",
        NDARRAY + b".",
        b"]" + NDARRAY + b"a.",
        RECONSTRUCT + b"(" + NDARRAY + b"K\x00\x85C\x01btR.",  # an array never filled
        F2 + b".",
        b"(.",
    ):
        with pytest.raises(CheckpointError, match=r"weights\.pkl: "):
            read_watched(write(data))


def test_messages_quote_hostile_names_on_one_short_line(write):
    with pytest.raises(CheckpointError) as caught:
        read_pickle(write(call("os\x1b[31m\n" + "x" * 5000, "system", stack_global=True)))
    assert len(str(caught.value)) < 500
    assert "\x1b" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_reference_unpickler_would_have_run_the_code(write):
    """The malicious files above are dangerous indeed: this proves one of them."""
    out = io.StringIO()

    class Loud(pickle.Unpickler):
        def find_class(self, module, name):
            return lambda *args: out.write(f"{module}.{name}{args}")

    Loud(io.BytesIO(MALICIOUS["os.system"])).load()
    assert out.getvalue() == "os.system('EVIL',)"
