"""`raw_rnn`: a loop over steps whose inputs the caller makes as it goes."""

from typing import Any

from rnn_xp._typing import Array, State
from rnn_xp.compat.tf1.base import RNNCell, require_cell
from rnn_xp.compat.tf1.raw_backward import RawRun, RawStep, keep_rows
from rnn_xp.compat.tf1.structure import check_state, nest_as
from rnn_xp.compat.tf1.tape import Call, active_tape, paused
from rnn_xp.errors import DTypeError, ShapeError
from rnn_xp.host import is_host, upload
from rnn_xp.kernels.generic.states import select_states
from rnn_xp.namespace import (
    namespace_of,
    require_float,
    require_home,
    require_shape,
)


class TensorArray(list[Any]):
    """What `raw_rnn` emitted: a list with one array for each step."""

    def stack(self) -> Array:
        """One array, (T, N, ...)."""
        if not self:
            raise ShapeError("TensorArray.stack: no step was run, there is nothing to stack")
        return namespace_of(self[0]).stack(list(self), axis=0)

    def read(self, index: int) -> Array:
        """The array of one step."""
        return self[index]

    def size(self) -> int:
        """Number of steps."""
        return len(self)


def raw_rnn(
    cell: RNNCell,
    loop_fn: Any,
    parallel_iterations: int | None = None,
    swap_memory: bool = False,
    scope: str | None = None,
    *,
    loop_backward: Any = None,
) -> tuple[Any, State, Any]:
    """Run a cell on inputs that a function makes step by step.

    Parameters
    ----------
    cell : RNNCell
    loop_fn : callable
        ``loop_fn(time, cell_output, cell_state, loop_state) -> (finished, next_input,
        next_state, emit_output, next_loop_state)``. `time` is an int. The first call has time
        0 and None for the other three; its `next_state` is the initial state, and its
        `emit_output` is None or something with the structure of what will be emitted.
        `finished` is an array of bool (N,), on the host or with the inputs. A
        `next_loop_state` of None keeps the old one.
    parallel_iterations, swap_memory : optional
        Taken for the sake of old code; they change nothing.
    scope : str, optional
        Prefix of the variables' names, if this call makes them; default ``"rnn"``.
    loop_backward : callable, optional
        The gradient of one call of `loop_fn` at `time` >= 1, which this library cannot know:
        ``loop_backward(time, demit, dnext_input, dnext_state) -> (dcell_output,
        dcell_state)``. See below for what happens without it.

    Returns
    -------
    emit_ta : TensorArray, or a (nested) tuple of them
        Zero in the rows that were finished before the step.
    final_state : nested as ``cell.state_size``
        Of each row, when it finished.
    final_loop_state : object
        What `loop_fn` returned last, other than None.

    Raises
    ------
    TypeError
        If `cell` is not a cell, `loop_fn` cannot be called, or it emits None after a step.
    ShapeError, DTypeError, MixedBackendError

    Notes
    -----
    The loop ends when all rows are finished; on a GPU that question waits for the device once
    a step, unless `loop_fn` gives `finished` as a host array. There is no fast kernel.

    Recorded on a tape, ``tape.backward(demits, dstate)`` takes gradients in the structure of
    `emit_ta`, each a list or one array (T, N, ...), and returns ``(dinputs, dinitial_state)``:
    a list with the gradient of each step's input, and that of the first call's `next_state`.
    Without `loop_backward`, whatever `loop_fn` passes on as it came (`emit_output` or
    `next_input` that *is* `cell_output`, parts of `next_state` that *are* those of
    `cell_state`) is followed; any other `next_input` counts as data that does not depend on
    the cell; any other emitted array is an error if it has a gradient, and any other array in
    `next_state` always is one.

    Other cells that `loop_fn` calls are not put on the surrounding tape.
    """
    where = "raw_rnn"
    require_cell(cell, where)
    for what, function in (("loop_fn", loop_fn), ("loop_backward", loop_backward)):
        if not callable(function) and not (what == "loop_backward" and function is None):
            raise TypeError(f"{where}: {what} is a {type(function).__name__}, expected a callable")
    tape = active_tape()
    with paused():
        finished, x, state, emit_like, loop_state = _called(loop_fn, 0, None, None, None)
        require_float(x, where, "next_input")
        if len(x.shape) != 2:
            raise ShapeError(f"{where}: next_input has shape {tuple(x.shape)}, expected (N, D)")
        cell.build_for(x, scope or "rnn")
        size, shape, xp = cell.state_size, tuple(x.shape), namespace_of(x)
        state = check_state(state, size, shape[0], x, where, "the initial next_state")
        done, all_done = _finished(finished, x, where)
        cell.draw_masks()
        bound = cell.bind()
        emits: list[Any] = []
        steps: list[RawStep] = []
        while not all_done:
            output, cell_state, cache = bound.forward(x, state)
            cell_state = nest_as(size, cell_state)
            time = len(emits) + 1
            finished, next_x, next_state, emit, next_loop = _called(
                loop_fn, time, output, cell_state, loop_state
            )
            if emit is None:
                raise TypeError(
                    f"{where}: loop_fn's emit_output is None at time {time}, expected an array "
                    "or a tuple of arrays"
                )
            require_float(next_x, where, "next_input")
            require_shape(next_x, shape, where, "next_input", "(N, D)")
            next_state = check_state(next_state, size, shape[0], x, where, "next_state")
            _check_emitted(emit, emits[0] if emits else None, x, where)
            if tape is not None:
                steps.append(
                    RawStep(time, cache, output, cell_state, emit, next_x, next_state, done)
                )
            emits.append(keep_rows(~done, emit))
            state = nest_as(size, select_states(~done, next_state, state, xp))
            loop_state = loop_state if next_loop is None else next_loop
            x = next_x
            new, _ = _finished(finished, x, where)
            done = xp.logical_or(done, new)
            all_done = _all(done)
    if tape is not None:
        run = RawRun(cell, bound, steps, loop_backward, x, shape[0])
        tape.add(Call(where, cell.leaves, run.check, run.backward))
    structure = emits[0] if emits else emit_like
    return _gather(emits, structure), state, loop_state


def _called(loop_fn: Any, *args: Any) -> tuple[Any, ...]:
    """The five things that `loop_fn` returns."""
    result = loop_fn(*args)
    if not isinstance(result, tuple | list) or len(result) != 5:
        count = f"{len(result)} things" if isinstance(result, tuple | list) else repr(result)
        raise TypeError(
            f"raw_rnn: at time {args[0]} loop_fn returned {count}, expected (finished, "
            "next_input, next_state, emit_output, next_loop_state)"
        )
    return tuple(result)


def _check_emitted(emit: Any, first: Any, like: Array, where: str) -> None:
    """Raise unless `emit` is nested as `first`, its arrays (N, ...) and at home with `like`."""
    if isinstance(emit, tuple) and (
        first is None or (isinstance(first, tuple) and len(first) == len(emit))
    ):
        for k, part in enumerate(emit):
            _check_emitted(part, None if first is None else first[k], like, where)
        return
    if isinstance(emit, tuple | list) or not hasattr(emit, "shape") or isinstance(first, tuple):
        raise ShapeError(
            f"{where}: emit_output is a {type(emit).__name__}, expected an array (N, ...) or a "
            "(nested) tuple of them, the same at every step"
        )
    require_home(emit, like, where, "emit_output")
    shape, N = tuple(emit.shape), like.shape[0]
    if first is not None:
        require_shape(emit, tuple(first.shape), where, "emit_output", "that of the first step")
    elif not shape or shape[0] != N:
        raise ShapeError(f"{where}: emit_output has shape {shape}, expected (N, ...) with N = {N}")


def _finished(finished: Any, like: Array, where: str) -> tuple[Array, bool]:
    """`finished` as an array with `like`, and whether it is all True."""
    shape = (like.shape[0],)
    if not hasattr(finished, "shape"):
        raise DTypeError(
            f"{where}: finished is a {type(finished).__name__}, expected an array of bool, "
            f"(N,) = {shape}"
        )
    require_shape(finished, shape, where, "finished", "(N,)")
    xp = namespace_of(like)
    if is_host(finished):
        finished = upload(finished, like)
    require_home(finished, like, where, "finished")
    if finished.dtype != xp.bool:
        raise DTypeError(f"{where}: finished has dtype {finished.dtype}, expected bool")
    return finished, _all(finished)


def _all(flags: Array) -> bool:
    """Whether all are True, as a bool of Python: on a GPU this waits for the device."""
    return bool(namespace_of(flags).all(flags))


def _gather(emits: list[Any], structure: Any) -> Any:
    """What all steps emitted, as one `TensorArray` for each leaf of `structure`."""
    if isinstance(structure, tuple):
        return tuple(_gather([e[k] for e in emits], s) for k, s in enumerate(structure))
    return TensorArray(emits)
