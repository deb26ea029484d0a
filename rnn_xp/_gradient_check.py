"""The machinery of `rnn_xp.testing`: analytic gradients against central differences."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from rnn_xp._typing import Array
from rnn_xp.backend import Backend, backend_of, to_host
from rnn_xp.errors import DTypeError, ShapeError
from rnn_xp.rng import make_generator

# A central difference errs by eps**2 f''' / 6, and by the rounding of f, 1e-16 f / eps.
EPS = 1e-5
RTOL = 1e-6
# That rounding is of the whole loss: tiny gradients are not held to their own size alone.
FLOOR = 1e-3

# Maps inputs to (outputs, backward); backward maps the outputs' gradients to the inputs'.
Run: TypeAlias = Callable[[Sequence[Any]], tuple[Any, Callable[..., Any]]]


def numerical_gradient(f: Callable[[Array], Any], x: Array, eps: float = EPS) -> Array:
    """Gradient of `f` at `x` by central differences, ``(f(x + eps) - f(x - eps)) / (2 eps)``.

    Parameters
    ----------
    f : callable
        Takes an array like `x`, returns a scalar: a number or a 0-d array of any backend.
    x : array of float64
        Of any backend; it is not modified, `f` gets copies.
    eps : float
        Step of each element.

    Returns
    -------
    gradient : array, like `x`

    Raises
    ------
    DTypeError
        If `x` is not float64: in float32 the difference would be mostly rounding.
    ShapeError
        If `f` does not return a scalar.
    """
    require_float64(x, "numerical_gradient", "x")
    be, host = backend_of(x), np.array(to_host(x))  # a copy: f may write to x
    slope = np.empty(host.shape)
    for index in np.ndindex(host.shape):
        sides = []
        for step in (eps, -eps):
            moved = np.array(host)
            moved[index] += step
            value = to_host(f(be.asarray(moved)))
            if value.shape != ():
                raise ShapeError(
                    f"numerical_gradient: f returned shape {value.shape}, expected a scalar"
                )
            sides.append(float(value))
        slope[index] = (sides[0] - sides[1]) / (2.0 * eps)
    return be.asarray(slope)


@dataclass(frozen=True, slots=True)
class Task:
    """What is checked.

    Attributes
    ----------
    where : str
        Its name, for messages.
    run : callable
        See `Run`.
    inputs, names : sequence
        Its inputs and what to call them.
    owner : object
        Has ``params`` and ``grads``, or neither.
    adds : bool
        Whether its backward adds to ``grads``, rather than overwriting them.
    """

    where: str
    run: Run
    inputs: Sequence[Any]
    names: Sequence[str]
    owner: Any
    adds: bool = False

    def grads(self) -> list[Array]:
        """The owner's gradients, which it may hold in a property."""
        return list(getattr(self.owner, "grads", []))


def check(task: Task, seed: int, eps: float, rtol: float) -> float:
    """Return the largest relative error; raise AssertionError if it is above `rtol`."""
    params = list(getattr(task.owner, "params", []))
    places = [k for k, value in enumerate(task.inputs) if _is_real(value)]
    differentiated = {task.names[k]: task.inputs[k] for k in places}
    differentiated |= {f"params[{k}]": p for k, p in enumerate(params)}
    if not differentiated:
        raise ValueError(f"{task.where}: has no floating-point input and no parameter to check")
    for name, array in differentiated.items():
        require_float64(array, task.where, name)
    be = backend_of(next(iter(differentiated.values())))

    rng = make_generator(seed)
    shapes = [to_host(output).shape for output in _as_tuple(task.run(task.inputs)[0])]
    rehearsal, weights = ([rng.standard_normal(shape) for shape in shapes] for _ in range(2))
    if not task.adds:
        _analytic(task, rehearsal, places, be)
    analytic = _analytic(task, weights, places, be)

    def loss(values: Sequence[Any]) -> float:
        outputs = _as_tuple(task.run(values)[0])
        return float(sum((w * to_host(o)).sum() for w, o in zip(weights, outputs, strict=True)))

    def loss_of_input(k: int) -> Callable[[Array], float]:
        return lambda moved: loss([*task.inputs[:k], moved, *task.inputs[k + 1 :]])

    numeric = [to_host(numerical_gradient(loss_of_input(k), task.inputs[k], eps)) for k in places]
    numeric += [_parameter_gradient(lambda: loss(task.inputs), param, eps) for param in params]
    return _verdict(task.where, list(differentiated), analytic, numeric, rtol)


def _analytic(task: Task, weights: list[Any], places: list[int], be: Backend) -> list[Any]:
    """Gradients by the backward pass, on the host: of the inputs, then of the parameters."""
    before = task.grads()
    saved = [np.array(to_host(g)) for g in before]
    base = [np.full(g.shape, 0.5) if task.adds else np.zeros(g.shape) for g in saved]
    if task.adds:
        for grad, value in zip(before, base, strict=True):
            grad[...] = be.asarray(value)
    outputs, backward = task.run(task.inputs)
    returned = _as_tuple(
        backward(
            *(
                float(w) if isinstance(o, float) else be.asarray(w)
                for w, o in zip(weights, _as_tuple(outputs), strict=True)
            )
        )
    )
    if len(returned) == len(task.inputs):
        returned = tuple(returned[k] for k in places)
    if places and (len(returned) != len(places) or any(r is None for r in returned)):
        raise AssertionError(
            f"{task.where}: backward returned "
            f"{['None' if r is None else tuple(r.shape) for r in returned]}, expected a gradient "
            f"for each of {', '.join(task.names[k] for k in places)}"
        )
    after = task.grads()
    if len(after) != len(before) or any(a is not b for a, b in zip(after, before, strict=True)):
        raise AssertionError(
            f"{task.where}: backward replaced an array in grads instead of writing into it"
        )
    found = [to_host(r) for r in returned[: len(places)]]
    found += [to_host(g) - start for g, start in zip(after, base, strict=True)]
    if task.adds:
        for grad, value in zip(after, saved, strict=True):
            grad[...] = be.asarray(value)
    return [np.array(f) for f in found]


def _parameter_gradient(loss: Callable[[], float], param: Array, eps: float) -> Any:
    be, saved = backend_of(param), np.array(to_host(param))

    def at(moved: Array) -> float:
        param[...] = moved
        return loss()

    try:
        return to_host(numerical_gradient(at, param, eps))
    finally:
        param[...] = be.asarray(saved)


def _verdict(
    where: str, names: list[str], analytic: list[Any], numeric: list[Any], rtol: float
) -> float:
    if len(analytic) != len(numeric):
        raise AssertionError(f"{where}: params and grads differ in number")
    sizes = [float(np.abs(n).max(initial=0.0)) for n in numeric]
    largest = max(sizes) or 1.0
    errors, lines = [], []
    for name, a, n, size in zip(names, analytic, numeric, sizes, strict=True):
        if a.shape != n.shape:
            raise AssertionError(f"{where}: gradient of {name} has shape {a.shape}, not {n.shape}")
        off = np.abs(a - n) / max(size, FLOOR * largest)
        off = np.where(np.isfinite(off), off, np.inf)
        errors.append(float(off.max(initial=0.0)))
        index = np.unravel_index(int(off.argmax()), off.shape) if off.size else ()
        values = f"{a[index]:>13.6g} {n[index]:>13.6g}" if off.size else ""
        place = str([int(k) for k in index])
        mark = "" if errors[-1] <= rtol else "  <-- wrong"
        lines.append(f"{name:<12} {errors[-1]:>9.2e}  {place:<14} {values}{mark}")
    worst = max(errors)
    if worst > rtol:
        raise AssertionError(
            f"{where}: the gradient of {names[errors.index(worst)]} disagrees with central "
            f"differences: relative error {worst:.2e}, allowed {rtol:.0e}\n"
            f"{'':<12} {'error':>9}  {'worst entry':<14} {'backward':>13} {'differences':>13}\n"
            + "\n".join(lines)
        )
    return worst


def _as_tuple(value: Any) -> tuple[Any, ...]:
    if value is None:
        return ()
    return tuple(value) if isinstance(value, tuple | list) else (value,)


def _is_real(value: Any) -> bool:
    """Whether `value` is an array of floating-point numbers, of any backend."""
    if not hasattr(value, "dtype"):
        return False
    xp = backend_of(value).xp
    return bool(xp.isdtype(value.dtype, "real floating"))


def require_float64(array: Array, where: str, what: str) -> None:
    """Raise `DTypeError` unless `array` is float64."""
    if array.dtype != backend_of(array).dtype("float64"):
        raise DTypeError(f"{where}: {what} has dtype {array.dtype}, expected float64")
