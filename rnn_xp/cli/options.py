"""Options that several commands have, and the types of their values."""

import argparse
import math
from collections.abc import Callable
from typing import Any, TypeVar

Value = TypeVar("Value")
NONE = "none"


def integer(text: str) -> int:
    """An integer, ``_`` allowed between digits."""
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r}: expected an integer") from None


def positive_integer(text: str) -> int:
    """An integer of at least 1."""
    value = integer(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text!r}: expected an integer of at least 1")
    return value


def number(text: str) -> float:
    """A finite number."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise argparse.ArgumentTypeError(f"{text!r}: expected a number")
    return value


def or_none(kind: Callable[[str], Value]) -> Callable[[str], Value | None]:
    """`kind`, or the word ``none`` for None."""
    return lambda text: None if text.lower() == NONE else kind(text)


def add_model(parser: argparse.ArgumentParser) -> None:
    """Which model to use."""
    parser.add_argument(
        "model", metavar="RUN", help="a run folder, or a .pkl file of Deep Learning from Scratch 2"
    )
    parser.add_argument(
        "--weights",
        choices=("best", "last"),
        default="best",
        help="those of the best validation, or the last ones of a run folder (default: best)",
    )
    parser.add_argument(
        "--vocab-from",
        metavar="FILE",
        help="for a .pkl file: the text whose words, in order of first appearance, are its ids "
        "(default: ptb.train.txt beside the data or the file)",
    )


def add_machine(parser: Any) -> None:
    """Where to compute."""
    parser.add_argument(
        "--backend",
        metavar="NAME",
        help="numpy, cupy, auto, torch or array_api_strict, each with an optional :device "
        "(default: the environment's RNN_BACKEND, else numpy)",
    )
    parser.add_argument(
        "--threads",
        type=positive_integer,
        metavar="K",
        help="threads of NumPy's matrix products (default: what NumPy's BLAS takes: all cores)",
    )
