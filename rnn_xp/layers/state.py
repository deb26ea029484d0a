"""The recurrent state of a layer from call to call: the same rules for every layer."""

from rnn_xp._typing import Array, State
from rnn_xp.errors import ShapeError
from rnn_xp.kernels.generic.states import copy_states


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

        Raises
        ------
        ShapeError
            If the kept state is of another batch size.
        """
        use = self._set_for_next_call or (self.stateful and self.value is not None)
        self._set_for_next_call = False
        if not use:
            return None
        held = first_array(self.value).shape[0]
        if held != N:
            self._set_for_next_call = not self.stateful
            raise ShapeError(
                f"{where}: the batch size is {N}, but the state is for {held} rows; "
                "call reset_state() before changing the batch size"
            )
        return self.value

    def finish(self, value: State) -> None:
        """Keep where a call ended."""
        self.value = value


def first_array(state: State) -> Array:
    """The first array of a (nested) state."""
    while isinstance(state, tuple):
        state = state[0]
    return state


def copy_state(state: State | None) -> State | None:
    """The same state in new arrays."""
    return None if state is None else copy_states(state)
