"""What layers around layers ask of a batch of sequences: its size, its mask, its reversal."""

from typing import Any

from rnn_xp._typing import Array
from rnn_xp.errors import ShapeError
from rnn_xp.host import time_mask
from rnn_xp.namespace import namespace_of, require_float


def sequence_size(xs: Array, time_major: bool, where: str) -> tuple[int, int]:
    """``(T, N)`` of a batch of sequences.

    Raises
    ------
    DTypeError
        If `xs` is not an array of float32 or float64.
    ShapeError
        If it has not three axes, or no row or no step.
    """
    require_float(xs, where, "xs")
    if len(xs.shape) != 3 or 0 in xs.shape[:2]:
        names = "(T, N, D)" if time_major else "(N, T, D)"
        raise ShapeError(
            f"{where}: xs has shape {tuple(xs.shape)}, expected {names} with N and T at least 1"
        )
    first, second = int(xs.shape[0]), int(xs.shape[1])
    return (first, second) if time_major else (second, first)


def valid_steps(xs: Array, lengths: Any, mask: Any, time_major: bool, where: str) -> Array | None:
    """Boolean array on the device, laid out as `xs` is, from `lengths` or `mask`, or None."""
    T, N = sequence_size(xs, time_major, where)
    valid = time_mask(lengths, mask, N, T, xs, time_major, where)
    if valid is None or time_major:
        return valid
    return namespace_of(valid).permute_dims(valid, (1, 0))


def flip_time(array: Array, time_major: bool) -> Array:
    """The same sequences backwards."""
    return namespace_of(array).flip(array, axis=0 if time_major else 1)
