"""Activation functions of the cells, each with its derivative told by the *output*."""

from collections.abc import Callable
from dataclasses import dataclass

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
    derivative : callable ``(y, xp) -> dy/dx``
        Takes the *output* ``y``, which is what a cell has kept.
    """

    name: str
    function: Callable[[Array, Namespace], Array]
    derivative: Callable[[Array, Namespace], Array]


TANH = Activation("tanh", lambda x, xp: xp.tanh(x), lambda y, xp: 1.0 - y * y)
RELU = Activation(
    "relu",
    lambda x, xp: xp.where(x > 0.0, x, xp.zeros_like(x)),
    lambda y, xp: xp.astype(y > 0.0, y.dtype),
)
SIGMOID = Activation("sigmoid", sigmoid, lambda y, xp: y * (1.0 - y))
LINEAR = Activation("linear", lambda x, xp: x, lambda y, xp: xp.ones_like(y))

ACTIVATIONS = {a.name: a for a in (TANH, RELU, SIGMOID, LINEAR)}


def get_activation(activation: "str | Activation | None") -> Activation:
    """Return the activation of that name; ``None`` is linear.

    Raises
    ------
    ValueError
        If the name is unknown; the message lists the known ones.
    """
    if activation is None:
        return LINEAR
    if isinstance(activation, Activation):
        return activation
    if activation not in ACTIVATIONS:
        known = ", ".join(sorted(ACTIVATIONS))
        raise ValueError(f"unknown activation {activation!r}, expected one of: {known}")
    return ACTIVATIONS[activation]
