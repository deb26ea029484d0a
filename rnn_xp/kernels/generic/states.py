"""Arithmetic on recurrent states: an array, or a (nested) tuple of arrays."""

from collections.abc import Callable
from typing import Any

from rnn_xp._typing import Array, Namespace, State
from rnn_xp.namespace import namespace_of


def map_states(function: Callable[..., Any], *states: State) -> State:
    """Apply `function` to corresponding arrays of equally nested states; None stands for None."""
    first = next(s for s in states if s is not None)
    if isinstance(first, tuple):
        columns = [(None,) * len(first) if s is None else s for s in states]
        return tuple(map_states(function, *parts) for parts in zip(*columns, strict=True))
    return function(*states)


def zero_where_not(valid: Array, a: Array, xp: Namespace) -> Array:
    """Rows of `a` (N, ...) where `valid` (N,), zeros elsewhere, even where `a` is NaN."""
    return xp.where(valid[:, None], a, xp.zeros_like(a))


def select_states(valid: Array, if_valid: State, otherwise: State, xp: Namespace) -> State:
    """Row by row `if_valid` where `valid`, else `otherwise`; None stands for zeros."""

    def select(a: Array | None, b: Array | None) -> Array:
        like = b if a is None else a
        return xp.where(
            valid[:, None],
            xp.zeros_like(like) if a is None else a,
            xp.zeros_like(like) if b is None else b,
        )

    return map_states(select, if_valid, otherwise)


def copy_states(state: State) -> State:
    """The same state in new arrays."""
    return map_states(lambda a: namespace_of(a).asarray(a, copy=True, device=a.device), state)


def add_states(a: State, b: State) -> State:
    """Sum of two states, part by part."""
    return map_states(lambda u, v: u + v, a, b)
