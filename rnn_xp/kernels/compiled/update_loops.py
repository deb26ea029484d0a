"""The loops of the optimiser updates over flat float32 arrays, from `start` to `stop`."""

import math

from rnn_xp._typing import Array
from rnn_xp.kernels.compiled.jit import compiled


@compiled
def sgd(p: Array, g: Array, start: int, stop: int, rate: float, keep: float) -> None:
    """``p = keep p - rate g``."""
    p, g = p[start:stop], g[start:stop]
    for j in range(p.size):
        p[j] = p[j] * keep - rate * g[j]


@compiled
def momentum(
    p: Array, v: Array, g: Array, start: int, stop: int, rate: float, decay: float
) -> None:
    """``v = decay v - rate g`` and ``p += v``."""
    p, v, g = p[start:stop], v[start:stop], g[start:stop]
    for j in range(p.size):
        velocity = v[j] * decay - rate * g[j]
        v[j] = velocity
        p[j] += velocity


@compiled
def nesterov(
    p: Array, v: Array, g: Array, start: int, stop: int, rate: float, decay: float
) -> None:
    """``v = decay v - rate g`` and ``p += decay v - rate g`` with the new v."""
    p, v, g = p[start:stop], v[start:stop], g[start:stop]
    for j in range(p.size):
        step = rate * g[j]
        velocity = v[j] * decay - step
        v[j] = velocity
        p[j] += velocity * decay - step


@compiled
def divided_by_root(
    p: Array,
    h: Array,
    g: Array,
    start: int,
    stop: int,
    scale: float,
    old: float,
    new: float,
    rate: float,
    eps: float,
) -> None:
    """``h = old h + new g^2`` and ``p -= rate g / (sqrt(h) + eps)``."""
    p, h, g = p[start:stop], h[start:stop], g[start:stop]
    for j in range(p.size):
        gradient = g[j] * scale
        squares = h[j] * old + new * (gradient * gradient)
        h[j] = squares
        p[j] -= rate * (gradient / (math.sqrt(squares) + eps))


@compiled
def adam(
    p: Array,
    m: Array,
    v: Array,
    g: Array,
    start: int,
    stop: int,
    scale: float,
    decay: float,
    keep: float,
    beta1: float,
    new1: float,
    beta2: float,
    new2: float,
    rate: float,
    eps: float,
) -> None:
    """The means m and v, then ``p = keep p - rate m / (sqrt(v) + eps)``."""
    p, m, v, g = p[start:stop], m[start:stop], v[start:stop], g[start:stop]
    for j in range(p.size):
        gradient = g[j] * scale + p[j] * decay
        mean = m[j] * beta1 + gradient * new1
        squares = v[j] * beta2 + (gradient * gradient) * new2
        m[j] = mean
        v[j] = squares
        p[j] = p[j] * keep - rate * (mean / (math.sqrt(squares) + eps))
