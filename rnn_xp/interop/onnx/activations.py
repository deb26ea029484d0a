"""The activation functions of ONNX's recurrent operators, by name, with their derivatives.

ONNX's ``clip`` bounds the *input* of every activation to [-clip, clip], so here it is a
part of the activation.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from rnn_xp._typing import Array, Namespace
from rnn_xp.cells import Activation, sigmoid
from rnn_xp.errors import ConversionError
from rnn_xp.namespace import clamp

Function = Callable[[Array, Namespace, float, float], Array]


@dataclass(frozen=True, slots=True)
class Form:
    """A function of x with two numbers, its derivative, and which of the numbers it takes."""

    function: Function
    derivative: Function
    alpha: bool = False
    beta: bool = False
    default_alpha: float | None = None
    default_beta: float | None = None


def _where(condition: Array, x: Array, other: float, xp: Namespace) -> Array:
    return xp.where(condition, x, xp.full_like(x, other))


def _negative(x: Array, xp: Namespace) -> Array:
    return _where(x < 0.0, x, 0.0, xp)


def _step(condition: Array, x: Array, xp: Namespace) -> Array:
    return xp.astype(condition, x.dtype)


def _inside(x: Array, xp: Namespace, a: float, b: float) -> Array:
    y = a * x + b
    return a * xp.astype((y > 0.0) & (y < 1.0), x.dtype)


FORMS = {
    "Tanh": Form(lambda x, xp, a, b: xp.tanh(x), lambda x, xp, a, b: 1.0 - xp.tanh(x) ** 2),
    "Sigmoid": Form(
        lambda x, xp, a, b: sigmoid(x, xp),
        lambda x, xp, a, b: sigmoid(x, xp) * (1.0 - sigmoid(x, xp)),
    ),
    "Relu": Form(
        lambda x, xp, a, b: _where(x > 0.0, x, 0.0, xp),
        lambda x, xp, a, b: _step(x > 0.0, x, xp),
    ),
    "Softplus": Form(
        lambda x, xp, a, b: _where(x > 0.0, x, 0.0, xp) + xp.log1p(xp.exp(-xp.abs(x))),
        lambda x, xp, a, b: sigmoid(x, xp),
    ),
    "Softsign": Form(
        lambda x, xp, a, b: x / (1.0 + xp.abs(x)),
        lambda x, xp, a, b: 1.0 / (1.0 + xp.abs(x)) ** 2,
    ),
    "Affine": Form(
        lambda x, xp, a, b: a * x + b,
        lambda x, xp, a, b: xp.full_like(x, a),
        alpha=True,
        beta=True,
    ),
    "LeakyRelu": Form(
        lambda x, xp, a, b: xp.where(x > 0.0, x, a * x),
        lambda x, xp, a, b: _where(x <= 0.0, xp.full_like(x, a), 1.0, xp),
        alpha=True,
        default_alpha=0.01,
    ),
    "ThresholdedRelu": Form(
        lambda x, xp, a, b: _where(x > a, x, 0.0, xp),
        lambda x, xp, a, b: _step(x > a, x, xp),
        alpha=True,
        default_alpha=1.0,
    ),
    "ScaledTanh": Form(
        lambda x, xp, a, b: a * xp.tanh(b * x),
        lambda x, xp, a, b: a * b * (1.0 - xp.tanh(b * x) ** 2),
        alpha=True,
        beta=True,
    ),
    "HardSigmoid": Form(
        lambda x, xp, a, b: clamp(a * x + b, 0.0, 1.0, xp),
        _inside,
        alpha=True,
        beta=True,
        default_alpha=0.2,
        default_beta=0.5,
    ),
    "Elu": Form(
        lambda x, xp, a, b: _where(x > 0.0, x, 0.0, xp) + a * xp.expm1(_negative(x, xp)),
        lambda x, xp, a, b: xp.where(x > 0.0, xp.ones_like(x), a * xp.exp(_negative(x, xp))),
        alpha=True,
        default_alpha=1.0,
    ),
}
LOWER = {name.lower(): name for name in FORMS}
PLAIN = {"Tanh": "tanh", "Sigmoid": "sigmoid", "Relu": "relu"}  # ours, with fast kernels

# Our activations as ONNX has them: name, alpha, beta.
OF_OURS: dict[str, tuple[str, float | None, float | None]] = {
    "tanh": ("Tanh", None, None),
    "sigmoid": ("Sigmoid", None, None),
    "relu": ("Relu", None, None),
    "linear": ("Affine", 1.0, 0.0),
    "softplus": ("Softplus", None, None),
    "softsign": ("Softsign", None, None),
    "elu": ("Elu", 1.0, None),
    "leaky_relu": ("LeakyRelu", 0.2, None),
    "hard_sigmoid": ("HardSigmoid", 1.0 / 6.0, 0.5),
}


@dataclass(frozen=True, slots=True)
class OnnxActivation(Activation):
    """An activation that knows its ONNX name, so that it can be exported again.

    Attributes
    ----------
    onnx : tuple
        Name, alpha, beta.
    clip : float or None
        Bound of the input.
    """

    onnx: tuple[str, float | None, float | None] = ("Tanh", None, None)
    clip: float | None = None

    @property
    def is_symmetric_gate(self) -> bool:
        """Whether ``1 - f(x) = f(-x)``."""
        name, _, beta = self.onnx
        return name == "Sigmoid" or (name == "HardSigmoid" and beta == 0.5)


def onnx_activation(
    name: str, alpha: float | None, beta: float | None, clip: float | None
) -> OnnxActivation:
    """The activation of that name and numbers."""
    form = FORMS[name]
    a, b = alpha or 0.0, beta or 0.0
    numbers = ", ".join(f"{v:g}" for v in (alpha, beta) if v is not None)
    label = f"{name}({numbers})" if numbers else name

    def bounded(x: Array, xp: Namespace) -> Array:
        return x if clip is None else clamp(x, -clip, clip, xp)

    def function(x: Array, xp: Namespace) -> Array:
        return form.function(bounded(x, xp), xp, a, b)

    def derivative(x: Array, xp: Namespace) -> Array:
        slope = form.derivative(bounded(x, xp), xp, a, b)
        return slope if clip is None else slope * xp.astype(xp.abs(x) < clip, x.dtype)

    return OnnxActivation(
        label if clip is None else f"{label} of input clipped at {clip:g}",
        function,
        derivative,
        of_input=True,
        onnx=(name, alpha, beta),
        clip=clip,
    )


def read_activations(
    names: Sequence[str],
    alphas: Sequence[float],
    betas: Sequence[float],
    clip: float | None,
    where: str,
) -> list[OnnxActivation]:
    """The activations of a node from its attributes.

    The numbers are taken in order by those functions that have such a number.

    Raises
    ------
    ConversionError
        If a name is unknown, or a number is missing that has no default.
    """
    more_alpha, more_beta = iter(alphas), iter(betas)
    found = []
    for name in names:
        if name.lower() not in LOWER:
            raise ConversionError(
                f"{where}: activation {name!r} is unknown, expected one of {', '.join(FORMS)}"
            )
        form = FORMS[LOWER[name.lower()]]
        alpha = _number(form.alpha, more_alpha, form.default_alpha, f"{where}: alpha of {name}")
        beta = _number(form.beta, more_beta, form.default_beta, f"{where}: beta of {name}")
        found.append(onnx_activation(LOWER[name.lower()], alpha, beta, clip))
    return found


def _number(takes: bool, values: Iterator[float], default: float | None, what: str) -> float | None:
    if not takes:
        return None
    value = next(values, default)
    if value is None:
        raise ConversionError(f"{what} is missing and has no default")
    return float(value)


def simplest(activation: OnnxActivation) -> str | Activation:
    """Our own activation of that name where there is one: it may have a fast kernel."""
    if activation.clip is None and activation.onnx[0] in PLAIN:
        return PLAIN[activation.onnx[0]]
    return activation


def onnx_form(
    activation: Any, where: str
) -> tuple[tuple[str, float | None, float | None], float | None]:
    """``((name, alpha, beta), clip)`` of an activation, for export.

    Raises
    ------
    ConversionError
        If ONNX has no such function.
    """
    if isinstance(activation, OnnxActivation):
        return activation.onnx, activation.clip
    name = activation if isinstance(activation, str) else activation.name
    if name not in OF_OURS:
        raise ConversionError(
            f"{where}: ONNX's recurrent operators have no activation {name!r}, expected one of "
            f"{', '.join(OF_OURS)}"
        )
    return OF_OURS[name], None
