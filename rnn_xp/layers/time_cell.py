"""`TimeCell`: any cell over time."""

import copy
from typing import Any

from rnn_xp._typing import Array, State
from rnn_xp.backend import Backend
from rnn_xp.cells.base import Cell, cell_for_call, require_cell
from rnn_xp.errors import ShapeError
from rnn_xp.host import time_mask
from rnn_xp.kernels.generic.sequence import sequence_backward, sequence_forward
from rnn_xp.kernels.generic.states import map_states
from rnn_xp.layers.base import Layer
from rnn_xp.layers.checked_cell import CheckedCell, structure
from rnn_xp.layers.state import StateKeeper, copy_state, first_array
from rnn_xp.namespace import namespace_of, require_float, require_like, require_shape


class TimeCell(Layer):
    """Run a cell, the package's or your own, over a batch of sequences.

    The cell's step runs as it is written: there is no fast kernel for it. A cell that has a
    `for_call` (what is random in a cell is drawn there) is asked at each `forward` for the
    cell to run in that call and in its `backward`.

    Parameters
    ----------
    cell : Cell
        See `rnn_xp.cells.base.Cell` for the protocol.
    stateful : bool
        Whether a call starts from the state in which the last one ended.
    time_major : bool
        Whether sequences are (T, N, ...) instead of (N, T, ...).

    Attributes
    ----------
    state : array or (nested) tuple of array
        Where the last call ended; assign to it to set where the next one starts.
    dstate : like `state`
        Gradient with respect to the state that the last call started from.
    """

    def __init__(self, cell: Cell, stateful: bool = False, *, time_major: bool = False):
        _check_cell(cell, self.name)
        super().__init__(cell.params)
        self.grads = cell.grads
        self.cell = cell
        self.time_major = time_major
        self.dstate: State | None = None
        self._keeper = StateKeeper(stateful)

    @property
    def input_size(self) -> int | None:
        """D, or None if the cell does not tell it."""
        return getattr(self.cell, "input_size", None)

    @property
    def output_size(self) -> int:
        """Width of the output."""
        return self.cell.output_size

    @property
    def stateful(self) -> bool:
        """Whether a call starts where the last one ended."""
        return self._keeper.stateful

    @stateful.setter
    def stateful(self, value: bool) -> None:
        self._keeper.stateful = value

    @property
    def state(self) -> State | None:
        """State after the last call."""
        return self._keeper.value

    @state.setter
    def state(self, value: State | None) -> None:
        """Set where the next call starts; the arrays are adopted, not copied."""
        if value is not None:
            self._check_state(value, None, "state")
        self._keeper.set(value)

    def set_state(self, state: State | None) -> None:
        """Set the state that the next call starts from.

        Parameters
        ----------
        state : array or (nested) tuple of array, or None
            In the structure of the cell's state, each part (N, its width). Copied; None is
            zeros. A layer that is not stateful uses it for one call.
        """
        self.state = state
        self._keeper.set(copy_state(state))

    def zero_state(self, N: int) -> State:
        """State of zeros for a batch of `N`."""
        return self.cell.zero_state(N)

    def reset_state(self) -> None:
        """Start the next call from zeros."""
        self._keeper.set(None)

    def forward(
        self, xs: Array, lengths: Any = None, mask: Any = None, train: bool = True
    ) -> Array:
        """Run the cell; arguments and result as in `rnn_xp.layers.TimeRNN.forward`."""
        if self.params:
            require_like(xs, self.params[0], self.name, "xs")
        else:
            require_float(xs, self.name, "xs")
        D = self.input_size
        if len(xs.shape) != 3 or 0 in xs.shape[:2] or D not in (None, xs.shape[2]):
            names = "(T, N, D)" if self.time_major else "(N, T, D)"
            names += " with " if D is None else f" with D = {D} and "
            names += "N and T at least 1"
            raise ShapeError(f"{self.name}: xs has shape {tuple(xs.shape)}, expected {names}")
        xp = namespace_of(xs)
        x = xs if self.time_major else xp.permute_dims(xs, (1, 0, 2))
        T, N = x.shape[:2]
        valid = time_mask(lengths, mask, N, T, xs, self.time_major, self.name)
        state = self._keeper.start(N, self.name)
        if state is None:
            state = self.cell.zero_state(N)
        self._cache = None
        cell = CheckedCell(cell_for_call(self.cell, N, T, train), self.name)
        outputs, final, cache = sequence_forward(cell, x, state, valid, keep=train)
        self._cache = (cache, tuple(outputs.shape), x) if train else None
        self._keeper.finish(final)
        return outputs if self.time_major else xp.permute_dims(outputs, (1, 0, 2))

    def backward(self, doutputs: Array | None, dstate: State | None = None) -> Array:
        """Gradient of the last `forward`; overwrites `grads` and sets `dstate`.

        Parameters
        ----------
        doutputs : array, shape (N, T, output_size) or (T, N, ...), or None
            Gradient with respect to the outputs; None is zeros.
        dstate : like the state, optional
            Gradient with respect to the final state.

        Returns
        -------
        dxs : array, shape of `xs`
        """
        self._check_upstream(doutputs, dstate)
        cache, _, _ = self._take_cache()
        for grad in self.grads:
            grad[...] = namespace_of(grad).zeros_like(grad)
        if doutputs is not None and not self.time_major:
            doutputs = namespace_of(doutputs).permute_dims(doutputs, (1, 0, 2))
        dx, self.dstate = sequence_backward(doutputs, dstate, cache)
        return dx if self.time_major else namespace_of(dx).permute_dims(dx, (1, 0, 2))

    def _check_upstream(self, dout: Any, dstate: Any = None) -> None:
        _, (T, N, width), x = self._held_cache()
        if dout is not None:
            require_like(dout, x, self.name, "doutputs")
            shape = (T, N, width) if self.time_major else (N, T, width)
            require_shape(dout, shape, self.name, "doutputs", "(N, T, output_size)")
        if dstate is not None:
            self._check_state(dstate, N, "dstate")

    def _check_state(self, state: State, N: int | None, what: str) -> None:
        """Raise unless `state` has the structure and the widths of the cell's own."""
        own = self.cell.zero_state(1)
        given, expected = structure(state), structure(own)
        if given != expected:
            raise ShapeError(f"{self.name}: {what} is {given}, expected {expected}")
        map_states(lambda a, like: require_like(a, like, self.name, what), state, own)
        if N is None:
            N = first_array(state).shape[0]
        map_states(
            lambda a, like: require_shape(a, (N, *like.shape[1:]), self.name, what, "(N, width)"),
            state,
            own,
        )

    def to(self, backend: str | Backend) -> "TimeCell":
        """A copy on another backend; the cell's `params` and `grads` must be assignable."""
        moved = super().to(backend)
        moved.cell = copy.copy(self.cell)
        moved.cell.params, moved.cell.grads = moved.params, moved.grads
        return moved

    def __getstate__(self) -> dict[str, Any]:
        """What `copy` and `pickle` take: with a cell that counts its own calls."""
        return super().__getstate__() | {"cell": copy.copy(self.cell)}

    def _forget(self) -> None:
        super()._forget()
        self._keeper = StateKeeper(self._keeper.stateful)
        self.dstate = None


def _check_cell(cell: Any, where: str) -> None:
    """Raise unless `cell` has what the protocol asks for."""
    if isinstance(cell, type | Layer):
        given = cell.__name__ if isinstance(cell, type) else type(cell).__name__
        what = "class" if isinstance(cell, type) else "layer"
        raise TypeError(f"{where}: cell is the {what} {given}, expected a cell")
    require_cell(cell, where)
