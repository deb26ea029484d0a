"""Checks of settings: each takes an option's name and value, and raises one clear line."""

import math
from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

from rnn_xp.rng import dropout_threshold

Check: TypeAlias = Callable[[str, Any], None]


def option_name(name: str) -> str:
    """How the command line spells a setting."""
    return "--" + name.replace("_", "-")


def _refuse(option: str, value: Any, expected: str) -> ValueError:
    return ValueError(f"{option} {value}: expected {expected}")


def text(option: str, value: Any) -> None:
    """A non-empty string."""
    if not isinstance(value, str) or not value:
        raise _refuse(option, repr(value), "a non-empty text")


def boolean(option: str, value: Any) -> None:
    """True or false."""
    if not isinstance(value, bool):
        raise _refuse(option, repr(value), "true or false")


def positive(option: str, value: Any) -> None:
    """A finite number above 0."""
    if not _is_number(value) or value <= 0:
        raise _refuse(option, value, "a finite number above 0")


def optional(check: Check) -> Check:
    """None, or what `check` takes."""

    def checked(option: str, value: Any) -> None:
        if value is not None:
            check(option, value)

    return checked


def choice(allowed: Iterable[str]) -> Check:
    """One of some names."""
    names = tuple(allowed)

    def checked(option: str, value: Any) -> None:
        if value not in names:
            raise _refuse(option, value, f"one of {', '.join(names)}")

    return checked


def integer(low: int, high: int | None = None) -> Check:
    """An integer from `low` to `high`."""
    expected = f"an integer of at least {low}" if high is None else f"an integer, {low} to {high}"

    def checked(option: str, value: Any) -> None:
        whole = isinstance(value, int) and not isinstance(value, bool)
        if not whole or value < low or (high is not None and value > high):
            raise _refuse(option, value, expected)

    return checked


def at_least(low: float = -math.inf) -> Check:
    """A finite number from `low` on."""
    expected = "a finite number" + ("" if low == -math.inf else f" of at least {low:g}")

    def checked(option: str, value: Any) -> None:
        if not _is_number(value) or value < low:
            raise _refuse(option, value, expected)

    return checked


def fraction(above_zero: bool = False) -> Check:
    """A number from 0 (included or not) up to 1 (not included)."""
    expected = f"a number {'above 0' if above_zero else 'from 0'} and below 1"

    def checked(option: str, value: Any) -> None:
        if not _is_number(value) or not 0 <= value < 1 or (above_zero and value == 0):
            raise _refuse(option, value, expected)

    return checked


def dropout_ratio(option: str, value: Any) -> None:
    """A fraction that drops less than all of the values of a 16-bit draw."""
    if not _is_number(value) or not 0 <= value < 1 or dropout_threshold(value) >= 65536:
        raise _refuse(option, value, "a number from 0 and below 1 (at most 0.99999)")


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
