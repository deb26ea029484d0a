"""`CheckedCell`: a cell whose first step is looked at."""

from typing import Any

from rnn_xp._typing import Array, State
from rnn_xp.errors import ShapeError
from rnn_xp.kernels.generic.states import map_states
from rnn_xp.namespace import require_like, require_shape


class CheckedCell:
    """The cell of one call of `TimeCell`: what its first step returns must be as it says.

    From the second step on `forward` is the cell's own, so the check costs nothing there.

    Parameters
    ----------
    cell : Cell
    where : str
        Of messages.
    """

    def __init__(self, cell: Any, where: str):
        self.cell, self.where = cell, where
        self.forward = self._first_step
        self.backward = cell.backward
        self.params, self.grads = cell.params, cell.grads

    @property
    def output_size(self) -> int:
        """Width of the output."""
        return int(self.cell.output_size)

    @property
    def state_size(self) -> Any:
        """Width of the state, or of each of its parts."""
        return self.cell.state_size

    def zero_state(self, N: int) -> State:
        """State of zeros for a batch of `N`."""
        zeros: State = self.cell.zero_state(N)
        return zeros

    def _first_step(self, x: Array, state: State) -> tuple[Array, State, Any]:
        self.forward = self.cell.forward
        result = self.cell.forward(x, state)
        where = f"{self.where}: {type(self.cell).__name__}.forward"
        if not isinstance(result, tuple) or len(result) != 3:
            given = f"{type(result).__name__}"
            given += f" of {len(result)}" if isinstance(result, tuple) else ""
            raise TypeError(f"{where} returned a {given}, expected (output, new_state, cache)")
        output, new, cache = result
        require_like(output, x, where, "the output")
        require_shape(
            output, (x.shape[0], self.output_size), where, "the output", "(N, output_size)"
        )
        given, expected = structure(new), structure(state)
        if given != expected:
            raise ShapeError(f"{where}: the new state is {given}, expected {expected}")

        def check(part: Array, before: Array) -> None:
            require_like(part, before, where, "the new state")
            shape = tuple(before.shape)
            require_shape(part, shape, where, "the new state", "that of the state before")

        map_states(check, new, state)
        return output, new, cache


def structure(state: State) -> str:
    """How a state is nested, for messages: ``(array, array,)``."""
    if isinstance(state, tuple):
        return f"({', '.join(structure(part) for part in state)},)"
    return "array"
