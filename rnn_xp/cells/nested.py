"""The arrays of a state, in order, and back: states are arrays or (nested) tuples of them."""

from collections.abc import Iterable, Iterator

from rnn_xp._typing import Array, State
from rnn_xp.namespace import namespace_of


def leaves(state: State) -> list[Array]:
    """The arrays of a (nested) state, in order."""
    if isinstance(state, tuple):
        return [leaf for part in state for leaf in leaves(part)]
    return [state]


def rebuild(like: State, arrays: Iterable[Array]) -> State:
    """A state nested like `like` out of its arrays."""
    return _rebuild(like, iter(arrays))


def _rebuild(like: State, arrays: Iterator[Array]) -> State:
    if isinstance(like, tuple):
        return tuple(_rebuild(part, arrays) for part in like)
    return next(arrays)


def leaves_or_zeros(dstate: State | None, like: State) -> list[Array]:
    """The arrays of `dstate`; zeros in the shapes of `like` if it is None."""
    if dstate is not None:
        return leaves(dstate)
    return [namespace_of(a).zeros_like(a) for a in leaves(like)]


def position_of(array: Array, state: State) -> int | None:
    """Which of the arrays of `state` the very array `array` is; None if it is none of them."""
    return next((k for k, part in enumerate(leaves(state)) if part is array), None)
