"""Seeded randomness, drawn on the host: the same numbers on every backend.

Initial weights come from a NumPy generator. Dropout masks come from a counter-based
generator (Philox4x64, Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011),
so that a mask is a pure function of (seed, stream, counter): a GPU kernel can compute the
same one, and a resumed run draws what the uninterrupted one would have drawn.
"""

from dataclasses import dataclass
from math import prod
from typing import Any, TypeAlias

import numpy as np

Generator: TypeAlias = np.random.Generator


@dataclass(frozen=True, slots=True)
class DropoutKey:
    """What a dropout mask is a function of.

    Attributes
    ----------
    seed : int
        The model's seed, 0 <= seed < 2**64.
    stream : int
        Number of the dropout layer inside the model.
    counter : int
        Number of the training call, from 0.
    """

    seed: int
    stream: int
    counter: int


def make_generator(seed: "int | Generator | None" = 0) -> Generator:
    """Return a NumPy generator for `seed`; a generator is returned as it is."""
    if isinstance(seed, np.random.Generator):
        return seed
    return np.random.default_rng(seed)


def dropout_threshold(ratio: float) -> int:
    """Number of the 65,536 values of a 16-bit draw that mean "drop"."""
    return round(ratio * 65536)


def kept_value(ratio: float) -> Any:
    """What a mask holds where nothing is dropped, float32: one over the rounded share kept."""
    return np.float32(65536 / (65536 - dropout_threshold(ratio)))


def draw_dropout_mask(shape: tuple[int, ...], ratio: float, key: DropoutKey) -> Any:
    """Host dropout mask: 0 with probability `ratio`, else ``1 / (1 - ratio)``, float32.

    Element k (C order) takes bits ``16 * (k % 4)`` and up of word ``k // 4`` of the Philox
    stream with key ``(seed, stream)``, whose block j of four words has the counter
    ``(j + 1, 0, counter, 0)`` (NumPy starts from 0 and advances before each block); it is
    dropped if they are below ``round(65536 * ratio)``. The factor uses the ratio so rounded,
    so the expectation of the mask is exactly one.
    """
    count = prod(shape)
    philox = np.random.Philox(
        key=np.array([key.seed, key.stream], dtype=np.uint64),
        counter=np.array([0, 0, key.counter, 0], dtype=np.uint64),
    )
    words = philox.random_raw(-(-count // 4)).astype("<u8", copy=False)
    draws = words.view("<u2")[:count].reshape(shape)
    mask = (draws >= dropout_threshold(ratio)).astype(np.float32)
    mask *= kept_value(ratio)
    return mask
