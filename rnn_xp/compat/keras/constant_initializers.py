"""Keras 3's initialisers that draw nothing, as in keras/src/initializers/constant_initializers.py.

An initialiser gives float64 arrays on the host, so every backend gets the same numbers.
"""

from typing import Any, Self, TypeAlias

from rnn_xp.backend import get_backend

Shape: TypeAlias = tuple[int, ...]

HOST = get_backend("numpy").xp


class Initializer:
    """Base: call it with a shape, get a float64 array on the host."""

    def __call__(self, shape: Shape, dtype: Any = None) -> Any:
        """Values for an array of `shape`; `dtype` is accepted as Keras does, and not used."""
        raise NotImplementedError(f"{type(self).__name__} draws no values")

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """The initialiser of a configuration."""
        return cls(**config)


class Constant(Initializer):
    """Every element is `value`."""

    def __init__(self, value: float = 0.0):
        self.value = value

    def __call__(self, shape: Shape, dtype: Any = None) -> Any:
        """Values for an array of `shape`, on the host."""
        return HOST.full(shape, self.value, dtype=HOST.float64)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments, in Keras's form."""
        return {"value": self.value}


class Zeros(Initializer):
    """Every element is 0."""

    def __call__(self, shape: Shape, dtype: Any = None) -> Any:
        """Values for an array of `shape`, on the host."""
        return Constant(0.0)(shape)


class Ones(Initializer):
    """Every element is 1."""

    def __call__(self, shape: Shape, dtype: Any = None) -> Any:
        """Values for an array of `shape`, on the host."""
        return Constant(1.0)(shape)


class Identity(Initializer):
    """`gain` on the diagonal of a matrix, 0 elsewhere."""

    def __init__(self, gain: float = 1.0):
        self.gain = gain

    def __call__(self, shape: Shape, dtype: Any = None) -> Any:
        """Values for an array of `shape`, on the host."""
        require_matrix(self, shape)
        return self.gain * HOST.eye(*shape, dtype=HOST.float64)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments, in Keras's form."""
        return {"gain": self.gain}


def require_matrix(initializer: Initializer, shape: Shape) -> None:
    """Raise `ValueError` unless `shape` has two sizes."""
    if len(shape) != 2:
        raise ValueError(
            f"{type(initializer).__name__}: asked for shape {tuple(shape)}, expected a matrix"
        )
