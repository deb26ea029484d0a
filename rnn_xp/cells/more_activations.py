"""The activations that are looked up by name and seldom used: the rest of Keras 3's list.

Names and constants are those of ``keras.activations``. Where the slope jumps, it is the one
that PyTorch takes. A branch of a `where` that is not taken never overflows: its input is set to
zero first.

Sources: ELU, Clevert et al., arXiv:1511.07289; SELU, Klambauer et al., arXiv:1706.02515; CELU,
Barron, arXiv:1704.07483; SiLU, Elfwing et al., arXiv:1702.03118; GELU, Hendrycks & Gimpel,
arXiv:1606.08415; Mish, Misra, arXiv:1908.08681; hard Swish, Howard et al., arXiv:1905.02244;
squareplus, Barron, arXiv:2112.11687.
"""

from rnn_xp._typing import Array, Namespace
from rnn_xp.cells.activations import Activation, sigmoid
from rnn_xp.cells.erf import normal_cdf, normal_density
from rnn_xp.namespace import clamp

SELU_SCALE = 1.0507009873554805  # Klambauer et al., arXiv:1706.02515, section 2
SELU_ALPHA = 1.6732632423543772
UNSUPPORTED = {
    "glu": "it halves the width",
    "sparsemax": "it sorts, for which there is no backward pass here",
    "threshold": "it needs two numbers: pass an Activation",
}


def _positive(x: Array, xp: Namespace) -> Array:
    return xp.where(x > 0.0, x, xp.zeros_like(x))


def _negative(x: Array, xp: Namespace) -> Array:
    return xp.where(x < 0.0, x, xp.zeros_like(x))


def _one_between(a: Array, low: float, high: float, xp: Namespace) -> Array:
    """1 where ``low < a < high``, else 0, in the dtype of `a`."""
    return xp.astype((a > low) & (a < high), a.dtype)


def elu(alpha: float = 1.0, scale: float = 1.0, name: str = "elu") -> Activation:
    """``scale * x`` for x > 0, else ``scale * alpha * (exp(x) - 1)``."""
    slope = scale * alpha
    return Activation(
        name,
        lambda x, xp: scale * _positive(x, xp) + slope * xp.expm1(_negative(x, xp)),
        lambda y, xp: xp.where(y > 0.0, xp.full_like(y, scale), y + slope),
    )


def leaky_relu(negative_slope: float = 0.2, name: str = "leaky_relu") -> Activation:
    """``x`` for x > 0, else ``negative_slope * x``; 0.2 is Keras's default, PyTorch has 0.01."""
    return Activation(
        name,
        lambda x, xp: xp.where(x > 0.0, x, negative_slope * x),
        lambda x, xp: xp.where(x > 0.0, xp.ones_like(x), xp.full_like(x, negative_slope)),
        of_input=True,
    )


def _softplus(x: Array, xp: Namespace) -> Array:
    return _positive(x, xp) + xp.log1p(xp.exp(-xp.abs(x)))


def _relu6(x: Array, xp: Namespace) -> Array:
    return clamp(x, 0.0, 6.0, xp)


def _mish_slope(x: Array, xp: Namespace) -> Array:
    t = xp.tanh(_softplus(x, xp))
    return t + x * sigmoid(x, xp) * (1.0 - t * t)


def _silu_slope(x: Array, xp: Namespace) -> Array:
    s = sigmoid(x, xp)
    return s + x * s * (1.0 - s)


GELU_SCALE, GELU_CUBIC = 0.7978845608028654, 0.044715  # sqrt(2 / pi), and Hendrycks & Gimpel's


def _gelu_tanh(x: Array, xp: Namespace) -> Array:
    return 0.5 * x * (1.0 + xp.tanh(GELU_SCALE * (x + GELU_CUBIC * x * x * x)))


def _gelu_tanh_slope(x: Array, xp: Namespace) -> Array:
    t = xp.tanh(GELU_SCALE * (x + GELU_CUBIC * x * x * x))
    return 0.5 * (1.0 + t) + 0.5 * x * (1.0 - t * t) * GELU_SCALE * (1.0 + 3.0 * GELU_CUBIC * x * x)


def _soft_shrink(x: Array, xp: Namespace) -> Array:
    return _positive(x - 0.5, xp) + _negative(x + 0.5, xp)


def _squareplus_slope(x: Array, xp: Namespace) -> Array:
    return 0.5 * (1.0 + x / xp.sqrt(x * x + 4.0))


def _sparse_plus(x: Array, xp: Namespace) -> Array:
    ramp = clamp(x + 1.0, 0.0, 2.0, xp)
    return 0.25 * ramp * ramp + _positive(x - 1.0, xp)


def _softmax(x: Array, xp: Namespace) -> Array:
    e = xp.exp(x - xp.max(x, axis=-1, keepdims=True))
    return e / xp.sum(e, axis=-1, keepdims=True)


def _log_softmax(x: Array, xp: Namespace) -> Array:
    shifted = x - xp.max(x, axis=-1, keepdims=True)
    return shifted - xp.log(xp.sum(xp.exp(shifted), axis=-1, keepdims=True))


_ALL = (
    elu(),
    elu(name="celu"),  # with alpha = 1 the same function
    elu(SELU_ALPHA, SELU_SCALE, "selu"),
    leaky_relu(),
    Activation("relu6", _relu6, lambda y, xp: _one_between(y, 0.0, 6.0, xp)),
    Activation("exponential", lambda x, xp: xp.exp(x), lambda y, xp: y),
    Activation("softplus", _softplus, lambda y, xp: -xp.expm1(-y)),
    Activation("softsign", lambda x, xp: x / (1.0 + xp.abs(x)), lambda y, xp: (1 - xp.abs(y)) ** 2),
    Activation("log_sigmoid", lambda x, xp: -_softplus(-x, xp), lambda y, xp: -xp.expm1(y)),
    Activation("silu", lambda x, xp: x * sigmoid(x, xp), _silu_slope, of_input=True),
    Activation("swish", lambda x, xp: x * sigmoid(x, xp), _silu_slope, of_input=True),
    Activation("mish", lambda x, xp: x * xp.tanh(_softplus(x, xp)), _mish_slope, of_input=True),
    Activation(
        "gelu",
        lambda x, xp: x * normal_cdf(x, xp),
        lambda x, xp: normal_cdf(x, xp) + x * normal_density(x, xp),
        of_input=True,
    ),
    Activation("gelu_tanh", _gelu_tanh, _gelu_tanh_slope, of_input=True),
    Activation(
        "hard_sigmoid",
        lambda x, xp: _relu6(x + 3.0, xp) / 6.0,
        lambda y, xp: _one_between(y, 0.0, 1.0, xp) / 6.0,
    ),
    *(
        Activation(
            name,
            lambda x, xp: x * (_relu6(x + 3.0, xp) / 6.0),
            lambda x, xp: _relu6(x + 3.0, xp) / 6.0 + x * (_one_between(x, -3.0, 3.0, xp) / 6.0),
            of_input=True,
        )
        for name in ("hard_silu", "hard_swish")
    ),
    Activation(
        "hard_tanh",
        lambda x, xp: clamp(x, -1.0, 1.0, xp),
        lambda y, xp: _one_between(y, -1.0, 1.0, xp),
    ),
    Activation(
        "hard_shrink",
        lambda x, xp: xp.where(xp.abs(x) > 0.5, x, xp.zeros_like(x)),
        lambda y, xp: xp.astype(y != 0.0, y.dtype),
    ),
    Activation("soft_shrink", _soft_shrink, lambda y, xp: xp.astype(y != 0.0, y.dtype)),
    Activation(
        "tanh_shrink",
        lambda x, xp: x - xp.tanh(x),
        lambda x, xp: xp.tanh(x) ** 2,
        of_input=True,
    ),
    Activation(
        "squareplus",
        lambda x, xp: 0.5 * (x + xp.sqrt(x * x + 4.0)),
        _squareplus_slope,
        of_input=True,
    ),
    Activation(
        "sparse_plus",
        _sparse_plus,
        lambda x, xp: 0.5 * clamp(x + 1.0, 0.0, 2.0, xp),
        of_input=True,
    ),
    Activation(
        "sparse_sigmoid",
        lambda x, xp: 0.5 * clamp(x + 1.0, 0.0, 2.0, xp),
        lambda y, xp: 0.5 * _one_between(y, 0.0, 1.0, xp),
    ),
    Activation(
        "softmax",
        _softmax,
        pullback=lambda dy, y, xp: y * (dy - xp.sum(dy * y, axis=-1, keepdims=True)),
    ),
    Activation(
        "log_softmax",
        _log_softmax,
        pullback=lambda dy, y, xp: dy - xp.exp(y) * xp.sum(dy, axis=-1, keepdims=True),
    ),
)
MORE = {a.name: a for a in _ALL}
