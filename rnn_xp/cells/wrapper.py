"""What a cell around another cell is."""

import copy
from typing import Any, Self

from rnn_xp._typing import Array, State
from rnn_xp.cells.base import Cell, cell_for_call, require_cell


class WrapperCell:
    """A cell that runs another one and changes what goes in or comes out.

    Parameters
    ----------
    cell : Cell
        The package's or your own. Weights, sizes and state are those of `cell`, as far as a
        subclass does not say otherwise.

    Notes
    -----
    Wrappers may be nested. They run in `TimeCell`; there are no fast kernels for them.
    """

    def __init__(self, cell: Any):
        require_cell(cell, type(self).__name__)
        self.cell: Cell = cell

    @property
    def params(self) -> list[Array]:
        """Parameters of the wrapped cell."""
        return self.cell.params

    @params.setter
    def params(self, arrays: list[Array]) -> None:
        self.cell.params = arrays

    @property
    def grads(self) -> list[Array]:
        """Gradients of the wrapped cell."""
        return self.cell.grads

    @grads.setter
    def grads(self, arrays: list[Array]) -> None:
        self.cell.grads = arrays

    @property
    def input_size(self) -> int | None:
        """D, or None if the wrapped cell does not tell it."""
        return getattr(self.cell, "input_size", None)

    @property
    def output_size(self) -> int:
        """Width of the output."""
        return self.cell.output_size

    @property
    def state_size(self) -> Any:
        """Width of the state, or of each of its parts."""
        return self.cell.state_size

    def zero_state(self, N: int) -> State:
        """State of zeros for a batch of `N`."""
        return self.cell.zero_state(N)

    def for_call(self, N: int, T: int, train: bool) -> Self:
        """The wrapper around the wrapped cell's own `for_call`."""
        return self._around(cell_for_call(self.cell, N, T, train))

    def forward(self, x: Array, state: State) -> tuple[Array, State, Any]:
        """One step: ``(output, new_state, cache)``."""
        return self.cell.forward(x, state)

    def backward(self, doutput: Array, dstate: State | None, cache: Any) -> tuple[Array, State]:
        """Gradient of one step: ``(dx, dstate_before)``; adds into `grads`."""
        return self.cell.backward(doutput, dstate, cache)

    def _around(self, cell: Cell) -> Self:
        """A copy of this wrapper around another cell."""
        other = object.__new__(type(self))
        other.__dict__.update(self.__dict__)
        other.cell = cell
        return other

    def __copy__(self) -> Self:
        """A copy whose `params` can be set without changing those of this one."""
        return self._around(copy.copy(self.cell))


def random_cells(cell: Any) -> list[Any]:
    """The cells inside `cell`, itself first, that count training calls.

    Their ``counter`` attributes are what a resume has to restore.
    """
    inner = [cell.cell] if hasattr(cell, "cell") else getattr(cell, "cells", [])
    own = [cell] if hasattr(cell, "counter") else []
    return own + [found for part in inner for found in random_cells(part)]
