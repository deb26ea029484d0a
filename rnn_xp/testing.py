"""Proving a backward pass: central differences, comparison of arrays, one call for a layer.

For the tests of this package and of yours. A layer or a cell that follows the protocol is
proved by one call, on any backend::

    check_gradients(TimeLSTM(Wx, Wh, b), xs, lengths=[3, 1])
    check_cell_gradients(MyCell(W, U), x, state)

A check runs two forward passes for every number that it differentiates, so keep the arrays
small: N >= 2, T >= 3, sizes that differ from each other, states that are not zero.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from rnn_xp._gradient_check import EPS, RTOL, Run, Task, check, numerical_gradient
from rnn_xp._typing import Array, State
from rnn_xp.backend import to_host
from rnn_xp.namespace import namespace_of

__all__ = ["assert_close", "check_cell_gradients", "check_gradients", "numerical_gradient"]


def check_gradients(
    layer: Any,
    *inputs: Any,
    reset: Callable[[], Any] | None = None,
    seed: int = 0,
    eps: float = EPS,
    rtol: float = RTOL,
    **options: Any,
) -> float:
    """Compare a layer's gradients with central differences of its forward pass.

    The loss is the sum of all outputs, each weighted with a fixed random number. Its
    gradient with respect to every floating-point input and every parameter must agree.
    `backward` is called twice, with different weights, and the second result counts: a
    layer that adds to its gradients instead of overwriting them fails.

    Parameters
    ----------
    layer : object or callable
        An object with ``params``, ``grads``, ``forward(*inputs, **options) -> output`` and
        ``backward(doutput) -> dinput``; either may be a tuple, and then `backward` takes a
        gradient for each output. Inputs without a gradient (ids, lengths) may be left out
        of what it returns. Or a function ``(*inputs, **options) -> (output, backward)``.
    *inputs : array or other
        Arrays of floating-point numbers must be float64.
    reset : callable, optional
        Called before every forward pass, so that each starts from the same state: for a
        stateful layer ``lambda: layer.set_state(h0, c0)``, for dropout a function that sets
        its counter back. Default: ``layer.reset_state`` if there is one.
    seed : int
        Of the weights.
    eps : float
        Step of the central differences.
    rtol : float
        Largest error allowed, relative to the largest entry of the same gradient by
        central differences, or to a thousandth of the largest of all, if that is more.
    **options
        Passed on to `forward`.

    Returns
    -------
    error : float
        The largest relative error. Parameters are left as they were.

    Raises
    ------
    AssertionError
        If a gradient is wrong, missing, of the wrong shape, or not written in place; the
        message is a table with the worst entry of each.
    DTypeError
        If an input or a parameter is not float64.
    """
    start = getattr(layer, "reset_state", None) if reset is None else reset

    def run(values: Sequence[Any]) -> tuple[Any, Callable[..., Any]]:
        if start is not None:
            start()
        if not hasattr(layer, "forward"):
            output, backward = layer(*values, **options)
            return output, backward
        return layer.forward(*values, **options), layer.backward

    where = getattr(layer, "__name__", type(layer).__name__)
    names = [f"input {k}" for k in range(len(inputs))]
    return check(Task(where, run, inputs, names, layer), seed, eps, rtol)


def check_cell_gradients(
    cell: Any,
    x: Array,
    state: State,
    *,
    seed: int = 0,
    eps: float = EPS,
    rtol: float = RTOL,
) -> float:
    """Compare the gradients of one step of a cell with central differences.

    Done three times: with a gradient into the output and the new state, into the output
    alone (``dstate`` is None), and into the state alone (``doutput`` is zero). The cell must
    add to its ``grads``, which are not zero when its backward starts.

    Parameters
    ----------
    cell : Cell
        See `rnn_xp.cells.base.Cell` for the protocol.
    x : array of float64, shape (N, D)
    state : array or (nested) tuple of array
        float64, each part (N, its width).
    seed, eps, rtol
        As for `check_gradients`.

    Returns
    -------
    error : float
        The largest relative error. Parameters and gradients are left as they were.

    Raises
    ------
    AssertionError, DTypeError
        As for `check_gradients`.
    """
    inputs = (x, *_leaves(state))
    names = ["x", *(f"state {k}" for k in range(len(inputs) - 1))]
    errors = []
    for what, output_on, state_on in (
        ("output and state", True, True),
        ("output only", True, False),
        ("state only", False, True),
    ):
        where = f"{type(cell).__name__}, gradient into {what}"
        run = _cell_run(cell, state, output_on, state_on)
        errors.append(check(Task(where, run, inputs, names, cell, True), seed, eps, rtol))
    return max(errors)


def _cell_run(cell: Any, state: State, output_on: bool, state_on: bool) -> Run:
    """One step as a function of its arrays, with only those outputs that are on."""

    def run(values: Sequence[Any]) -> tuple[Any, Callable[..., Any]]:
        output, after, cache = cell.forward(values[0], _rebuild(state, iter(values[1:])))

        def backward(*gradients: Array) -> tuple[Any, ...]:
            doutput = gradients[0] if output_on else namespace_of(output).zeros_like(output)
            dafter = _rebuild(after, iter(gradients[output_on:])) if state_on else None
            dx, dbefore = cell.backward(doutput, dafter, cache)
            return (dx, *_leaves(dbefore))

        return (*[output] * output_on, *_leaves(after) * state_on), backward

    return run


def assert_close(
    actual: Any, expected: Any, *, rtol: float | None = None, atol: float = 0.0
) -> None:
    """Assert that two arrays agree in library, device, dtype, shape and values.

    Parameters
    ----------
    actual, expected : array or number
        Of any backend.
    rtol : float, optional
        Largest difference allowed, relative to the largest finite entry of `expected`
        (not to each entry, most of which rounding may have cancelled to nothing). Default
        ``4 * sqrt(eps)`` of the dtype (1.4e-3 for float32, 6e-8 for float64), and 0 for
        integers and booleans.
    atol : float
        Added to that.

    Raises
    ------
    AssertionError
        In one line, with the entry that is furthest off. Infinities and NaNs must be equal
        and in the same places.
    """
    for what, of in (("library", _library), ("device", _device), ("dtype", _dtype)):
        if of(actual) != of(expected):
            raise AssertionError(f"{what} is {of(actual)}, expected {of(expected)}")
    a, e = to_host(actual), to_host(expected)
    if a.shape != e.shape:
        raise AssertionError(f"shape is {a.shape}, expected {e.shape}")
    if rtol is None:
        rtol = 4.0 * float(np.finfo(e.dtype).eps) ** 0.5 if e.dtype.kind == "f" else 0.0
    finite = np.isfinite(a) & np.isfinite(e)
    with np.errstate(invalid="ignore"):  # infinity minus infinity
        same = (a == e) | ((a != a) & (e != e))
        difference = np.abs(a.astype(np.float64) - e.astype(np.float64))
    # Large integers may differ where their floats do not.
    off = np.where(same, 0.0, np.maximum(difference, np.finfo(np.float64).tiny))
    off[~finite & ~same] = np.inf
    scale = float(np.abs(e[np.isfinite(e)].astype(np.float64)).max(initial=0.0))
    if off.max(initial=0.0) > atol + rtol * scale:
        index = np.unravel_index(int(off.argmax()), off.shape)
        place = [int(k) for k in index]
        raise AssertionError(
            f"entry {place} is {a[index]}, expected {e[index]}: off by {off[index]:.3g}, "
            f"allowed {atol + rtol * scale:.3g} (largest entry expected: {scale:.6g})"
        )


def _library(array: Any) -> str:
    return type(array).__module__.split(".")[0]


def _device(array: Any) -> Any:
    return getattr(array, "device", None)


def _dtype(array: Any) -> Any:
    return getattr(array, "dtype", type(array).__name__)


def _leaves(state: State) -> list[Array]:
    """The arrays of a (nested) state, in order."""
    if isinstance(state, tuple | list):
        return [leaf for part in state for leaf in _leaves(part)]
    return [state]


def _rebuild(like: State, leaves: Iterator[Array]) -> State:
    """A state nested like `like` out of its arrays."""
    if isinstance(like, tuple | list):
        return tuple(_rebuild(part, leaves) for part in like)
    return next(leaves)
