"""The backward pass of `raw_rnn`."""

from dataclasses import dataclass
from typing import Any

from rnn_xp._typing import Array, State
from rnn_xp.compat.tf1.base import RNNCell
from rnn_xp.compat.tf1.bound import BoundCell
from rnn_xp.compat.tf1.structure import check_gradient, nest_as, zeros_as
from rnn_xp.compat.tf1.tape import paused
from rnn_xp.errors import ShapeError
from rnn_xp.kernels.generic.states import add_states, select_states
from rnn_xp.namespace import namespace_of, require_like, require_shape


@dataclass(frozen=True, slots=True)
class RawStep:
    """What one step leaves for the backward pass.

    Attributes
    ----------
    time : int
        That `loop_fn` was called with after the cell.
    cache : object
        The cell's.
    output, cell_state : array, State
        What the cell returned.
    emit, next_input, next_state : Any
        What `loop_fn` made of them.
    done : array of bool, shape (N,)
        The rows that were finished before the step.
    """

    time: int
    cache: Any
    output: Array
    cell_state: State
    emit: Any
    next_input: Array
    next_state: State
    done: Array


class RawRun:
    """A recorded call of `raw_rnn`.

    Parameters
    ----------
    cell : RNNCell
    bound : BoundCell
        The cell as this call ran it.
    steps : list of RawStep
        The first step first.
    loop_backward : callable or None
        As `raw_rnn` takes it.
    like : array, shape (N, D)
        An input of a step.
    N : int
        Number of rows.
    """

    def __init__(
        self,
        cell: RNNCell,
        bound: BoundCell,
        steps: list[RawStep],
        loop_backward: Any,
        like: Array,
        N: int,
    ):
        self.cell = cell
        self.bound = bound
        self.steps = steps
        self.loop_backward = loop_backward
        self.like = like
        self.N = N

    def check(self, demits: Any, dstate: Any) -> tuple[Any, Any]:
        """The gradients handed in, as one structure for each step, and the state's."""
        per_step = [self._emit_gradient(demits, step.emit, t) for t, step in enumerate(self.steps)]
        size = self.cell.state_size
        return per_step, check_gradient(dstate, size, self.N, self.like, "raw_rnn", "dstate")

    def _emit_gradient(self, demits: Any, emit: Any, t: int) -> Any:
        """Of `demits`, the part of step `t`, in the structure of its `emit`."""
        if isinstance(emit, tuple):
            parts = (None,) * len(emit) if demits is None else demits
            if not isinstance(parts, tuple) or len(parts) != len(emit):
                raise ShapeError(
                    f"raw_rnn: doutputs is a {type(demits).__name__}, expected a tuple of "
                    f"{len(emit)} parts, as was emitted"
                )
            return tuple(self._emit_gradient(d, e, t) for d, e in zip(parts, emit, strict=True))
        if demits is None:
            return None
        if not isinstance(demits, list | tuple) and not getattr(demits, "shape", ()):
            raise ShapeError(
                f"raw_rnn: doutputs is a {type(demits).__name__}, expected one array, or a list "
                f"of T = {len(self.steps)}"
            )
        count = len(demits) if isinstance(demits, list | tuple) else demits.shape[0]
        if count != len(self.steps):
            raise ShapeError(f"raw_rnn: doutputs has {count} steps, expected T = {len(self.steps)}")
        if isinstance(demits, list | tuple):
            d = demits[t]
        else:
            d = demits[(t, *(slice(None),) * (len(demits.shape) - 1))]
        if d is not None:
            require_like(d, self.like, "raw_rnn", f"doutputs[{t}]")
            require_shape(d, tuple(emit.shape), "raw_rnn", f"doutputs[{t}]", "that of the emitted")
        return d

    def backward(self, demits: list[Any], dstate: State | None) -> tuple[list[Array], State]:
        """``(dinputs, dinitial_state)``; adds into the cell's `grads`."""
        xp = namespace_of(self.like)
        size, like = self.cell.state_size, self.like
        dstate = self._zero_state() if dstate is None else dstate
        dinputs: list[Array] = []
        dnext_input = xp.zeros_like(like)
        for step, demit in zip(reversed(self.steps), reversed(demits), strict=True):
            active = ~step.done
            through = select_states(step.done, dstate, None, xp)
            dnext_state = nest_as(size, select_states(active, dstate, None, xp))
            demit = keep_rows(active, demit)
            dcell_output, dcell_state = self._loop_gradient(step, demit, dnext_input, dnext_state)
            dnext_input, before = self.bound.backward(dcell_output, dcell_state, step.cache)
            dstate = add_states(before, through)
            dinputs.append(dnext_input)
        self.bound.finish()
        return dinputs[::-1], nest_as(size, dstate)

    def _loop_gradient(
        self, step: RawStep, demit: Any, dnext_input: Array, dnext_state: State
    ) -> tuple[Array, State]:
        """Gradients with respect to what the cell gave to `loop_fn`."""
        xp = namespace_of(self.like)
        if self.loop_backward is not None:
            with paused():
                found = self.loop_backward(step.time, demit, dnext_input, dnext_state)
            if not isinstance(found, tuple | list) or len(found) != 2:
                raise TypeError(
                    f"raw_rnn: loop_backward returned a {type(found).__name__}, expected "
                    "(dcell_output, dcell_state)"
                )
            doutput, dcell = found
            if doutput is None:
                doutput = xp.zeros_like(step.output)
            require_like(doutput, self.like, "raw_rnn", "loop_backward's dcell_output")
            shape = tuple(step.output.shape)
            require_shape(doutput, shape, "raw_rnn", "loop_backward's dcell_output", "(N, width)")
            size, what = self.cell.state_size, "loop_backward's dcell_state"
            dcell = check_gradient(dcell, size, self.N, self.like, "raw_rnn", what)
            return doutput, self._zero_state() if dcell is None else dcell
        doutput = xp.zeros_like(step.output)
        for d, array in _leaves(demit, step.emit):
            if d is None:
                continue
            if array is not step.output:
                raise _unknown("emit_output", "cell_output", step.time)
            doutput = doutput + d
        if step.next_input is step.output:
            doutput = doutput + dnext_input
        for array, own in _leaves(step.next_state, step.cell_state):
            if array is not own:
                raise _unknown("next_state", "cell_state", step.time)
        return doutput, dnext_state

    def _zero_state(self) -> State:
        """Zeros nested as the cell's state."""
        like = self.like
        xp = namespace_of(like)
        return zeros_as(self.cell.state_size, self.N, xp, like.dtype, like.device)


def _unknown(made: str, of: str, time: int) -> TypeError:
    return TypeError(
        f"raw_rnn: at time {time} loop_fn's {made} is not {of} itself, so its gradient is not "
        "known; give raw_rnn a loop_backward"
    )


def _leaves(first: Any, second: Any) -> list[tuple[Any, Any]]:
    """Corresponding leaves of two structures; None in the first stands for all below it."""
    if isinstance(second, tuple):
        parts = (None,) * len(second) if first is None else first
        return [pair for a, b in zip(parts, second, strict=True) for pair in _leaves(a, b)]
    return [(first, second)]


def keep_rows(active: Array, emitted: Any) -> Any:
    """Array (N, ...), tuple of such, or None: with zeros in the rows that are not `active`."""
    if isinstance(emitted, tuple):
        return tuple(keep_rows(active, part) for part in emitted)
    if emitted is None:
        return None
    xp = namespace_of(emitted)
    flags = xp.reshape(active, (active.shape[0],) + (1,) * (len(emitted.shape) - 1))
    return xp.where(flags, emitted, xp.zeros_like(emitted))
