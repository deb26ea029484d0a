"""`StackedRNNCells`, as in keras/src/layers/rnn/stacked_rnn_cells.py."""

from collections.abc import Sequence
from typing import Any, Self

from rnn_xp._typing import Array
from rnn_xp.backend import Backend
from rnn_xp.compat.keras.cell import Cell
from rnn_xp.compat.keras.layer import Layer, check_backend
from rnn_xp.compat.keras.nest import is_nested
from rnn_xp.compat.keras.own_cell import OwnCell
from rnn_xp.compat.keras.serialization import layer_from_config
from rnn_xp.errors import ShapeError


class StackedRNNCells(Layer):
    """Several cells as one: each one's output is the next one's input.

    In `RNN` each cell runs over the whole sequence before the next one does, on the core's
    layers. A stack of one keeps the nesting of its state, ``[state]``.

    Parameters
    ----------
    cells : sequence of cell
        Of this package's facade, or of your own for use in `RNN`.
    **kwargs
        As for `rnn_xp.compat.keras.layer.Layer`.
    """

    def __init__(self, cells: Sequence[Any], **kwargs: Any):
        if not is_nested(cells) or not cells:
            raise ValueError(f"StackedRNNCells: cells = {cells!r}, expected a list of cells")
        self.cells = [as_cell(cell) for cell in cells]
        leaves = self.leaves()
        if len({id(getattr(c, "cell", c)) for c in leaves}) < len(leaves):
            raise ValueError("StackedRNNCells: a cell is listed twice; each needs its own object")
        for leaf in leaves:
            check_backend("StackedRNNCells", kwargs.get("backend"), leaf)
        defaults = {"dtype": leaves[0].dtype, "backend": leaves[0]._backend}
        super().__init__(**{**defaults, **kwargs})

    def leaves(self) -> list[Any]:
        """The single cells, from the input to the output."""
        return [leaf for cell in self.cells for leaf in cell.leaves()]

    @property
    def state_size(self) -> list[Any]:
        """The state sizes of the cells."""
        return [cell.state_size for cell in self.cells]

    @property
    def state_template(self) -> list[Any]:
        """The nesting of the states: a list for each cell."""
        return [cell.state_template for cell in self.cells]

    @property
    def output_size(self) -> int:
        """Width of the last cell's output."""
        return int(self.cells[-1].output_size)

    @property
    def weights(self) -> list[Array]:
        """The arrays themselves, in the order of Keras."""
        return [w for cell in self.cells for w in cell.weights]

    @property
    def grads(self) -> list[Array]:
        """Gradients in the order of `weights`."""
        return [g for cell in self.cells for g in cell.grads]

    def get_initial_state(self, batch_size: int) -> list[Any]:
        """The initial states of the cells."""
        return [cell.get_initial_state(batch_size) for cell in self.cells]

    def build(self, input_shape: Any) -> None:
        """Build each cell for the output of the one before it."""
        shape = tuple(input_shape)
        for cell in self.cells:
            if not cell.built:
                cell.build(shape)
            shape = (shape[0], cell.output_size)
        self.built = True

    def call(self, inputs: Array, states: Any, training: bool = False) -> tuple[Array, list[Any]]:
        """One step of each cell; `states` holds one state for each.

        Returns
        -------
        output : array, shape (N, output_size)
        states : list
            Each in the structure that it was given in.
        """
        self._check_count(states, "states")
        new = []
        for cell, state in zip(self.cells, states, strict=True):
            inputs, state = cell(inputs, state, training)
            new.append(state)
        self.built = True
        return inputs, new

    def backward(self, doutput: Array | None, dstates: Any = None) -> tuple[Array, list[Any]]:
        """Gradient of the last call that was not undone yet; see `LSTMCell.backward`."""
        if dstates is not None:
            self._check_count(dstates, "dstates")
        given = [None] * len(self.cells) if dstates is None else dstates
        found = []
        for cell, dstate in zip(reversed(self.cells), reversed(given), strict=True):
            doutput, before = cell.backward(doutput, dstate)
            found.append(before)
        return doutput, found[::-1]

    def _check_count(self, states: Any, what: str) -> None:
        if not is_nested(states) or len(states) != len(self.cells):
            count = len(states) if is_nested(states) else "no list"
            raise ShapeError(
                f"{self.name}: {what} holds {count}, expected a list of {len(self.cells)} states, "
                "one for each cell"
            )

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments, in Keras's form."""
        return {**super().get_config(), "cells": [cell.serialize() for cell in self.cells]}

    @classmethod
    def from_config(
        cls,
        config: dict[str, Any],
        custom_objects: dict[str, Any] | None = None,
        *,
        backend: str | Backend | None = None,
    ) -> Self:
        """A new object with these arguments; see `Layer.from_config`."""
        rest = dict(config)
        cells = [layer_from_config(c, custom_objects, backend) for c in rest.pop("cells")]
        return cls(cells, **rest, backend=backend)

    def custom_objects(self) -> dict[str, Any]:
        """What the configuration only names; see `Layer.custom_objects`."""
        return {name: v for cell in self.cells for name, v in cell.custom_objects().items()}


def as_cell(cell: Any) -> Any:
    """A cell of the facade; your own, that follows the core's protocol, in a wrapper.

    Raises
    ------
    ValueError
        If it is neither.
    """
    return cell if isinstance(cell, Cell | StackedRNNCells | OwnCell) else OwnCell(cell)
