"""CUDA source to shared library, by g++; kept by the contents of all that goes into it."""

import ctypes
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

HERE = Path(__file__).parent
FLAGS = (
    "-O1",
    "-fPIC",
    "-shared",
    "-fvisibility=hidden",
    "-ffp-contract=off",
    "-fno-strict-aliasing",
    "-U_FORTIFY_SOURCE",  # its longjmp refuses to change stacks
    "-Wno-unknown-pragmas",
)
# extern __shared__ T name[];  is a pointer to memory that the launch sizes.
DYNAMIC = re.compile(r"extern\s+__shared__\s+(?:__align__\(\d+\)\s+)?([\w ]+?)\s+(\w+)\s*\[\s*\]")
KERNEL = re.compile(
    r"__global__\s+(?:void\s+)?(?:__launch_bounds__\([^)]*\)\s*)?(?:void\s+)?(\w+)\s*\("
)


class CompileError(Exception):
    """g++ refused a source; the message is its own."""


@cache
def version() -> str | None:
    """What g++ says of itself; None if there is none."""
    found = shutil.which("g++")
    if found is None:
        return None
    return subprocess.run([found, "--version"], capture_output=True, text=True, check=True).stdout


def problem() -> str | None:
    """Why nothing can be compiled here; None if it can."""
    return None if version() else "g++ is not installed"


@cache
def folder() -> Path:
    """Where libraries are kept: what conftest.py names, else for this process."""
    named = os.environ.get("RNN_XP_STANDIN_CACHE")
    if named:
        return Path(named)
    made = tempfile.TemporaryDirectory(prefix="rnn-xp-standin-")
    _kept.append(made)
    return Path(made.name)


_kept: list[tempfile.TemporaryDirectory] = []


@cache
def shim() -> str:
    """All headers, for the name of what is compiled with them."""
    return "".join((HERE / name).read_text() for name in ("shim.h", "fibers.h", "launch.h"))


def as_cpp(code: str) -> tuple[str, list[str]]:
    """C++ source of a CUDA source, and the names of its kernels."""
    plain = re.sub(r"//[^\n]*", "", re.sub(r"/\*.*?\*/", "", code, flags=re.DOTALL))
    names = KERNEL.findall(plain)
    body = DYNAMIC.sub(r"\1* const \2 = reinterpret_cast<\1*>(standin::dynamic_shared)", code)
    lines = [f'#include "{HERE / "shim.h"}"', '#line 1 "kernel.cu"', body]
    return "\n".join([*lines, *(f"STANDIN_KERNEL({name})" for name in names), ""]), names


@cache
def library(code: str, options: tuple[str, ...]) -> tuple[ctypes.CDLL, list[str]]:
    """The loaded library of a source, and the names of its kernels.

    Raises
    ------
    CompileError
    """
    text, names = as_cpp(code)
    digest = hashlib.sha256(
        "\0".join([text, shim(), *options, *FLAGS, version() or ""]).encode()
    ).hexdigest()[:32]
    target = folder() / f"{digest}.so"
    if not target.exists():
        _compile(text, options, target)
    return ctypes.CDLL(str(target)), names


def _compile(text: str, options: tuple[str, ...], target: Path) -> None:
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        source, made = Path(scratch, "kernel.cpp"), Path(scratch, "kernel.so")
        source.write_text(text)
        done = subprocess.run(
            ["g++", *FLAGS, *options, str(source), "-o", str(made)], capture_output=True, text=True
        )
        if done.returncode:
            raise CompileError(done.stderr[:4000])
        made.replace(target)  # several processes may do this at once
