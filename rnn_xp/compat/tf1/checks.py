"""Numbers that a caller gives, checked."""

from numbers import Integral
from typing import Any


def whole_number(value: Any, what: str, least: int = 1) -> int:
    """An int from an int of any kind, NumPy's too.

    Raises
    ------
    ValueError
        If it is something else (a bool, a float), or less than `least`.
    """
    if isinstance(value, bool) or not isinstance(value, Integral) or value < least:
        expected = "a positive int" if least == 1 else f"an int of at least {least}"
        raise ValueError(f"{what} is {value!r}, expected {expected}")
    return int(value)
