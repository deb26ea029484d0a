"""Pickle files read as data: NumPy arrays and containers, and never a call.

A pickle is a program for a small stack machine; its GLOBAL and REDUCE instructions
import and call anything (https://docs.python.org/3/library/pickle.html). This module is
another machine for the same instructions. It imports nothing and calls nothing that a
file names: a name is a pair of strings, and the handful of names that NumPy writes for an
array are read by `rnn_xp.interop.pickled_arrays`. An instruction or a name that is not
listed is refused.

Nor can a small file take much memory: lengths are checked against the bytes that are
there, the bytes of all arrays against the size of the file, and instructions are counted.
"""

import io
import pickletools
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from rnn_xp.errors import CheckpointError
from rnn_xp.interop.pickled_arrays import (
    ArrayReader,
    Name,
    PendingArray,
    Refused,
    allowed_name,
    kind_of,
    quote,
)

MAX_FILE_BYTES = 2**30
MAX_INSTRUCTIONS = 5_000_000

# Keys whose hash takes constant time; that of nested shared tuples takes exponential time.
KEY_TYPES = (str, bytes, int, float, bool, type(None))
PLAIN_TYPES = (*KEY_TYPES, bytearray, np.ndarray, np.generic)

# fmt: off
LITERALS = frozenset([
    "BININT", "BININT1", "BININT2", "INT", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT",
    "UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8",
    "STRING", "BINSTRING", "SHORT_BINSTRING",
    "BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8",
])
# fmt: on
FRESH: dict[str, Callable[[], Any]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_TUPLE": tuple,
    "EMPTY_LIST": list,
    "EMPTY_DICT": dict,
}
TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


def read_pickle(path: str | Path) -> Any:
    """Read a pickle of NumPy arrays, lists, tuples, dicts, numbers, strings and bytes.

    Parameters
    ----------
    path : str or Path
        At most 1 GiB; any pickle protocol (0 to 5).

    Returns
    -------
    value : object
        Arrays are contiguous, writable and of native byte order; their dtypes are
        booleans, integers and floats of 1 to 8 bytes.

    Raises
    ------
    CheckpointError
        If the file is missing, truncated or damaged, or holds anything else. Nothing that
        it names is imported or called.
    """
    data = _read_bytes(Path(path))
    try:
        with warnings.catch_warnings():
            # pickletools unescapes names with codecs, which warns about unknown escapes.
            warnings.simplefilter("ignore", DeprecationWarning)
            value = _Machine(len(data)).run(data)
        _require_plain(value)
    except Refused as error:
        raise CheckpointError(f"{path}: {error}") from None
    except (ValueError, IndexError, KeyError) as error:
        # pickletools raises ValueError for an instruction that it cannot read; the others
        # are a stack or a memo without what an instruction takes from it.
        reason = quote(str(error)) if isinstance(error, ValueError) else "inconsistent"
        raise CheckpointError(f"{path}: not a pickle, truncated or damaged ({reason})") from error
    return value


def _read_bytes(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read ({error.strerror})") from error
    if len(data) > MAX_FILE_BYTES:
        raise CheckpointError(
            f"{path}: larger than {MAX_FILE_BYTES} bytes, the most that a weight file may have"
        )
    return data


class Mark:
    """Stands on the stack where a container of unknown length begins."""


class _Machine:
    """Runs the instructions of one pickle of `size` bytes."""

    def __init__(self, size: int):
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}
        self.arrays = ArrayReader(size)

    def run(self, data: bytes) -> Any:
        stream = io.BytesIO(data)  # a real file would allocate whatever length it declares
        for count, (opcode, arg, _) in enumerate(pickletools.genops(stream)):
            if count >= MAX_INSTRUCTIONS:
                raise Refused(f"more than {MAX_INSTRUCTIONS} instructions; not a weight file")
            if opcode.name == "STOP":
                break
            self.step(opcode.name, arg)
        if stream.tell() != len(data):
            raise Refused(f"{len(data) - stream.tell()} bytes follow the end of the pickle")
        (value,) = self.take(1)
        if self.stack:
            raise ValueError("values are left on the stack")
        return value

    def step(self, name: str, arg: Any) -> None:
        stack = self.stack
        match name:
            case "PROTO" | "FRAME":
                pass
            case "MARK":
                stack.append(Mark)
            case "PUT" | "BINPUT" | "LONG_BINPUT":
                self.put(arg)
            case "MEMOIZE":
                self.put(len(self.memo))
            case "GET" | "BINGET" | "LONG_BINGET":
                stack.append(self.memo[arg])
            case "TUPLE":
                stack.append(tuple(self.take_to_mark()))
            case "LIST":
                stack.append(self.take_to_mark())
            case "DICT":
                items = self.take_to_mark()
                stack.append({})
                self.set_items(items)
            case "APPEND" | "APPENDS":
                items = self.take(1) if name == "APPEND" else self.take_to_mark()
                _expect(stack[-1], list).extend(items)
            case "SETITEM" | "SETITEMS":
                self.set_items(self.take(2) if name == "SETITEM" else self.take_to_mark())
            case "GLOBAL":
                module, _, attribute = arg.partition(" ")
                stack.append(allowed_name(module, attribute))
            case "STACK_GLOBAL":
                module, attribute = self.take(2)
                stack.append(allowed_name(_expect(module, str), _expect(attribute, str)))
            case "REDUCE":
                function, arguments = self.take(2)
                stack.append(self.arrays.call(_expect(function, Name), _expect(arguments, tuple)))
            case "BUILD":
                self.build()
            case _ if name in LITERALS:
                stack.append(arg)
            case _ if name in FRESH:
                stack.append(FRESH[name]())
            case _ if name in TUPLES:
                stack.append(tuple(self.take(TUPLES[name])))
            case _:
                what = f"{name} {quote(arg)}" if isinstance(arg, str) else name
                raise Refused(
                    f"refused the pickle instruction {what}: a weight file holds only NumPy "
                    "arrays and containers, anything else could run code"
                )

    def take(self, count: int) -> list[Any]:
        """Pop `count` values; the deepest comes first."""
        values = self.stack[-count:]
        if len(values) < count or any(value is Mark for value in values):
            raise IndexError
        del self.stack[-count:]
        return values

    def take_to_mark(self) -> list[Any]:
        """Pop all values above the last mark, and the mark."""
        values = []
        while (value := self.stack.pop()) is not Mark:
            values.append(value)
        values.reverse()
        return values

    def put(self, key: int) -> None:
        value = self.stack[-1]
        self.memo[key] = value
        if isinstance(value, PendingArray):
            value.keys.append(key)

    def set_items(self, items: list[Any]) -> None:
        target = _expect(self.stack[-1], dict)
        for key, value in zip(items[::2], items[1::2], strict=True):
            if type(key) not in KEY_TYPES:
                raise Refused(f"a dict has a key of type {kind_of(key)}")
            target[key] = value

    def build(self) -> None:
        target, state = self.take(2)
        value = self.arrays.set_state(target, state)
        if isinstance(target, PendingArray):
            for key in target.keys:
                self.memo[key] = value
        self.stack.append(value)


def _expect(value: Any, kind: type) -> Any:
    if type(value) is not kind:
        raise Refused(f"found a {kind_of(value)} where a {kind.__name__} belongs")
    return value


def _require_plain(value: Any) -> None:
    """Refuse names and unfinished arrays anywhere in `value`, which may contain itself."""
    seen: set[int] = set()
    todo = [value]
    while todo:
        item = todo.pop()
        if type(item) in (list, tuple, dict):
            if id(item) not in seen:
                seen.add(id(item))
                todo.extend(item.values() if type(item) is dict else item)
        elif not isinstance(item, PLAIN_TYPES):
            raise Refused(f"holds a bare {kind_of(item)}")
