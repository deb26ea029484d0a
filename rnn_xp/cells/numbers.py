"""Checks of the numbers that cells and layers take."""

from numbers import Integral, Real
from typing import Any


def positive_number(value: Any, where: str, what: str, *, or_none: bool = False) -> None:
    """Raise unless `value` is a number above 0 (or, with `or_none`, None).

    Raises
    ------
    TypeError
        If it is not a number.
    ValueError
        If it is not above 0.
    """
    if or_none and value is None:
        return
    expected = "a positive number" + (" or None" if or_none else "")
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{where}: {what} is a {type(value).__name__}, expected {expected}")
    if not float(value) > 0.0:
        raise ValueError(f"{where}: {what} = {value}, expected {expected}")


def positive_size(value: Any, where: str, what: str) -> None:
    """Raise unless `value` is an integer above 0.

    Raises
    ------
    TypeError
        If it is not an integer.
    ValueError
        If it is not above 0.
    """
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise TypeError(f"{where}: {what} is a {type(value).__name__}, expected a positive integer")
    if value < 1:
        raise ValueError(f"{where}: {what} = {value}, expected a positive integer")
