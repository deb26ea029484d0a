"""The recurrent state of a layer from call to call: the same rules for every layer."""

import copy
from collections.abc import Callable
from typing import Any

from rnn_xp._typing import Array, State
from rnn_xp.errors import ShapeError
from rnn_xp.namespace import namespace_of


class StateKeeper:
    """State that a time layer starts its next call from.

    * ``stateful=False``: each call starts from zeros, or from a state that was set for it.
    * ``stateful=True``: each call starts where the last one ended; the gradient stops
      there (truncated backpropagation through time).
    """

    def __init__(self, stateful: bool):
        self.stateful = stateful
        self.value: State | None = None  # where the last call ended, or what was set
        self._set_for_next_call = False

    def set(self, value: State | None) -> None:
        """Set the state that the next call starts from; None is zeros."""
        self.value = value
        self._set_for_next_call = value is not None

    def start(self, N: int, where: str) -> State | None:
        """State to start a call with batch size `N` from; None is zeros.

        A call that fails after this uses nothing up: `finish` ends it.

        Raises
        ------
        ShapeError
            If the kept state is of another batch size.
        """
        if self.value is None or not (self._set_for_next_call or self.stateful):
            return None
        held = first_array(self.value).shape[0]
        if held != N:
            raise ShapeError(
                f"{where}: the batch size is {N}, but the state is for {held} rows; "
                "call reset_state() before changing the batch size"
            )
        return self.value

    def finish(self, value: State) -> None:
        """Keep where a call ended."""
        self.value = value
        self._set_for_next_call = False

    def mapped(self, put: Callable[[Array], Array]) -> "StateKeeper":
        """The like with `put` of each array, say on another backend."""
        made = copy.copy(self)
        made.value = map_arrays(put, self.value)
        return made


def map_arrays(function: Callable[..., Any], *trees: Any) -> Any:
    """Apply `function` to corresponding arrays of equally nested states.

    Like `rnn_xp.kernels.generic.states.map_states`, but for the states of nets too: lists
    with an entry for each layer, which is None for a layer without a state.
    """
    first = next((tree for tree in trees if tree is not None), None)
    if first is None:
        return None
    if isinstance(first, tuple | list):
        columns = [(None,) * len(first) if tree is None else tree for tree in trees]
        parts = [map_arrays(function, *column) for column in zip(*columns, strict=True)]
        return parts if isinstance(first, list) else tuple(parts)
    return function(*trees)


def arrays_in(state: Any) -> list[Array]:
    """The arrays of a nested state, in order; None has none."""
    if state is None:
        return []
    if isinstance(state, tuple | list):
        return [array for part in state for array in arrays_in(part)]
    return [state]


def structure(state: Any) -> str:
    """How a state is nested, for messages: ``(array, array)``."""
    if isinstance(state, tuple | list):
        return f"({', '.join(structure(part) for part in state)})"
    return "None" if state is None else "array"


def first_array(state: State) -> Array:
    """The first array of a (nested) state."""
    return arrays_in(state)[0]


def copy_state(state: State | None) -> State | None:
    """The same state in new arrays."""
    return map_arrays(lambda a: namespace_of(a).asarray(a, copy=True, device=a.device), state)
