"""Where two numbers of theirs are one of ours, their sum; and the ways back.

PyTorch and ONNX add two biases, TensorFlow 1 adds its forget bias to the stored one. From
the sum alone the two cannot be told. Given the two that it came from (``like``), they are
given back as they were where their sum is still ours; elsewhere the first one is moved.
"""

from typing import Any

import numpy as np


def two_biases(b: Any, like: tuple[Any, Any] | None = None) -> tuple[Any, Any]:
    """Two arrays whose sum is `b`, bit for bit.

    Parameters
    ----------
    b : numpy.ndarray
    like : tuple of two numpy.ndarray, optional
        Of the shape and dtype of `b`: the two that are given back wherever they add up to
        `b`. Elsewhere the second is kept and the first is the number that adds up to `b`
        with it, if there is one.

    Returns
    -------
    first, second : numpy.ndarray
        Everywhere else (b, 0), with the sign of b where that is a zero: always exact.
    """
    rest = np.where(b == 0, b, b.dtype.type(0))
    if like is None:
        return b.copy(), rest
    first, second = like
    moved, found = addend(b, second)
    kept = adds_up(first, second, b)
    return (
        np.where(kept, first, np.where(found, moved, b)),
        np.where(kept | found, second, rest),
    )


def addend(total: Any, other: Any) -> tuple[Any, Any]:
    """What adds up to `total` with `other`, as floating-point numbers are added.

    Parameters
    ----------
    total : numpy.ndarray
    other : numpy.ndarray or numpy scalar
        Of the same dtype.

    Returns
    -------
    first : numpy.ndarray
        Where there is none, what comes nearest.
    found : numpy.ndarray of bool
        Where ``first + other`` is `total`.

    Notes
    -----
    The numbers that add up to `total` lie around the exact difference. So one of the two
    numbers beside that difference is among them, or none is: the rounded difference, or
    the one on its other side, which helps half way between two sums (the sum is rounded to
    the even one) and where `total` is a power of two.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        nearest = total - other
        both_sides = [np.nextafter(nearest, total.dtype.type(end)) for end in (-np.inf, np.inf)]
    first, found = nearest, adds_up(nearest, other, total)
    for candidate in (*both_sides, -nearest):  # the last for a zero of the other sign
        better = ~found & adds_up(candidate, other, total)
        first, found = np.where(better, candidate, first), found | better
    return first, found


def adds_up(first: Any, second: Any, total: Any) -> Any:
    """Where the sum is `total`, with the same sign if it is zero; not a number equals itself."""
    with np.errstate(over="ignore", invalid="ignore"):
        found = first + second
    same = (found == total) & (np.signbit(found) == np.signbit(total))
    return same | (np.isnan(found) & np.isnan(total))
