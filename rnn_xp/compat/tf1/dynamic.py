"""`dynamic_rnn` and `static_rnn`."""

from typing import Any

from rnn_xp._typing import Array, State
from rnn_xp.compat.tf1.base import RNNCell, require_cell
from rnn_xp.compat.tf1.bound import BoundCell
from rnn_xp.compat.tf1.structure import check_gradient, check_state, dtype_name, nest_as
from rnn_xp.compat.tf1.tape import Call, active_tape
from rnn_xp.errors import DTypeError, ShapeError
from rnn_xp.host import time_mask
from rnn_xp.namespace import namespace_of, require_float, require_like, require_shape


def dynamic_rnn(
    cell: RNNCell,
    inputs: Array,
    sequence_length: Any = None,
    initial_state: State | None = None,
    dtype: Any = None,
    parallel_iterations: int | None = None,
    swap_memory: bool = False,
    time_major: bool = False,
    scope: str | None = None,
) -> tuple[Array, State]:
    """Run a cell over a batch of sequences.

    Parameters
    ----------
    cell : RNNCell
    inputs : array, shape (N, T, D), or (T, N, D) if `time_major`
    sequence_length : array of int, shape (N,), optional
        Valid steps of each row, 0 to T. Beyond them outputs are zero and the state is copied
        through.
    initial_state : array, or tuple of array, optional
        Nested as ``cell.state_size``; default zeros, and then `dtype` is required.
    dtype : optional
        "float32" or "float64", by name or as any library's dtype; that of `inputs`.
    parallel_iterations, swap_memory : optional
        Taken for the sake of old code; they change nothing.
    time_major : bool
        Whether time is the first axis of inputs and outputs. It saves no transpose here.
    scope : str, optional
        Prefix of the variables' names, if this call makes them; default ``"rnn"``.

    Returns
    -------
    outputs : array, shape (N, T, output_size), or (T, N, output_size)
    state : nested as ``cell.state_size``
        Each row's after its last valid step.

    Raises
    ------
    TypeError
        If `cell` is not a cell.
    ValueError
        If neither `initial_state` nor `dtype` is given.
    ShapeError, DTypeError, DataError, MixedBackendError

    Notes
    -----
    Recorded on a tape, ``tape.backward(doutputs, dstate)`` returns ``(dinputs,
    dinitial_state)``.
    """
    run = CellRun(cell, "dynamic_rnn", scope or "rnn", time_major)
    outputs, state = run.forward(inputs, sequence_length, initial_state, dtype)
    tape = active_tape()
    if tape is not None:
        tape.add(Call("dynamic_rnn", cell.leaves, run.check, run.backward))
    return outputs, state


def static_rnn(
    cell: RNNCell,
    inputs: list[Array] | tuple[Array, ...],
    initial_state: State | None = None,
    dtype: Any = None,
    sequence_length: Any = None,
    scope: str | None = None,
) -> tuple[list[Array], State]:
    """Run a cell over a list of steps.

    Parameters
    ----------
    cell : RNNCell
    inputs : list of array, each (N, D)
    initial_state, dtype, sequence_length, scope : optional
        As for `dynamic_rnn`.

    Returns
    -------
    outputs : list of array, each (N, output_size)
    state : nested as ``cell.state_size``

    Raises
    ------
    TypeError
        If `cell` is not a cell, or `inputs` is not a list or tuple.
    ValueError
        If `inputs` is empty, or neither `initial_state` nor `dtype` is given.
    ShapeError, DTypeError, DataError, MixedBackendError

    Notes
    -----
    Recorded on a tape, ``tape.backward(doutputs, dstate)`` takes a list of arrays or None and
    returns a list as its first part.
    """
    run = CellRun(cell, "static_rnn", scope or "rnn", True)
    outputs, state = run.forward(
        stack_steps(inputs, "static_rnn", "inputs"), sequence_length, initial_state, dtype
    )
    tape = active_tape()
    if tape is not None:

        def check(doutputs: Any, dstate: Any) -> tuple[Any, Any]:
            stacked = stack_gradients(doutputs, outputs.shape, outputs, "static_rnn")
            return run.check(stacked, dstate)

        def backward(doutputs: Any, dstate: Any) -> tuple[Any, Any]:
            dinputs, dinitial = run.backward(doutputs, dstate)
            return unstack(dinputs), dinitial

        tape.add(Call("static_rnn", cell.leaves, check, backward))
    return unstack(outputs), state


class CellRun:
    """One run of one cell over all steps, and what its backward pass needs.

    Parameters
    ----------
    cell : RNNCell
    where : str
        The function's name, for messages.
    scope : str
        Prefix of the variables' names.
    time_major : bool
    reverse : bool
        Whether each row is read from its last valid step to its first.
    """

    def __init__(
        self, cell: RNNCell, where: str, scope: str, time_major: bool, reverse: bool = False
    ):
        require_cell(cell, where)
        self.cell = cell
        self.where = where
        self.scope = scope
        self.time_major = time_major
        self.reverse = reverse
        self._bound: BoundCell | None = None
        self._cache: Any = None
        self._like: Array = None
        self._shape: tuple[int, ...] = ()

    def forward(
        self, inputs: Array, sequence_length: Any, initial_state: State | None, dtype: Any
    ) -> tuple[Array, State]:
        """Outputs and final state."""
        where, cell = self.where, self.cell
        require_float(inputs, where, "inputs")
        if len(inputs.shape) != 3 or 0 in inputs.shape[:2]:
            names = "(T, N, D)" if self.time_major else "(N, T, D)"
            raise ShapeError(
                f"{where}: inputs has shape {tuple(inputs.shape)}, expected {names}, N and T "
                "at least 1"
            )
        if dtype is not None and dtype_name(dtype, where) != dtype_name(inputs.dtype, where):
            raise DTypeError(
                f"{where}: dtype is {dtype_name(dtype, where)}, but inputs has dtype {inputs.dtype}"
            )
        if initial_state is None and dtype is None:
            raise ValueError(f"{where}: without an initial_state, dtype must be given")
        x = self._turn(inputs)
        T, N = x.shape[:2]
        mask = time_mask(sequence_length, None, N, T, inputs, self.time_major, where)
        cell.build_for(inputs, self.scope)
        if initial_state is None:
            state = cell.get_initial_state(x[0, :, :])
        else:
            state = check_state(initial_state, cell.state_size, N, inputs, where, "initial_state")
        xp = namespace_of(inputs)
        if self.reverse:
            x = xp.flip(x, axis=0)
            mask = None if mask is None else xp.flip(mask, axis=0)
        keep = active_tape() is not None
        cell.draw_masks()
        bound = cell.bind()
        outputs, final, cache = bound.run(x, state, mask, keep)
        self._shape = tuple(outputs.shape)
        if keep:
            self._bound, self._cache, self._like = bound, cache, x
        outputs = xp.flip(outputs, axis=0) if self.reverse else outputs
        return self._turn(outputs), nest_as(cell.state_size, final)

    def check(self, doutputs: Any, dstate: Any) -> tuple[Any, Any]:
        """The gradients handed in, checked."""
        T, N, width = self._shape
        if doutputs is not None:
            require_like(doutputs, self._like, self.where, "doutputs")
            shape = (T, N, width) if self.time_major else (N, T, width)
            require_shape(doutputs, shape, self.where, "doutputs", "the shape of the outputs")
        size = self.cell.state_size
        return doutputs, check_gradient(dstate, size, N, self._like, self.where, "dstate")

    def backward(self, doutputs: Array | None, dstate: State | None) -> tuple[Array, State]:
        """``(dinputs, dinitial_state)``; adds into the cell's `grads`."""
        bound = self._bound
        if bound is None:
            raise TypeError(f"{self.where}: this run was not recorded")
        xp = namespace_of(self._like)
        if doutputs is not None:
            doutputs = self._turn(doutputs)
            doutputs = xp.flip(doutputs, axis=0) if self.reverse else doutputs
        dx, dinitial = bound.run_backward(doutputs, dstate, self._cache)
        bound.finish()
        dx = xp.flip(dx, axis=0) if self.reverse else dx
        return self._turn(dx), nest_as(self.cell.state_size, dinitial)

    def _turn(self, a: Array) -> Array:
        """Between the caller's axes and (T, N, ...)."""
        return a if self.time_major else namespace_of(a).permute_dims(a, (1, 0, 2))


def stack_steps(steps: Any, where: str, what: str) -> Array:
    """A list of arrays (N, D) as one array (T, N, D), checked."""
    if not isinstance(steps, list | tuple):
        raise TypeError(f"{where}: {what} is a {type(steps).__name__}, expected a list of arrays")
    if not steps:
        raise ValueError(f"{where}: {what} is empty, expected at least one step")
    for t, step in enumerate(steps):
        require_float(step, where, f"{what}[{t}]")
        require_like(step, steps[0], where, f"{what}[{t}]")
        if len(step.shape) != 2 or step.shape != steps[0].shape:
            raise ShapeError(
                f"{where}: {what}[{t}] has shape {tuple(step.shape)}, expected (N, D) as the others"
            )
    return namespace_of(steps[0]).stack(list(steps), axis=0)


def stack_gradients(doutputs: Any, shape: tuple[int, ...], like: Array, where: str) -> Array | None:
    """Gradients of all steps as one array, or None if there is none.

    Parameters
    ----------
    doutputs : list of array, each (N, width), or None
        None, also in the list, is zeros.
    shape : tuple of int
        ``(T, N, width)``.
    like : array
        Of the run's dtype and backend.
    where : str
        The function's name, for messages.

    Raises
    ------
    ShapeError, DTypeError, MixedBackendError
    """
    if doutputs is None:
        return None
    T, *step_shape = shape
    if not isinstance(doutputs, list | tuple) or len(doutputs) != T:
        raise ShapeError(f"{where}: doutputs is not a list of T = {T} arrays or None")
    if all(d is None for d in doutputs):
        return None
    xp = namespace_of(like)
    zeros = xp.zeros(tuple(step_shape), dtype=like.dtype, device=like.device)
    steps = [zeros if d is None else d for d in doutputs]
    for t, step in enumerate(steps):
        require_like(step, like, where, f"doutputs[{t}]")
        require_shape(step, tuple(step_shape), where, f"doutputs[{t}]", "the outputs of a step")
    return xp.stack(steps, axis=0)


def unstack(a: Array) -> list[Array]:
    """The steps of an array (T, N, D)."""
    return [a[t, :, :] for t in range(a.shape[0])]
