"""`StackedCell`: several cells, one on top of the other, as one cell."""

import copy
from typing import Any, Self

from rnn_xp._typing import Array, State
from rnn_xp.cells.base import Cell, cell_for_call, require_cell
from rnn_xp.errors import ShapeError


class StackedCell:
    """One cell made of several: each gets the output of the one below it as its input.

    A `Stack` of layers gives the same numbers and keeps their fast kernels; this one is for
    what needs a *cell*: a decoder that feeds its output back, or a wrapper around all of it.

    Parameters
    ----------
    cells : list of Cell
        From the lowest to the highest, of any widths that fit together.

    Attributes
    ----------
    params, grads : list of array
        Those of all cells, from the lowest to the highest.

    Notes
    -----
    With ``y_0 = x``, for the cells k = 1 to K::

        y_k, s_k' = cell_k(y_(k-1), s_k)

    The state is the tuple ``(s_1, ..., s_K)``; the output is ``y_K``.

    References
    ----------
    Graves, Mohamed & Hinton, "Speech recognition with deep recurrent neural networks",
    arXiv:1303.5778; ``tf.compat.v1.nn.rnn_cell.MultiRNNCell``.
    """

    def __init__(self, cells: list[Any]):
        if not isinstance(cells, list | tuple):
            raise TypeError(f"StackedCell: cells is a {type(cells).__name__}, expected a list")
        if not cells:
            raise ValueError("StackedCell: needs at least one cell")
        for cell in cells:
            require_cell(cell, "StackedCell")
        if len({id(cell) for cell in cells}) < len(cells):
            raise ValueError(
                "StackedCell: a cell is there twice; its parameters would be updated twice, so "
                "make another cell from the same arrays"
            )
        for k in range(1, len(cells)):
            below, D = cells[k - 1].output_size, getattr(cells[k], "input_size", None)
            if D not in (None, below):
                raise ShapeError(
                    f"StackedCell: cell {k} takes an input {D} wide, but the output of cell "
                    f"{k - 1} is {below} wide"
                )
        self.cells: list[Cell] = list(cells)
        self._params = [p for cell in cells for p in cell.params]
        self._grads: list[Array] | None = None

    @property
    def params(self) -> list[Array]:
        """Parameters of all cells."""
        return self._params

    @params.setter
    def params(self, arrays: list[Array]) -> None:
        self._check_count(arrays, "params")
        self._params = arrays
        self._bind()

    @property
    def grads(self) -> list[Array]:
        """Gradients in the order of `params`."""
        if self._grads is None:
            self._grads = [g for cell in self.cells for g in cell.grads]
        return self._grads

    @grads.setter
    def grads(self, arrays: list[Array]) -> None:
        self._check_count(arrays, "grads")
        self._grads = arrays
        self._bind()

    def _check_count(self, arrays: list[Array], what: str) -> None:
        if len(arrays) != len(self._params):
            raise ValueError(
                f"StackedCell: {what} is set to {len(arrays)} arrays, expected {len(self._params)}"
            )

    def _bind(self) -> None:
        """Give the cells what the lists hold now: a model may have put other arrays there."""
        start = 0
        for cell in self.cells:
            stop = start + len(cell.params)
            for name, mine in (("params", self.params), ("grads", self.grads)):
                pairs = zip(mine[start:stop], getattr(cell, name), strict=True)
                if any(a is not b for a, b in pairs):
                    setattr(cell, name, mine[start:stop])
            start = stop

    @property
    def input_size(self) -> int | None:
        """D of the lowest cell, or None if it does not tell it."""
        return getattr(self.cells[0], "input_size", None)

    @property
    def output_size(self) -> int:
        """Width of the highest cell's output."""
        return self.cells[-1].output_size

    @property
    def state_size(self) -> tuple[Any, ...]:
        """The state sizes of the cells."""
        return tuple(cell.state_size for cell in self.cells)

    def zero_state(self, N: int) -> tuple[State, ...]:
        """States of zeros for a batch of `N`, one a cell."""
        return tuple(cell.zero_state(N) for cell in self.cells)

    def for_call(self, N: int, T: int, train: bool) -> Self:
        """The stack of the cells' own `for_call`."""
        self._bind()
        return self._of([cell_for_call(cell, N, T, train) for cell in self.cells])

    def forward(self, x: Array, state: tuple[State, ...]) -> tuple[Array, State, Any]:
        """One step of all cells.

        Parameters
        ----------
        x : array, shape (N, D)
        state : tuple of state
            One for each cell.

        Returns
        -------
        output : array, shape (N, output_size)
        state : tuple of state
        cache : list
            For one call of `backward`.
        """
        self._bind()
        states, caches = [], []
        for cell, before in zip(self.cells, state, strict=True):
            x, after, cache = cell.forward(x, before)
            states.append(after)
            caches.append(cache)
        return x, tuple(states), caches

    def backward(
        self, doutput: Array, dstate: tuple[State, ...] | None, cache: Any
    ) -> tuple[Array, tuple[State, ...]]:
        """Gradient of one step, from the highest cell to the lowest; adds into `grads`.

        Parameters
        ----------
        doutput : array, shape (N, output_size)
        dstate : tuple of state, or None
            Gradient with respect to the new states; None, also in the tuple, is zeros.
        cache : list
            What `forward` returned.

        Returns
        -------
        dx : array, shape (N, D)
        dstate : tuple of state
        """
        self._bind()
        into = (None,) * len(self.cells) if dstate is None else dstate
        before = []
        for cell, dafter, kept in reversed(list(zip(self.cells, into, cache, strict=True))):
            doutput, dbefore = cell.backward(doutput, dafter, kept)
            before.append(dbefore)
        return doutput, tuple(reversed(before))

    def _of(self, cells: list[Cell]) -> Self:
        """A copy of this stack over other cells."""
        other = object.__new__(type(self))
        other.__dict__.update(self.__dict__)
        other.cells = cells
        return other

    def __copy__(self) -> Self:
        """A copy whose `params` can be set without changing those of this one."""
        return self._of([copy.copy(cell) for cell in self.cells])
