"""Checks of settings: each returns the value, or raises one clear line."""


def at_least(what: str, value: float, low: float) -> float:
    """Return `value` if it is a finite number of at least `low`."""
    if not low <= value < float("inf"):
        raise ValueError(f"{what} is {value!r}, expected a finite number of at least {low:g}")
    return value


def positive(what: str, value: float) -> float:
    """Return `value` if it is a finite number above 0."""
    if not 0.0 < value < float("inf"):
        raise ValueError(f"{what} is {value!r}, expected a finite number above 0")
    return value


def fraction(what: str, value: float) -> float:
    """Return `value` if it is in ``[0, 1)``."""
    if not 0.0 <= value < 1.0:
        raise ValueError(f"{what} is {value!r}, expected a number from 0 up to but not including 1")
    return value
