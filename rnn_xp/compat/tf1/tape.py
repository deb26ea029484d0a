"""`record` and `Tape`: how a backward pass is reached from functions that return only arrays."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from rnn_xp.errors import StaleCacheError
from rnn_xp.namespace import namespace_of


@dataclass(frozen=True, slots=True)
class Call:
    """One call on a tape.

    Attributes
    ----------
    name : str
        Of the function, or of the cell.
    cells : list
        The cells with variables that it ran.
    check : callable ``(doutputs, dstate) -> (doutputs, dstate)``
        Checks and completes the gradients that are handed in.
    backward : callable ``(doutputs, dstate) -> (dinputs, dinitial_state)``
        Adds into the cells' `grads`.
    """

    name: str
    cells: list[Any]
    check: Callable[[Any, Any], tuple[Any, Any]]
    backward: Callable[[Any, Any], tuple[Any, Any]]


class Tape:
    """The calls made inside a ``with record() as tape`` block.

    `backward` goes back through them from the last to the first, one call each time. What
    the program did *between* calls, it undoes itself, as with any other layer::

        with tf1.record() as tape:
            _, state = tf1.dynamic_rnn(encoder, source, dtype="float32")
            outputs, _ = tf1.dynamic_rnn(decoder, target, initial_state=state)
        dtarget, dstate = tape.backward(doutputs)
        dsource, _ = tape.backward(None, dstate)
    """

    def __init__(self) -> None:
        self._calls: list[Call] = []
        self._reached: list[Any] = []

    @property
    def calls(self) -> list[str]:
        """Names of the calls that `backward` has not gone through yet; the next one is last."""
        return [call.name for call in self._calls]

    def add(self, call: Call) -> None:
        """Put a call on the tape."""
        self._calls.append(call)

    def backward(self, doutputs: Any = None, dstate: Any = None) -> tuple[Any, Any]:
        """Gradient of the last recorded call that has not had its backward pass.

        The first time that a tape reaches a cell, the cell's `grads` are overwritten; a
        later call of the same cell on the same tape adds to them.

        Parameters
        ----------
        doutputs : like the call's outputs, or None
            Gradient of the loss with respect to them; None is zeros, and so is None in the
            place of any array in a list or tuple.
        dstate : like the call's final state, or None
            Gradient with respect to it.

        Returns
        -------
        dinputs : like the call's inputs
        dinitial_state : like the call's initial state

        Raises
        ------
        StaleCacheError
            If every call has had its backward pass.
        ShapeError, DTypeError, MixedBackendError
            If a gradient does not fit the call; the call then stays on the tape.
        """
        if not self._calls:
            raise StaleCacheError(
                "Tape.backward: no call is left; calls are recorded inside "
                "`with record() as tape`, and each has one backward pass"
            )
        call = self._calls[-1]
        doutputs, dstate = call.check(doutputs, dstate)
        for cell in call.cells:
            if all(cell is not other for other in self._reached):
                self._reached.append(cell)
                for grad in cell.grads:
                    grad[...] = namespace_of(grad).zeros_like(grad)
        self._calls.pop()
        return call.backward(doutputs, dstate)


_ACTIVE: ContextVar[Tape | None] = ContextVar("rnn_xp_tf1_tape", default=None)


@contextmanager
def record() -> Iterator[Tape]:
    """Record the calls of cells and of `dynamic_rnn` and its kin, for `Tape.backward`.

    Blocks may be nested; the innermost one records. Outside of any, nothing is kept.
    """
    tape = Tape()
    token = _ACTIVE.set(tape)
    try:
        yield tape
    finally:
        _ACTIVE.reset(token)


@contextmanager
def paused() -> Iterator[None]:
    """Record nothing, whatever block surrounds this one."""
    token = _ACTIVE.set(None)
    try:
        yield
    finally:
        _ACTIVE.reset(token)


def active_tape() -> Tape | None:
    """The tape that records now."""
    return _ACTIVE.get()
