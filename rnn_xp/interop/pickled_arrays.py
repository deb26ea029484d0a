"""What the names in a pickled NumPy array stand for: data, checked before it is used.

NumPy writes an array as calls of a few functions of its own. Here those calls are read,
not made: their arguments describe a dtype, a shape and bytes, and each is checked.
"""

from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np

PLAIN_DTYPES = frozenset(
    ["b1", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8"],
)

# What NumPy (1 and 2) writes for an array, and Python for bytes before protocol 3.
ALLOWED_NAMES = frozenset(
    [("numpy", "ndarray"), ("numpy", "dtype"), ("_codecs", "encode")]
    + [
        (f"numpy.{core}.{module}", name)
        for core in ("core", "_core")
        for module, name in (
            ("multiarray", "_reconstruct"),
            ("multiarray", "scalar"),
            ("numeric", "_frombuffer"),
        )
    ]
)


class Refused(Exception):  # noqa: N818 - becomes a CheckpointError with the file's name
    """The pickle holds something that is not a plain array or container."""


@dataclass(frozen=True, slots=True)
class Name:
    """A global name: two strings, nothing that could be called."""

    module: str
    name: str


@dataclass(slots=True)
class PendingDType:
    """A dtype between the call that names it and the state that gives its byte order."""

    code: str
    order: str = "="


@dataclass(slots=True)
class PendingArray:
    """An array between the call that makes it and the state that fills it.

    `keys` are its places in the memo.
    """

    keys: list[int] = field(default_factory=list)


def allowed_name(module: str, name: str) -> Name:
    """Return a name that NumPy writes for an array; refuse any other."""
    if (module, name) in ALLOWED_NAMES:
        return Name(module, name)
    full = quote(f"{module}.{name}")
    if module.split(".")[0] == "cupy":
        raise Refused(
            f"refused {full}: the file holds CuPy arrays, saved on a GPU; convert them with "
            "cupy.asnumpy before saving"
        )
    raise Refused(
        f"refused {full}: a weight file holds only NumPy arrays and containers, anything else "
        "could run code"
    )


class ArrayReader:
    """Turns calls and states into arrays.

    Parameters
    ----------
    size : int
        Bytes of the file. What is made out of it may take twice as much: each byte of an
        array counts once, and once more before protocol 3, where it comes out of a string.
    """

    def __init__(self, size: int):
        self.budget = 2 * size

    def call(self, function: Name, arguments: tuple[Any, ...]) -> Any:
        """What NumPy's function would return, or something pending in its place."""
        match function.name, arguments:
            case "_reconstruct", (Name(name="ndarray"), tuple(), bytes() | str()):
                return PendingArray()
            case "dtype", (str(code), *_):
                if code not in PLAIN_DTYPES:
                    raise Refused(
                        f"refused dtype {quote(code)}: weights are plain numbers "
                        "(arrays of objects could run code)"
                    )
                return PendingDType(code)
            case "encode", (str(text), "latin1" | "latin-1"):
                self._spend(len(text))
                return text.encode("latin-1")
            case "scalar", (PendingDType() as dtype, bytes() | str() as raw):
                return self._array((), dtype, raw, "C")[()]
            case "_frombuffer", (
                bytes() | bytearray() as raw,
                PendingDType() as dtype,
                shape,
                order,
            ):
                return self._array(shape, dtype, raw, order)
        raise Refused(f"refused a call of {function.name} with unexpected arguments")

    def set_state(self, target: Any, state: Any) -> Any:
        """Give a dtype its byte order, or make the array whose content `state` is."""
        match target, state:
            case PendingDType(), (int(), "<" | ">" | "|" | "=" as order, None, None, None, *rest):
                if any(r is not None and type(r) is not int for r in rest):
                    raise Refused("refused a dtype with fields or metadata")
                target.order = order
                return target
            case PendingArray(), (int(), shape, PendingDType() as dtype, int() as order, raw):
                return self._array(shape, dtype, raw, "F" if order else "C")
        raise Refused(f"refused to set the state of a {kind_of(target)}")

    def _array(self, shape: Any, dtype: PendingDType, raw: Any, order: Any) -> Any:
        if isinstance(raw, str):  # Python 2 wrote its byte strings so
            raw = raw.encode("latin-1")
        if not isinstance(raw, bytes | bytearray):
            raise Refused(f"refused an array whose content is a {kind_of(raw)}, not bytes")
        if type(shape) is not tuple or not all(type(n) is int and 0 <= n < 2**40 for n in shape):
            raise Refused("an array's shape is not a tuple of lengths")
        if len(shape) > 8:
            raise Refused(f"an array has {len(shape)} dimensions, expected at most 8")
        given = np.dtype(dtype.order + dtype.code)
        if prod(shape) * given.itemsize != len(raw):
            raise Refused(
                f"an array of shape {shape} and dtype {given} needs "
                f"{prod(shape) * given.itemsize} bytes, the file holds {len(raw)}"
            )
        self._spend(len(raw))
        view: Any = np.ndarray(shape, given, buffer=raw, order="F" if order == "F" else "C")
        return np.array(view, dtype=given.newbyteorder("="), order="C")

    def _spend(self, count: int) -> None:
        self.budget -= count
        if self.budget < 0:
            raise Refused("its arrays together are larger than the file")


def kind_of(value: Any) -> str:
    """Name of a value's type, for a message."""
    return type(value).__name__


def quote(text: str) -> str:
    """Return `text` of a file for a message: on one line, and not long."""
    return repr(text if len(text) <= 100 else text[:100] + "...")
