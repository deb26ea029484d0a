"""A cell of your own, written against the core's protocol, inside `RNN`."""

import copy
from typing import Any

from rnn_xp._typing import Array
from rnn_xp.backend import backend_of
from rnn_xp.compat.keras.layer import Layer
from rnn_xp.compat.keras.nest import flatten, is_nested, pack
from rnn_xp.compat.keras.serialization import class_config
from rnn_xp.layers import TimeCell
from rnn_xp.namespace import float_dtype_name, namespace_of

PROTOCOL = ("params", "grads", "forward", "backward", "zero_state", "output_size")


class OwnCell(Layer):
    """Makes a cell that follows `rnn_xp.cells.base.Cell` look like the facade's own.

    Its weights are there already, so `build` only checks. Keras's own way, a class with
    ``call`` alone, has no backward pass and is refused.

    Parameters
    ----------
    cell : Cell
        See `rnn_xp.cells.base.Cell`.
    """

    def __init__(self, cell: Any):
        missing = [name for name in PROTOCOL if not hasattr(cell, name)]
        if missing:
            raise ValueError(
                f"RNN: cell is a {type(cell).__name__} without {', '.join(missing)}; expected a "
                "cell of rnn_xp.compat.keras, or one that follows rnn_xp.cells.base.Cell (with "
                "forward and backward)"
            )
        like = cell.params[0] if cell.params else flatten(cell.zero_state(1))[0]
        dtype = float_dtype_name(like.dtype, namespace_of(like), type(cell).__name__, "params[0]")
        super().__init__(dtype=dtype, backend=backend_of(like))
        self.cell = cell
        self.name = type(cell).__name__
        self.built = True

    def build(self, input_shape: Any) -> None:
        """Nothing is left to make."""

    @property
    def weights(self) -> list[Array]:
        """The arrays themselves, in the order of Keras."""
        return list(self.cell.params)

    @property
    def grads(self) -> list[Array]:
        """Gradients in the order of `weights`."""
        return list(self.cell.grads)

    @property
    def output_size(self) -> int:
        """Width of the output."""
        return int(self.cell.output_size)

    @property
    def state_size(self) -> Any:
        """Width of the state, or of its parts, in lists."""
        return _sizes(self.cell.zero_state(1))

    @property
    def state_template(self) -> list[Any]:
        """The nesting of the state: lists."""
        size = self.state_size
        return pack(size, [None] * len(flatten(size))) if is_nested(size) else [None]

    def leaves(self) -> list[Any]:
        """Itself."""
        return [self]

    def get_initial_state(self, batch_size: int) -> list[Any]:
        """The cell's zero state, in lists."""
        state = _lists(self.cell.zero_state(batch_size))
        return state if isinstance(state, list) else [state]

    def core_weights(self) -> list[Array]:
        """The cell's parameters."""
        return list(self.cell.params)

    def time_layer(self) -> TimeCell:
        """The core's layer over time."""
        return TimeCell(self.cell, time_major=True)

    def nest_state(self, parts: list[Array]) -> Any:
        """The parts of a state in the tuples that the cell has."""
        return _tuples(self.cell.zero_state(1), iter(parts))

    def draw_masks(self, N: int, D: int) -> tuple[None, None, None]:
        """None: dropout is the cell's own affair."""
        return None, None, None

    def take_grads(self, core: list[Array]) -> None:
        """They are in the cell already."""

    def serialize(self) -> dict[str, Any]:
        """The cell's own configuration.

        Raises
        ------
        TypeError
            If it has no ``get_config``.
        """
        if not hasattr(self.cell, "get_config"):
            raise TypeError(
                f"get_config: {type(self.cell).__name__} has no get_config(), so no configuration "
                "can hold it"
            )
        return class_config(self.cell, "keras.layers")

    def custom_objects(self) -> dict[str, Any]:
        """What the configuration only names; see `Layer.custom_objects`."""
        return {type(self.cell).__name__: type(self.cell)}

    def copy(self) -> "OwnCell":
        """The same with a copy of the cell, weights included."""
        return OwnCell(copy.deepcopy(self.cell))


def _sizes(state: Any) -> Any:
    return [_sizes(s) for s in state] if isinstance(state, tuple) else int(state.shape[1])


def _lists(state: Any) -> Any:
    return [_lists(s) for s in state] if isinstance(state, tuple) else state


def _tuples(like: Any, parts: Any) -> Any:
    return tuple(_tuples(s, parts) for s in like) if isinstance(like, tuple) else next(parts)
