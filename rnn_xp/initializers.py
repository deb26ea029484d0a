"""Initial weights, drawn on the host in float64.

The same seed gives the same weights on every backend, and float32 weights are the float64
ones rounded.
"""

from math import sqrt
from typing import Any

import numpy as np

from rnn_xp.rng import Generator


def scaled_normal(rng: Generator, shape: tuple[int, ...], scale: float) -> Any:
    """Normal draws times `scale`."""
    return rng.standard_normal(shape) * scale


def uniform(rng: Generator, shape: tuple[int, ...], limit: float) -> Any:
    """Uniform draws in ``[-limit, limit)``."""
    return rng.uniform(-limit, limit, shape)


def glorot_uniform(rng: Generator, fan_in: int, fan_out: int) -> Any:
    """Uniform with limit ``sqrt(6 / (fan_in + fan_out))`` (Glorot & Bengio 2010)."""
    return uniform(rng, (fan_in, fan_out), sqrt(6.0 / (fan_in + fan_out)))


def orthogonal(rng: Generator, size: int) -> Any:
    """Random orthogonal matrix (Saxe et al., arXiv:1312.6120), uniform over all of them."""
    q, r = np.linalg.qr(rng.standard_normal((size, size)))
    return q * np.sign(np.diagonal(r))


def recurrent_weights(
    rng: Generator,
    D: int,
    H: int,
    gates: int,
    scheme: str,
    scale: float | None = None,
    P: int | None = None,
) -> tuple[Any, Any]:
    """Input and recurrent weights of one layer, ``(D, G*H)`` and ``(P, G*H)``.

    Parameters
    ----------
    scheme : {"glorot", "book", "uniform"}
        "glorot": Glorot uniform input blocks and orthogonal recurrent blocks, gate by gate.
        "book": normal draws over ``sqrt(D)`` and ``sqrt(H)``, as in "Deep Learning from
        Scratch 2". "uniform": uniform in ``[-scale, scale)``, as in char-rnn and in Zaremba
        et al., arXiv:1409.2329.
    scale : float, optional
        The limit of "uniform"; default ``1 / sqrt(H)``, PyTorch's.
    P : int, optional
        Width of the output where it is projected; H otherwise. The recurrent blocks of
        "glorot" are then the first P rows, or columns, of larger orthogonal matrices.

    Raises
    ------
    ValueError
        If `scheme` is unknown.
    """
    P = H if P is None else P
    if scheme == "glorot":
        Wx = [glorot_uniform(rng, D, H) for _ in range(gates)]
        Wh = [orthogonal(rng, max(P, H))[:P, :H] for _ in range(gates)]
        return np.concatenate(Wx, axis=1), np.concatenate(Wh, axis=1)
    if scheme == "book":
        return (
            scaled_normal(rng, (D, gates * H), 1 / sqrt(D)),
            scaled_normal(rng, (P, gates * H), 1 / sqrt(P)),
        )
    if scheme == "uniform":
        limit = 1 / sqrt(H) if scale is None else scale
        return uniform(rng, (D, gates * H), limit), uniform(rng, (P, gates * H), limit)
    raise ValueError(f"unknown initialisation {scheme!r}, expected glorot, book or uniform")


def projection_weights(
    rng: Generator, H: int, P: int, scheme: str, scale: float | None = None
) -> Any:
    """Weights ``(H, P)`` of the projection of a layer's output; schemes as above."""
    if scheme == "glorot":
        return glorot_uniform(rng, H, P)
    if scheme == "book":
        return scaled_normal(rng, (H, P), 1 / sqrt(H))
    if scheme == "uniform":
        return uniform(rng, (H, P), 1 / sqrt(H) if scale is None else scale)
    raise ValueError(f"unknown initialisation {scheme!r}, expected glorot, book or uniform")
