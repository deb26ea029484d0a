"""Initial values of the cells' variables, drawn on the host: the same on every backend."""

from collections.abc import Callable
from math import sqrt
from typing import Any, TypeAlias

from rnn_xp.initializers import uniform
from rnn_xp.rng import Generator, make_generator

Drawing: TypeAlias = Callable[[tuple[int, ...], Generator], Any]
Initializer: TypeAlias = str | Drawing

_state = {"generator": make_generator(None)}


def set_random_seed(seed: int) -> None:
    """Seed what is drawn from now on without a generator of its own: weights and dropout.

    As in TensorFlow 1 there is one such generator for the program; it starts unseeded.
    ``cell.build(..., rng=)`` and ``DropoutWrapper(seed=)`` do without it.
    """
    _state["generator"] = make_generator(seed)


def default_generator() -> Generator:
    """The program's generator."""
    return _state["generator"]


def glorot_uniform(shape: tuple[int, ...], rng: Generator) -> Any:
    """Uniform with limit ``sqrt(6 / (rows + columns))`` over the whole matrix.

    TensorFlow 1's default for every variable without an initialiser. A vector of length n
    counts as n rows and n columns.
    """
    return uniform(rng, shape, sqrt(6.0 / (shape[0] + shape[-1])))


def random_uniform_initializer(
    minval: float = 0.0, maxval: float = 1.0, seed: int | None = None, dtype: Any = None
) -> Drawing:
    """Uniform draws in ``[minval, maxval)``. `seed`: None draws with the cell's generator."""
    return _seeded(seed, lambda shape, rng: rng.uniform(minval, maxval, shape))


def random_normal_initializer(
    mean: float = 0.0, stddev: float = 1.0, seed: int | None = None, dtype: Any = None
) -> Drawing:
    """Normal draws."""
    return _seeded(seed, lambda shape, rng: rng.normal(mean, stddev, shape))


def truncated_normal_initializer(
    mean: float = 0.0, stddev: float = 1.0, seed: int | None = None, dtype: Any = None
) -> Drawing:
    """Normal draws; those further than two standard deviations from `mean` are drawn again."""

    def draw(shape: tuple[int, ...], rng: Generator) -> Any:
        values = rng.standard_normal(shape)
        while (far := abs(values) > 2.0).any():
            values[far] = rng.standard_normal(int(far.sum()))
        return mean + stddev * values

    return _seeded(seed, draw)


def constant_initializer(value: float = 0.0, dtype: Any = None) -> Drawing:
    """`value` everywhere."""
    return lambda shape, rng: uniform(rng, shape, 0.0) + value


def _seeded(seed: int | None, draw: Drawing) -> Drawing:
    if seed is None:
        return draw
    own = make_generator(seed)
    return lambda shape, rng: draw(shape, own)


NAMED: dict[str, Drawing] = {
    "glorot_uniform": glorot_uniform,
    "zeros": constant_initializer(0.0),
    "ones": constant_initializer(1.0),
}


def get_initializer(initializer: Initializer | None, where: str) -> Any:
    """The function ``(shape, rng) -> host array`` of that name; None is Glorot uniform.

    Raises
    ------
    ValueError
        If the name is unknown; the message lists the known ones.
    """
    if initializer is None:
        return glorot_uniform
    if isinstance(initializer, str):
        if initializer not in NAMED:
            raise ValueError(
                f"{where}: unknown initializer {initializer!r}, expected one of "
                f"{', '.join(sorted(NAMED))}, or a callable (shape, rng) -> array"
            )
        return NAMED[initializer]
    if not callable(initializer):
        raise TypeError(
            f"{where}: initializer is a {type(initializer).__name__}, expected a name or a "
            "callable (shape, rng) -> array"
        )
    return initializer
