"""Activation functions of the cells, each with its derivative."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

from rnn_xp._typing import Array, Namespace


def sigmoid(x: Array, xp: Namespace) -> Array:
    """Logistic function, written as ``0.5 * tanh(0.5 * x) + 0.5``.

    The same function as ``1 / (1 + exp(-x))``, but it cannot overflow, and NumPy
    has a SIMD tanh on every platform while its exp is scalar on some.
    """
    return 0.5 * xp.tanh(0.5 * x) + 0.5


@dataclass(frozen=True, slots=True)
class Activation:
    """A function and its derivative.

    Attributes
    ----------
    name : str
    function : callable ``(x, xp) -> y``
    derivative : callable ``(kept, xp) -> dy/dx``, or None
        Element by element. None: the activation only works forward.
    of_input : bool
        Whether `derivative` takes the input ``x``; by default it takes the *output* ``y``,
        which a cell has kept anyway.
    pullback : callable ``(dy, kept, xp) -> dx``, or None
        Where ``dy * derivative(kept)`` is not what is meant: for a function that mixes
        elements (softmax), or to fix the order of the products.
    joins : bool
        Whether a cell may apply `function` to two gates side by side, which saves calls. Not
        for a function that mixes elements, so it has to be said.

    Examples
    --------
    >>> import numpy as np
    >>> square = Activation("square", lambda x, xp: x * x, lambda x, xp: 2.0 * x, of_input=True)
    >>> y, kept = square.apply(np.array([3.0]), np)
    >>> square.backward(np.array([1.0]), kept, np)
    array([6.])
    """

    name: str
    function: Callable[[Array, Namespace], Array]
    derivative: Callable[[Array, Namespace], Array] | None = None
    of_input: bool = False
    pullback: Callable[[Array, Array, Namespace], Array] | None = None
    joins: bool = False

    def apply(self, x: Array, xp: Namespace) -> tuple[Array, Array]:
        """``(y, kept)``: the output, and what `backward` needs."""
        y = self.function(x, xp)
        return y, x if self.of_input else y

    def apply_to_pair(self, a: Array, xp: Namespace) -> tuple[tuple[Array, Array], ...]:
        """``((y, kept), (y, kept))`` of the left and the right half of `a` (N, 2H)."""
        H = a.shape[1] // 2
        if not self.joins:
            return self.apply(a[:, :H], xp), self.apply(a[:, H:], xp)
        y, kept = self.apply(a, xp)
        return (y[:, :H], kept[:, :H]), (y[:, H:], kept[:, H:])

    def backward(self, dy: Array, kept: Array, xp: Namespace) -> Array:
        """Gradient with respect to ``x`` from the gradient `dy` with respect to ``y``.

        Raises
        ------
        TypeError
            If the activation has no derivative.
        """
        if self.pullback is not None:
            return self.pullback(dy, kept, xp)
        if self.derivative is None:
            raise TypeError(
                f"activation {self.name!r} has no derivative and only works forward; pass "
                "rnn_xp.cells.Activation(name, function, derivative) instead of a callable"
            )
        return dy * self.derivative(kept, xp)

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        """Those of the table are copied and pickled as their names: they hold lambdas."""
        if _by_name(self.name) is self:
            return get_activation, (self.name,)
        parts = (self.name, self.function, self.derivative, self.of_input, self.pullback)
        return Activation, (*parts, self.joins)


ActivationLike: TypeAlias = str | Activation | Callable[[Array], Array] | None

TANH = Activation("tanh", lambda x, xp: xp.tanh(x), lambda y, xp: 1.0 - y * y)
RELU = Activation(
    "relu",
    lambda x, xp: xp.where(x > 0.0, x, xp.zeros_like(x)),
    lambda y, xp: xp.astype(y > 0.0, y.dtype),
)
SIGMOID = Activation(
    "sigmoid",
    sigmoid,
    lambda y, xp: y * (1.0 - y),
    pullback=lambda dy, y, xp: dy * y * (1.0 - y),  # from the left, as the fast kernels do
    joins=True,
)
LINEAR = Activation("linear", lambda x, xp: x, lambda y, xp: xp.ones_like(y))

ACTIVATIONS = {a.name: a for a in (TANH, RELU, SIGMOID, LINEAR)}


def get_activation(activation: ActivationLike) -> Activation:
    """Return the activation of that name; ``None`` is linear.

    Parameters
    ----------
    activation : str, Activation, callable or None
        A name that Keras 3 knows (all but ``glu``, ``sparsemax`` and ``threshold``), or
        ``"gelu_tanh"``. A callable of ``x`` alone works forward; its `backward` raises, because
        it comes without a derivative.

    Raises
    ------
    ValueError
        If the name is unknown; the message lists the known ones.
    TypeError
        If it is something else.
    """
    if activation is None:
        return LINEAR
    if isinstance(activation, Activation):
        return activation
    if isinstance(activation, str):
        found = _by_name(activation)
        if found is not None:
            return found
        from rnn_xp.cells.more_activations import MORE, UNSUPPORTED

        reason = f" ({UNSUPPORTED[activation]})" if activation in UNSUPPORTED else ""
        known = ", ".join(sorted({**ACTIVATIONS, **MORE}))
        raise ValueError(f"unknown activation {activation!r}{reason}, expected one of: {known}")
    if callable(activation):
        name = getattr(activation, "__name__", type(activation).__name__)
        return Activation(name, partial(_of_input_alone, activation))
    raise TypeError(
        f"activation is a {type(activation).__name__}, expected a name, an Activation, a callable "
        "or None"
    )


def _by_name(name: str) -> Activation | None:
    if name in ACTIVATIONS:
        return ACTIVATIONS[name]
    from rnn_xp.cells.more_activations import MORE  # most programs need none of them

    return MORE.get(name)


def _of_input_alone(function: Callable[[Array], Array], x: Array, xp: Namespace) -> Array:
    return function(x)
