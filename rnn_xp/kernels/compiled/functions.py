"""tanh, the logistic function and exp in float32, as polynomials that vectorise.

All three are made of ``e^r - 1 = r + r^2 q(r)`` for ``|r| <= ln(2) / 2``, where q is the
polynomial of degree 4 with the smallest largest relative error of ``e^r - 1`` (1.3e-8, a
least-squares fit reweighted until the error is level), and of
``e^y = 2^k e^r`` with ``k = round(y / ln 2)``, ``r = y - k ln 2`` (Cody and Waite 1980, with
ln 2 in two parts so that ``k ln 2`` is exact enough).

NaN stays NaN and infinities go to the limits, because each bound is a comparison that NaN
fails. exp goes to 0 before it reaches denormal numbers, with which matrix products would be
slow on many processors.
"""

import math
from typing import Any

import numpy as np

from rnn_xp._typing import Array
from rnn_xp.kernels.compiled.jit import compiled

_ONE, _TWO, _HALF, _ZERO = np.float32(1.0), np.float32(2.0), np.float32(0.5), np.float32(0.0)
_Q0, _Q1, _Q2, _Q3, _Q4 = (
    np.float32(q) for q in (0.49999997, 0.16666543, 0.0416672, 0.00836652, 0.00138825)
)
_LOG2_E = np.float32(1.44269504)
# ln 2 = _LN2_HIGH + _LN2_LOW; the first has 10 bits, so its product with k is exact.
_LN2_HIGH, _LN2_LOW = np.float32(0.693359375), np.float32(-2.12194440e-4)
# Adding 1.5 * 2**23 leaves the rounded number in the last bits of a float32.
_ROUND = np.float32(12582912.0)
_BIAS, _MANTISSA_BITS = np.int32(127), np.int32(23)
# e^-20 is less than half the last bit of 1; e^-87 is the last normal power.
_TANH_BOUND, _EXP_BOUND = np.float32(-20.0), np.float32(-87.0)


@compiled
def _parts_of_exp(y: Any) -> tuple[Any, Any]:
    """``(2^k, e^r - 1)`` with ``e^y = 2^k e^r``, for y from -87 to 0."""
    shifted = y * _LOG2_E + _ROUND
    k = shifted - _ROUND
    r = (y - k * _LN2_HIGH) - k * _LN2_LOW
    q = (((_Q4 * r + _Q3) * r + _Q2) * r + _Q1) * r + _Q0
    bits = np.float32(shifted).view(np.int32)
    power = np.int32((bits + _BIAS) << _MANTISSA_BITS).view(np.float32)
    return power, (r * r) * q + r


@compiled
def tanh(x: Any) -> Any:
    """``tanh(x)``, odd, within 3 units of the last place (1.5e-7), never beyond 1.

    ``tanh(x) = -m / (m + 2)`` with ``m = e^(-2x) - 1``, for x >= 0.
    """
    y = -_TWO * abs(x)
    y = _TANH_BOUND if y < _TANH_BOUND else y
    power, rest = _parts_of_exp(y)
    m = power * rest + (power - _ONE)
    return math.copysign(m / (m + _TWO), x)


@compiled
def sigmoid(x: Any) -> Any:
    """``1 / (1 + e^-x)`` as ``0.5 tanh(0.5 x) + 0.5``; within 1e-7."""
    return _HALF * tanh(_HALF * x) + _HALF


@compiled
def exp_of_negative(x: Any) -> Any:
    """``e^x`` for x <= 0, within 2 units of the last place; 0 for x < -87."""
    y = _EXP_BOUND if x < _EXP_BOUND else x
    power, rest = _parts_of_exp(y)
    return _ZERO if x < _EXP_BOUND else power * rest + power


@compiled
def tanh_of_sum(a: Array, b: Array, bias: Array) -> None:
    """``a = tanh(a + b + bias)``, all of one length."""
    for j in range(a.size):
        a[j] = tanh(a[j] + (b[j] + bias[j]))


@compiled
def sigmoid_of_sum(a: Array, b: Array, bias: Array) -> None:
    """``a = sigmoid(a + b + bias)``, all of one length."""
    for j in range(a.size):
        a[j] = sigmoid(a[j] + (b[j] + bias[j]))
