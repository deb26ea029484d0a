"""Keras 3's initialisers that draw, as in keras/src/initializers/random_initializers.py.

Names, defaults and configurations are Keras's. The numbers that a seed gives are not: they are
drawn on the host with NumPy's generator.
"""

import random
from math import prod, sqrt
from typing import Any

from rnn_xp.compat.keras.constant_initializers import HOST, Initializer, Shape, require_matrix
from rnn_xp.compat.keras.dropout import check_seed
from rnn_xp.rng import Generator, make_generator

NO_AXES = {"input_axes": None, "output_axes": None}


class RandomInitializer(Initializer):
    """Base of those that draw.

    Parameters
    ----------
    seed : int, optional
        Two calls of one object with one shape give the same values, as in Keras. None takes a
        seed from Python's `random`, so ``random.seed`` makes a program repeatable.
    """

    def __init__(self, seed: int | None = None):
        self.seed = check_seed(seed, type(self).__name__)
        self._seed = random.randint(1, 10**9) if self.seed is None else self.seed

    def _rng(self) -> Generator:
        return make_generator(self._seed)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments, in Keras's form."""
        return {"seed": self.seed}


class RandomNormal(RandomInitializer):
    """Normal draws."""

    def __init__(self, mean: float = 0.0, stddev: float = 0.05, seed: int | None = None):
        super().__init__(seed)
        self.mean, self.stddev = mean, stddev

    def __call__(self, shape: Shape, dtype: Any = None) -> Any:
        """Values for an array of `shape`, on the host."""
        return self._rng().normal(self.mean, self.stddev, shape)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments, in Keras's form."""
        return {**super().get_config(), "mean": self.mean, "stddev": self.stddev}


class TruncatedNormal(RandomNormal):
    """Normal draws; those beyond two standard deviations are drawn again."""

    def __call__(self, shape: Shape, dtype: Any = None) -> Any:
        """Values for an array of `shape`, on the host."""
        return self.mean + self.stddev * _truncated(self._rng(), shape)


class RandomUniform(RandomInitializer):
    """Uniform draws in ``[minval, maxval)``."""

    def __init__(self, minval: float = -0.05, maxval: float = 0.05, seed: int | None = None):
        super().__init__(seed)
        self.minval, self.maxval = minval, maxval

    def __call__(self, shape: Shape, dtype: Any = None) -> Any:
        """Values for an array of `shape`, on the host."""
        return self._rng().uniform(self.minval, self.maxval, shape)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments, in Keras's form."""
        return {**super().get_config(), "minval": self.minval, "maxval": self.maxval}


class VarianceScaling(RandomInitializer):
    """Draws whose variance is ``scale / n``.

    Parameters
    ----------
    scale : float
    mode : {"fan_in", "fan_out", "fan_avg"}
        What n is: rows, columns, or the mean of both, of the *whole* matrix. For an LSTM
        kernel that is (D, 4H), not a gate's (D, H).
    distribution : {"truncated_normal", "untruncated_normal", "uniform"}
        "normal" is "truncated_normal".
    seed : int, optional
    input_axes, output_axes : None
        Keras counts rows and columns over other axes with them; recurrent weights have none.
    """

    def __init__(
        self,
        scale: float = 1.0,
        mode: str = "fan_in",
        distribution: str = "truncated_normal",
        seed: int | None = None,
        input_axes: None = None,
        output_axes: None = None,
    ):
        super().__init__(seed)
        if input_axes is not None or output_axes is not None:
            raise ValueError(
                f"{type(self).__name__}: input_axes = {input_axes!r}, output_axes = "
                f"{output_axes!r}, expected None: recurrent weights are matrices"
            )
        distribution = "truncated_normal" if distribution == "normal" else distribution
        if scale <= 0.0:
            raise ValueError(f"VarianceScaling: scale = {scale}, expected a positive number")
        if mode not in ("fan_in", "fan_out", "fan_avg"):
            raise ValueError(
                f"VarianceScaling: mode = {mode!r}, expected fan_in, fan_out or fan_avg"
            )
        if distribution not in ("truncated_normal", "untruncated_normal", "uniform"):
            raise ValueError(
                f"VarianceScaling: distribution = {distribution!r}, expected truncated_normal, "
                "untruncated_normal or uniform"
            )
        self.scale, self.mode, self.distribution = scale, mode, distribution

    def __call__(self, shape: Shape, dtype: Any = None) -> Any:
        """Values for an array of `shape`, on the host."""
        if not shape:
            raise ValueError(
                f"{type(self).__name__}: asked for shape (), expected a matrix or a vector"
            )
        fan_in = prod(shape[:-1]) if len(shape) > 1 else shape[0]
        fan_out = shape[-1] if len(shape) == 2 else fan_in
        n = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2.0}[self.mode]
        variance = self.scale / max(1.0, n)
        if self.distribution == "uniform":
            limit = sqrt(3.0 * variance)
            return self._rng().uniform(-limit, limit, shape)
        if self.distribution == "untruncated_normal":
            return self._rng().standard_normal(shape) * sqrt(variance)
        # The standard deviation of a unit normal cut off at -2 and 2.
        return _truncated(self._rng(), shape) * (sqrt(variance) / 0.87962566103423978)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments, in Keras's form."""
        own = {"scale": self.scale, "mode": self.mode, "distribution": self.distribution}
        return {**super().get_config(), **own, **NO_AXES}


class _NamedScaling(VarianceScaling):
    options: tuple[float, str, str]

    def __init__(self, seed: int | None = None, input_axes: None = None, output_axes: None = None):
        super().__init__(*self.options, seed, input_axes, output_axes)

    def get_config(self) -> dict[str, Any]:
        return {"seed": self.seed, **NO_AXES}


class GlorotUniform(_NamedScaling):
    """Uniform, limit ``sqrt(6 / (rows + columns))`` (Glorot & Bengio 2010)."""

    options = (1.0, "fan_avg", "uniform")


class GlorotNormal(_NamedScaling):
    """Truncated normal, variance ``2 / (rows + columns)``."""

    options = (1.0, "fan_avg", "truncated_normal")


class LecunUniform(_NamedScaling):
    """Uniform, limit ``sqrt(3 / rows)``."""

    options = (1.0, "fan_in", "uniform")


class LecunNormal(_NamedScaling):
    """Truncated normal, variance ``1 / rows``."""

    options = (1.0, "fan_in", "truncated_normal")


class HeUniform(_NamedScaling):
    """Uniform, limit ``sqrt(6 / rows)`` (He et al., arXiv:1502.01852)."""

    options = (2.0, "fan_in", "uniform")


class HeNormal(_NamedScaling):
    """Truncated normal, variance ``2 / rows``."""

    options = (2.0, "fan_in", "truncated_normal")


class Orthogonal(RandomInitializer):
    """Orthogonal matrix times `gain` (Saxe et al., arXiv:1312.6120).

    Of the *whole* matrix: a recurrent kernel (H, 4H) gets orthonormal rows, and a gate's own
    block of it is not orthogonal.
    """

    def __init__(self, gain: float = 1.0, seed: int | None = None):
        super().__init__(seed)
        self.gain = gain

    def __call__(self, shape: Shape, dtype: Any = None) -> Any:
        """Values for an array of `shape`, on the host."""
        require_matrix(self, shape)
        rows, columns = shape
        draws = self._rng().standard_normal((max(shape), min(shape)))
        q, r = HOST.linalg.qr(draws)
        q = q * HOST.sign(HOST.diagonal(r))
        return self.gain * (q.T if rows < columns else q)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments, in Keras's form."""
        return {**super().get_config(), "gain": self.gain}


def _truncated(rng: Generator, shape: Shape) -> Any:
    draws = rng.standard_normal(shape)
    outside = abs(draws) > 2.0
    while outside.any():
        draws[outside] = rng.standard_normal(int(outside.sum()))
        outside = abs(draws) > 2.0
    return draws
