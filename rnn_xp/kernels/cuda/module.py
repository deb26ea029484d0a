"""CUDA sources, compiled on first use for the dtype and the precision at hand."""

import re
from functools import cache
from importlib import resources
from typing import Any

REALS = {"float32": "float", "float64": "double"}
# What the kernels write for matrix products to come: see cu/narrow.cuh.
NARROW = {"float32": 0, "tf32": 0, "float16": 1, "bfloat16": 2}

_INCLUDE = re.compile(r'^#include "(\w+\.cuh)"$', re.MULTILINE)


def source(name: str) -> str:
    """Text of ``cu/<name>.cu``, with the files of ours that it includes in their places."""
    return _INCLUDE.sub(lambda found: _text(found[1]), _text(f"{name}.cu"))


def _text(file: str) -> str:
    return (resources.files("rnn_xp.kernels.cuda") / "cu" / file).read_text("utf-8")


def options(dtype: str, precision: str = "float32") -> tuple[str, ...]:
    """Compiler options that make ``REAL`` the C type of `dtype`, and ``NARROW`` `precision`."""
    return ("--std=c++17", f"-DREAL={REALS[dtype]}", f"-DNARROW={NARROW[precision]}")


@cache
def function(file: str, name: str, dtype: str, precision: str = "float32") -> Any:
    """Compiled kernel `name` of ``cu/<file>.cu``; CuPy keeps it on disk."""
    import cupy

    code = source(file)
    return cupy.RawModule(code=code, options=options(dtype, precision)).get_function(name)


def pointer(array: Any) -> int:
    """Address of the first element on the device."""
    address: int = array.data.ptr
    return address
