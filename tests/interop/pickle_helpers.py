"""Pickles by hand, harmless and not, and a watch over what reading one does."""

import codecs
import pickle
import struct
import sys

import numpy as np

from rnn_xp.interop.pickles import read_pickle

RECONSTRUCT = b"cnumpy.core.multiarray\n_reconstruct\n"
NDARRAY = b"cnumpy\nndarray\n"
F2 = b"cnumpy\ndtype\n(X\x02\x00\x00\x00f2K\x00K\x01tR(K\x03X\x01\x00\x00\x00<NNNI-1\nI-1\nK\x00tb"


def array_pickle(shape: bytes, raw: bytes, dtype: bytes = F2, order: bytes = b"\x89") -> bytes:
    """One array by hand: `shape` and `dtype` are instructions, `raw` the bytes."""
    content = b"B" + struct.pack("<I", len(raw)) + raw
    make = RECONSTRUCT + b"(" + NDARRAY + b"K\x00\x85C\x01btR"
    return make + b"(K\x01" + shape + dtype + order + content + b"tb."


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
    codecs.lookup("raw-unicode-escape")  # of strings in the oldest protocol
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
