"""CUDA sources, compiled on first use for the dtype at hand."""

from functools import cache
from importlib import resources
from typing import Any

REALS = {"float32": "float", "float64": "double"}


def source(name: str) -> str:
    """Text of ``cu/<name>.cu``."""
    return (resources.files("rnn_xp.kernels.cuda") / "cu" / f"{name}.cu").read_text("utf-8")


def options(dtype: str) -> tuple[str, ...]:
    """Compiler options that make ``REAL`` the C type of `dtype`."""
    return ("--std=c++17", f"-DREAL={REALS[dtype]}")


@cache
def function(file: str, name: str, dtype: str) -> Any:
    """Compiled kernel `name` of ``cu/<file>.cu`` for `dtype`; CuPy keeps it on disk."""
    import cupy

    return cupy.RawModule(code=source(file), options=options(dtype)).get_function(name)
