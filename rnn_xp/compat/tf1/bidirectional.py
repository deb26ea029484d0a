"""`bidirectional_dynamic_rnn` and `static_bidirectional_rnn`."""

from typing import Any

from rnn_xp._typing import Array, State
from rnn_xp.compat.tf1.base import RNNCell
from rnn_xp.compat.tf1.dynamic import CellRun, stack_gradients, stack_steps, unstack
from rnn_xp.compat.tf1.leaf import LeafCell
from rnn_xp.compat.tf1.tape import Call, active_tape
from rnn_xp.errors import ShapeError
from rnn_xp.namespace import namespace_of


def bidirectional_dynamic_rnn(
    cell_fw: RNNCell,
    cell_bw: RNNCell,
    inputs: Array,
    sequence_length: Any = None,
    initial_state_fw: State | None = None,
    initial_state_bw: State | None = None,
    dtype: Any = None,
    parallel_iterations: int | None = None,
    swap_memory: bool = False,
    time_major: bool = False,
    scope: str | None = None,
) -> tuple[tuple[Array, Array], tuple[State, State]]:
    """Run one cell forwards and one backwards in time over the same sequences.

    Parameters
    ----------
    cell_fw, cell_bw : RNNCell
        The second one reads each row from its last valid step to its first.
    initial_state_fw, initial_state_bw : optional
        As `initial_state` of `dynamic_rnn`, one for each cell.
    inputs, sequence_length, dtype, parallel_iterations, swap_memory, time_major : optional
        As for `dynamic_rnn`.
    scope : str, optional
        Prefix of the variables' names; default ``"bidirectional_rnn"``, followed by ``/fw``
        and ``/bw``.

    Returns
    -------
    outputs : tuple of array
        ``(output_fw, output_bw)``, **not** side by side; both in the order of the inputs.
    states : tuple
        ``(state_fw, state_bw)``; the second one is that after each row's first step.

    Raises
    ------
    As `dynamic_rnn`.

    Notes
    -----
    Recorded on a tape, ``tape.backward((dfw, dbw), (dstate_fw, dstate_bw))`` returns
    ``(dinputs, (dinitial_fw, dinitial_bw))``.
    """
    pair = _Pair(cell_fw, cell_bw, "bidirectional_dynamic_rnn", scope, time_major)
    initial = (initial_state_fw, initial_state_bw)
    outputs, states = pair.forward(inputs, sequence_length, initial, dtype)
    tape = active_tape()
    if tape is not None:
        tape.add(Call(pair.where, pair.leaves, pair.check, pair.backward))
    return outputs, states


def static_bidirectional_rnn(
    cell_fw: RNNCell,
    cell_bw: RNNCell,
    inputs: list[Array] | tuple[Array, ...],
    initial_state_fw: State | None = None,
    initial_state_bw: State | None = None,
    dtype: Any = None,
    sequence_length: Any = None,
    scope: str | None = None,
) -> tuple[list[Array], State, State]:
    """Run one cell forwards and one backwards over a list of steps.

    Parameters
    ----------
    cell_fw, cell_bw, initial_state_fw, initial_state_bw, dtype, sequence_length, scope
        As for `bidirectional_dynamic_rnn`.
    inputs : list of array, each (N, D)

    Returns
    -------
    outputs : list of array
        Both outputs of each step **side by side**, (N, output_size of both).
    state_fw, state_bw : nested as the cells' `state_size`

    Raises
    ------
    As `static_rnn`.

    Notes
    -----
    Recorded on a tape, ``tape.backward(doutputs, (dstate_fw, dstate_bw))`` takes a list of
    arrays or None and returns ``(list of dinputs, (dinitial_fw, dinitial_bw))``.
    """
    where = "static_bidirectional_rnn"
    pair = _Pair(cell_fw, cell_bw, where, scope, True)
    initial = (initial_state_fw, initial_state_bw)
    x = stack_steps(inputs, where, "inputs")
    outputs, (state_fw, state_bw) = pair.forward(x, sequence_length, initial, dtype)
    joined = namespace_of(x).concat(list(outputs), axis=2)
    tape = active_tape()
    if tape is not None:
        split = cell_fw.output_size

        def check(doutputs: Any, dstate: Any) -> tuple[Any, Any]:
            both = stack_gradients(doutputs, joined.shape, joined, where)
            if both is not None:
                both = (both[:, :, :split], both[:, :, split:])
            return pair.check(both, dstate)

        def backward(doutputs: Any, dstate: Any) -> tuple[Any, Any]:
            dinputs, dinitial = pair.backward(doutputs, dstate)
            return unstack(dinputs), dinitial

        tape.add(Call(where, pair.leaves, check, backward))
    return unstack(joined), state_fw, state_bw


class _Pair:
    """The two runs over the same inputs."""

    def __init__(
        self, cell_fw: RNNCell, cell_bw: RNNCell, where: str, scope: str | None, time_major: bool
    ):
        scope = scope or "bidirectional_rnn"
        self.where = where
        self.runs = (
            CellRun(cell_fw, where, f"{scope}/fw", time_major),
            CellRun(cell_bw, where, f"{scope}/bw", time_major, reverse=True),
        )

    @property
    def leaves(self) -> list[LeafCell]:
        """The cells with variables."""
        return [leaf for run in self.runs for leaf in run.cell.leaves]

    def forward(self, inputs: Array, sequence_length: Any, initial: Any, dtype: Any) -> Any:
        """``((output_fw, output_bw), (state_fw, state_bw))``."""
        results = [
            run.forward(inputs, sequence_length, state, dtype)
            for run, state in zip(self.runs, initial, strict=True)
        ]
        return (results[0][0], results[1][0]), (results[0][1], results[1][1])

    def check(self, doutputs: Any, dstate: Any) -> tuple[Any, Any]:
        """The gradients handed in, checked."""
        pairs = []
        for what, given in (("doutputs", doutputs), ("dstate", dstate)):
            pair = (None, None) if given is None else given
            if not isinstance(pair, tuple) or len(pair) != 2:
                raise ShapeError(
                    f"{self.where}: {what} is a {type(given).__name__}, expected a tuple "
                    "(forward, backward)"
                )
            pairs.append(pair)
        checked = [
            run.check(dout, d) for run, dout, d in zip(self.runs, pairs[0], pairs[1], strict=True)
        ]
        return (checked[0][0], checked[1][0]), (checked[0][1], checked[1][1])

    def backward(self, doutputs: Any, dstate: Any) -> tuple[Array, Any]:
        """``(dinputs, (dinitial_fw, dinitial_bw))``."""
        results = [
            run.backward(dout, d) for run, dout, d in zip(self.runs, doutputs, dstate, strict=True)
        ]
        return results[0][0] + results[1][0], (results[0][1], results[1][1])
