"""tanh, the logistic function and exp in float32, as polynomials that vectorise.

e^y, as Cody and Waite (1980) split it: ``e^y = 2^k e^r`` with ``k = round(y / ln 2)`` and
``r = y - k ln 2``, ln 2 in two parts so that ``k ln 2`` is exact enough. Then
``e^r - 1 = r + r^2 q(r)`` for ``|r| <= ln(2) / 2``, q of degree 4 with a relative error of
e^r - 1 of 1.3e-8.

tanh, from there on where it is mostly rounding that counts, is ``1 - 2 / (e^(2x) + 1)``: the
last operation takes a small correction from 1. Near 0, where that would be a difference of
nearly equal numbers, it is ``x + x^3 p(x^2)``, again a small correction last, with p of degree
5 and a relative error of tanh of 7e-10. Both are computed and one is chosen, which needs no branch.

The coefficients of p and q are those of the smallest largest relative error: a least-squares
fit on some thousand points in float64, repeated with each point's weight multiplied by its
error until the errors are level (Lawson 1961), rounded to float32. How far the results are off
was found by comparing every float32 number with the function in float64.

NaN stays NaN and infinities go to the limits, because each bound is a comparison that NaN
fails. exp and the logistic function go to 0 before they reach denormal numbers, with which
matrix products would be slow on many processors.

The flags are those of `compiled`, not of `compiled_sum`: terms that the compiler might
regroup are what this accuracy rests on. That it may fuse a product with a sum changes no bound
here, with or without it.
"""

import math
from typing import Any

import numpy as np

from rnn_xp._typing import Array
from rnn_xp.kernels.compiled.jit import compiled

_ONE, _TWO, _ZERO = np.float32(1.0), np.float32(2.0), np.float32(0.0)
_Q0, _Q1, _Q2, _Q3, _Q4 = (
    np.float32(q) for q in (0.49999997, 0.16666543, 0.0416672, 0.00836652, 0.00138825)
)
_P0, _P1, _P2, _P3, _P4, _P5 = (
    np.float32(p)
    for p in (-0.33333325, 0.13332984, -0.053920954, 0.021571051, -0.0078832926, 0.0018956535)
)
# From here on tanh is made of e^(2x).
_TANH_SPLIT = np.float32(0.7)
_LOG2_E = np.float32(1.44269504)
# ln 2 = _LN2_HIGH + _LN2_LOW; the first has 10 bits, so its product with k is exact.
_LN2_HIGH, _LN2_LOW = np.float32(0.693359375), np.float32(-2.12194440e-4)
# Adding 1.5 * 2**23 leaves the rounded number in the last bits of a float32.
_ROUND = np.float32(12582912.0)
_BIAS, _MANTISSA_BITS = np.int32(127), np.int32(23)
# 2 e^-20 is less than half the last bit of 1; e^-87 is the last normal power; the bits that
# `_parts_of_exp` makes of k = -127, which is that of -88, are those of 0.
_TANH_BOUND, _EXP_BOUND, _SIGMOID_BOUND = np.float32(10.0), np.float32(-87.0), np.float32(-88.0)


@compiled
def _parts_of_exp(y: Any) -> tuple[Any, Any]:
    """``(2^k, e^r - 1)`` with ``e^y = 2^k e^r``, for y from -88 to 88."""
    shifted = y * _LOG2_E + _ROUND
    k = shifted - _ROUND
    r = (y - k * _LN2_HIGH) - k * _LN2_LOW
    q = (((_Q4 * r + _Q3) * r + _Q2) * r + _Q1) * r + _Q0
    bits = np.float32(shifted).view(np.int32)
    power = np.int32((bits + _BIAS) << _MANTISSA_BITS).view(np.float32)
    return power, (r * r) * q + r


@compiled
def tanh(x: Any) -> Any:
    """``tanh(x)``, odd, within 1.07 units of the last place, never beyond 1."""
    a = abs(x)
    z = a * a
    p = ((((_P5 * z + _P4) * z + _P3) * z + _P2) * z + _P1) * z + _P0
    small = (a * z) * p + a
    power, rest = _parts_of_exp(_TWO * (_TANH_BOUND if a > _TANH_BOUND else a))
    large = _ONE - _TWO / (power * rest + (power + _ONE))
    return math.copysign(small if a < _TANH_SPLIT else large, x)


@compiled
def sigmoid(x: Any) -> Any:
    """``1 / (1 + e^-x)``, within 2.5 units of the last place; for x > 0 within 1.2.

    With ``w = e^-|x| / (1 + e^-|x|)`` it is w or 1 - w, so both it and its distance from 1 keep
    their leading digits, which ``0.5 tanh(0.5 x) + 0.5`` does not. 0 for x < -88.
    """
    y = -abs(x)
    power, rest = _parts_of_exp(_SIGMOID_BOUND if y < _SIGMOID_BOUND else y)
    w = (power * rest + power) / (power * rest + (power + _ONE))
    return w if x < _ZERO else _ONE - w


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
