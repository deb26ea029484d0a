"""What the cells with variables of their own share."""

import re
from typing import Any

from rnn_xp._typing import Array, State
from rnn_xp.backend import Backend
from rnn_xp.compat.tf1.base import RNNCell
from rnn_xp.compat.tf1.bound import BoundCell, BoundLeaf
from rnn_xp.compat.tf1.checks import whole_number
from rnn_xp.compat.tf1.structure import dtype_name
from rnn_xp.errors import DTypeError, ShapeError
from rnn_xp.namespace import namespace_of, require_shape
from rnn_xp.rng import Generator


class LeafCell(RNNCell):
    """A cell with variables of its own.

    A subclass says their names, shapes and initial values (`_variables`), how they become a
    core cell (`_core`), and how the core's gradients become theirs (`from_core_gradients`).
    """

    def __init__(self, num_units: int, name: str | None, dtype: Any):
        where = type(self).__name__
        self.num_units = whole_number(num_units, f"{where}: num_units")
        self.name = name or _snake(where)
        self.input_depth: int | None = None
        self._dtype = None if dtype is None else dtype_name(dtype, where)
        self._arrays: list[Array] = []
        self._gradients: list[Array] = []
        self._names: list[str] = []

    @property
    def output_size(self) -> int:
        """Width of the output."""
        return self.num_units

    @property
    def state_size(self) -> Any:
        """Width of the state."""
        return self.num_units

    @property
    def leaves(self) -> "list[LeafCell]":
        """The cell itself."""
        return [self]

    @property
    def built(self) -> bool:
        """Whether the variables exist."""
        return self.input_depth is not None

    @property
    def variables(self) -> list[Array]:
        """Variables in TensorFlow's order and layout."""
        return self._arrays

    @property
    def grads(self) -> list[Array]:
        """Gradients, in the order and the shapes of `variables`."""
        return self._gradients

    @property
    def variable_names(self) -> list[str]:
        """Names of the variables, such as ``"rnn/lstm_cell/kernel"``."""
        return self._names

    trainable_variables = weights = trainable_weights = variables

    def _variables(self, D: int) -> list[tuple[str, tuple[int, ...], Any]]:
        """Name, shape and initialiser ``(shape, rng) -> host array`` of each variable."""
        raise NotImplementedError

    def _core(self) -> Any:
        """The core cell with the present weights."""
        raise NotImplementedError

    def _kernel(self) -> str | None:
        """Name of the fast kernel that computes the core cell, if there is one."""
        raise NotImplementedError

    def from_core_gradients(self, grads: list[Array]) -> list[Array]:
        """The core cell's gradients in the layout of the variables."""
        raise NotImplementedError

    def to_core(self, state: State) -> State:
        """TensorFlow's state as the core's."""
        return state

    def from_core(self, state: State) -> State:
        """The core's state as TensorFlow's."""
        return state

    def bind(self) -> BoundCell:
        """Return the cell made ready for one call."""
        return BoundLeaf(self, self._core(), self._kernel())

    def _build(
        self, input_depth: int, backend: Backend, dtype: str, rng: Generator, scope: str
    ) -> None:
        where = type(self).__name__
        if self._dtype not in (None, dtype):
            raise DTypeError(f"{where}: made for dtype {self._dtype}, but built for {dtype}")
        if self.built:
            if self.input_depth != input_depth:
                raise ShapeError(
                    f"{where}: used with inputs of depth {input_depth}, but its variables were "
                    f"built for a depth of {self.input_depth}"
                )
            return
        prefix = f"{scope}/{self.name}" if scope else self.name
        for name, shape, initializer in self._variables(input_depth):
            host = initializer(shape, rng)
            array = backend.asarray(host, dtype)
            require_shape(array, shape, where, f"initial {name}", "its shape")
            self._arrays.append(array)
            self._gradients.append(backend.zeros(shape, dtype))
            self._names.append(f"{prefix}/{name}")
        self.input_depth = input_depth


def _snake(name: str) -> str:
    """``BasicLSTMCell`` as ``basic_lstm_cell``."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


def split_rows(kernel: Array, D: int) -> tuple[Array, Array]:
    """The rows of a ``(D + H, ...)`` kernel that meet the input, and those that meet h."""
    return kernel[:D, :], kernel[D:, :]


def join_rows(Wx: Array, Wh: Array) -> Array:
    """The inverse of `split_rows`."""
    return namespace_of(Wx).concat([Wx, Wh], axis=0)
