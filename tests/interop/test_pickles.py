"""Pickles as data: what NumPy writes is read, everything else is refused and never run."""

import contextlib
import copyreg
import io
import os
import pickle
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rnn_xp.errors import CheckpointError
from rnn_xp.interop import pickles
from rnn_xp.interop.pickles import read_pickle

RECONSTRUCT = b"cnumpy.core.multiarray\n_reconstruct\n"
NDARRAY = b"cnumpy\nndarray\n"
F2 = b"cnumpy\ndtype\n(X\x02\x00\x00\x00f2K\x00K\x01tR(K\x03X\x01\x00\x00\x00<NNNI-1\nI-1\nK\x00tb"


@pytest.fixture
def write(tmp_path):
    def write(data: bytes) -> Path:
        path = tmp_path / "weights.pkl"
        path.write_bytes(data)
        return path

    return write


class Calls:
    """Pickles to a call of `function`."""

    def __init__(self, function, *arguments, state=None):
        self.what = (function, arguments, state) if state else (function, arguments)

    def __reduce__(self):
        return self.what


def array_pickle(shape: bytes, raw: bytes, dtype: bytes = F2, order: bytes = b"\x89") -> bytes:
    """One array by hand: `shape` and `dtype` are instructions, `raw` the bytes."""
    content = b"B" + struct.pack("<I", len(raw)) + raw
    make = RECONSTRUCT + b"(" + NDARRAY + b"K\x00\x85C\x01btR"
    return make + b"(K\x01" + shape + dtype + order + content + b"tb."


# ---------------------------------------------------------------------------- what is read


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


# ------------------------------------------------------------------------- what is refused


class AuditLog:
    """Names of the audit events (https://docs.python.org/3/library/audit_events.html)."""

    def __init__(self):
        self.events = None
        sys.addaudithook(self.hook)  # a hook stays for good, so it is off most of the time

    def hook(self, event, arguments):
        # A tracer (coverage, hypothesis) reads attributes of frames; id() harms nobody.
        ignored = event.startswith("object.") or event == "builtins.id"
        if self.events is not None and not ignored:
            self.events.append((event, str(arguments)))


AUDIT = AuditLog()


def read_watched(path):
    """Read, and prove that Python did nothing on the way but open that one file."""
    read_pickle_of_nothing(path)
    AUDIT.events = []
    try:
        return read_pickle(path)
    finally:
        events, AUDIT.events = AUDIT.events, None
        assert [e for e, _ in events] == ["open"], events
        assert str(path) in events[0][1]


def read_pickle_of_nothing(path):
    """Let lazy imports happen before the watch begins."""
    harmless = path.with_name("harmless.pkl")
    harmless.write_bytes(pickle.dumps([np.zeros(1)]))
    read_pickle(harmless)


def text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value)) + value.encode()


def call(module: str, name: str, *arguments: bytes, stack_global: bool = False) -> bytes:
    get = text(module) + text(name) + b"\x93" if stack_global else f"c{module}\n{name}\n".encode()
    return b"\x80\x04" + get + b"(" + b"".join(arguments) + b"tR."


EVIL = text("EVIL")

MALICIOUS = {
    "os.system": call("os", "system", EVIL),
    "posix.system": call("posix", "system", EVIL),
    "subprocess.Popen": call("subprocess", "Popen", EVIL),
    "builtins.eval": call("builtins", "eval", EVIL),
    "__builtin__.eval": call("__builtin__", "eval", EVIL),
    "builtins.exec": call("builtins", "exec", EVIL, stack_global=True),
    "builtins.getattr": call("builtins", "getattr", NDARRAY, text("tofile")),
    "numpy.load": call("numpy", "load", EVIL),
    "numpy.fromfile": call("numpy", "fromfile", EVIL),
    "numpy.memmap": call("numpy", "memmap", EVIL),
    "numpy.matrix": call("numpy", "matrix", EVIL),
    "numpy.f2py.os.system": call("numpy.f2py", "os.system", EVIL, stack_global=True),
    "numpy.dtype.__class__": call("numpy", "dtype.__class__", EVIL, stack_global=True),
    "numpy.core.multiarray._reconstruct.__globals__": call(
        "numpy.core.multiarray", "_reconstruct.__globals__", stack_global=True
    ),
    "copyreg._reconstructor": call("copyreg", "_reconstructor", EVIL),
    "functools.partial": call("functools", "partial", EVIL),
    "operator.attrgetter": call("operator", "attrgetter", EVIL),
    "rnn_xp.backend.get_backend": call("rnn_xp.backend", "get_backend", EVIL),
    "_codecs.decode": call("_codecs", "decode", EVIL),
    "cupy._core.core.array": call("cupy._core.core", "array", EVIL),
}


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


# -------------------------------------------------------------------- damage and memory bombs


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


def test_messages_quote_hostile_names_on_one_short_line(write):
    with pytest.raises(CheckpointError) as caught:
        read_pickle(write(call("os\x1b[31m\n" + "x" * 5000, "system", stack_global=True)))
    assert len(str(caught.value)) < 500
    assert "\x1b" not in str(caught.value)
    assert "\n" not in str(caught.value)


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


def test_the_reference_unpickler_would_have_run_the_code(write):
    """The malicious files above are dangerous indeed: this proves one of them."""
    out = io.StringIO()

    class Loud(pickle.Unpickler):
        def find_class(self, module, name):
            return lambda *args: out.write(f"{module}.{name}{args}")

    Loud(io.BytesIO(MALICIOUS["os.system"])).load()
    assert out.getvalue() == "os.system('EVIL',)"
