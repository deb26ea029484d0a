"""`MultiRNNCell`: cells on top of each other as one cell."""

import warnings
from typing import Any

from rnn_xp._typing import Array, State
from rnn_xp.backend import Backend
from rnn_xp.compat.tf1.base import RNNCell
from rnn_xp.compat.tf1.bound import BoundCell
from rnn_xp.compat.tf1.leaf import LeafCell
from rnn_xp.namespace import namespace_of
from rnn_xp.rng import Generator


class MultiRNNCell(RNNCell):
    """Cells on top of each other: each takes the output of the one before as its input.

    Parameters
    ----------
    cells : list or tuple of RNNCell
        From the bottom up. One object twice shares its weights.
    state_is_tuple : bool
        Whether the state is a tuple with one state for each cell, or one array with all of
        them side by side (then every cell's own state must be one array).

    Raises
    ------
    TypeError
        If `cells` is not a list or tuple of cells.
    ValueError
        If it is empty, or without `state_is_tuple` a cell's state is a tuple.

    Notes
    -----
    The output is that of the top cell. `dynamic_rnn` runs cell by cell over all steps, so
    each cell that has a fast kernel uses it.
    """

    def __init__(self, cells: list[RNNCell] | tuple[RNNCell, ...], state_is_tuple: bool = True):
        if not isinstance(cells, list | tuple):
            raise TypeError(
                f"MultiRNNCell: cells is a {type(cells).__name__}, expected a list or tuple"
            )
        if not cells:
            raise ValueError("MultiRNNCell: cells is empty, expected at least one cell")
        for k, cell in enumerate(cells):
            if not isinstance(cell, RNNCell):
                raise TypeError(
                    f"MultiRNNCell: cells[{k}] is a {type(cell).__name__}, expected an RNNCell"
                )
            if not state_is_tuple and isinstance(cell.state_size, tuple):
                raise ValueError(
                    f"MultiRNNCell: state_is_tuple is False, but the state of cells[{k}] is a "
                    f"tuple, state_size = {cell.state_size}"
                )
        if len({id(cell) for cell in cells}) < len(cells):
            warnings.warn(
                "MultiRNNCell: one cell is given twice; the two layers share its weights",
                stacklevel=2,
            )
        self.cells = list(cells)
        self.state_is_tuple = state_is_tuple
        self.name = "multi_rnn_cell"

    @property
    def state_size(self) -> Any:
        """The state sizes of the cells as a tuple, or their sum."""
        sizes = [cell.state_size for cell in self.cells]
        return tuple(sizes) if self.state_is_tuple else sum(sizes)

    @property
    def output_size(self) -> int:
        """That of the top cell."""
        return self.cells[-1].output_size

    @property
    def leaves(self) -> list[LeafCell]:
        """The cells with variables, each once."""
        found: list[LeafCell] = []
        for cell in self.cells:
            found += [leaf for leaf in cell.leaves if all(leaf is not other for other in found)]
        return found

    def _build(
        self, input_depth: int, backend: Backend, dtype: str, rng: Generator, scope: str
    ) -> None:
        prefix = f"{scope}/{self.name}" if scope else self.name
        for k, cell in enumerate(self.cells):
            cell._build(input_depth, backend, dtype, rng, f"{prefix}/cell_{k}")
            input_depth = cell.output_size

    def bind(self) -> BoundCell:
        """Return the cell made ready for one call."""
        return _BoundMulti(self)

    def draw_masks(self) -> None:
        """Draw the dropout masks that steps share, in every cell."""
        for cell in self.cells:
            cell.draw_masks()

    def split_state(self, state: State) -> list[State]:
        """The states of the cells."""
        if self.state_is_tuple:
            return list(state)
        parts, start = [], 0
        for cell in self.cells:
            parts.append(state[:, start : start + cell.state_size])
            start += cell.state_size
        return parts

    def join_state(self, parts: list[State]) -> State:
        """The inverse of `split_state`."""
        if self.state_is_tuple:
            return tuple(parts)
        return namespace_of(parts[0]).concat(parts, axis=1)


class _BoundMulti(BoundCell):
    """The bound cells, one after the other."""

    def __init__(self, cell: MultiRNNCell):
        super().__init__(cell)
        self.bound = [part.bind() for part in cell.cells]

    def forward(self, x: Array, state: State) -> tuple[Array, State, Any]:
        """One step from the bottom up."""
        states, caches = [], []
        for bound, part in zip(self.bound, self.cell.split_state(state), strict=True):
            x, new, cache = bound.forward(x, part)
            states.append(new)
            caches.append(cache)
        return x, self.cell.join_state(states), caches

    def backward(self, doutput: Array, dstate: State | None, cache: Any) -> tuple[Array, State]:
        """Gradient of one step, from the top down."""
        before = []
        for bound, dpart, kept in reversed(self._parts(dstate, cache)):
            doutput, dbefore = bound.backward(doutput, dpart, kept)
            before.append(dbefore)
        return doutput, self.cell.join_state(before[::-1])

    def run(
        self, x: Array, state: State, mask: Array | None, keep: bool
    ) -> tuple[Array, State, Any]:
        """All steps of one cell, then of the next."""
        states, caches = [], []
        for bound, part in zip(self.bound, self.cell.split_state(state), strict=True):
            x, final, cache = bound.run(x, part, mask, keep)
            states.append(final)
            caches.append(cache)
        return x, self.cell.join_state(states), caches

    def run_backward(
        self, doutputs: Array | None, dstate: State | None, cache: Any
    ) -> tuple[Array, State]:
        """Gradient of `run`."""
        before = []
        for bound, dpart, kept in reversed(self._parts(dstate, cache)):
            doutputs, dbefore = bound.run_backward(doutputs, dpart, kept)
            before.append(dbefore)
        return doutputs, self.cell.join_state(before[::-1])

    def finish(self) -> None:
        """Finish every cell."""
        for bound in self.bound:
            bound.finish()

    def _parts(self, dstate: State | None, caches: list[Any]) -> list[tuple[Any, Any, Any]]:
        """``(bound cell, gradient of its new state or None, its cache)``, from the bottom up."""
        dparts = [None] * len(self.bound) if dstate is None else self.cell.split_state(dstate)
        return list(zip(self.bound, dparts, caches, strict=True))
