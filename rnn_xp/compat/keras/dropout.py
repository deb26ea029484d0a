"""Keras's dropout inside a recurrent cell: which masks there are, and how they are drawn.

A mask differs from row to row and is the same at all steps of a call. The numbers are this
package's own: a function of (seed, number of the mask), the same on every backend.
"""

import random
from numbers import Integral, Real
from typing import Any

from rnn_xp._typing import Array
from rnn_xp.backend import Backend
from rnn_xp.rng import DropoutKey, dropout_threshold


class Dropout:
    """The masks of one cell.

    Parameters
    ----------
    where : str
        The cell's name, for messages.
    dropout, recurrent_dropout : float
        Shares of the inputs and of the state that are dropped; cut to [0, 1], as Keras does.
    seed : int, optional
        None takes one from Python's `random`, so ``random.seed`` makes a program repeatable.
    count : int or None
        Masks of one kind in a call: one for each gate, or None for one that all share.
    drops_all : bool
        What a share of 1 means: everything is dropped (SimpleRNN), or nothing (LSTM and GRU,
        whose cells in Keras only look at 0 < share < 1). Keras 3.15 contradicts its cells in
        one place: its *layers* LSTM and GRU on torch, without mask and `recurrent_dropout`, run
        a fused path that drops all inputs at a `dropout` of 1. With a mask, in ``RNN(cell)``,
        and for `recurrent_dropout`, nothing is dropped there either.

    Attributes
    ----------
    counter : int
        Number of masks drawn so far.
    """

    def __init__(
        self,
        where: str,
        dropout: float,
        recurrent_dropout: float,
        seed: int | None,
        count: int | None,
        drops_all: bool,
    ):
        self.ratios = (_cut(dropout), _cut(recurrent_dropout))
        for name, ratio in zip(("dropout", "recurrent_dropout"), self.ratios, strict=True):
            if ratio < 1.0 and dropout_threshold(ratio) >= 65536:
                raise ValueError(f"{where}: {name} = {ratio}, expected 1, or less than 0.99999")
        self.seed = random.randint(1, 10**9) if seed is None else seed
        self.count = count
        self.drops_all = drops_all
        self.counter = 0

    def draw(self, kind: int, N: int, width: int, backend: Backend, dtype: str) -> Array | None:
        """New masks of inputs (`kind` 0) or of states (1).

        Returns
        -------
        masks : array, shape (count, N, width), or (N, width) if `count` is None
            None if nothing is dropped.
        """
        ratio = self.ratios[kind]
        if ratio == 0.0 or (ratio == 1.0 and not self.drops_all):
            return None
        shape = (N, width) if self.count is None else (self.count, N, width)
        like = backend.zeros(shape, dtype)
        if ratio == 1.0:
            return like
        key = DropoutKey(self.seed, kind, self.counter)
        self.counter += 1
        return backend.kernels(dtype).dropout_mask(shape, ratio, key, like)


def check_ratio(ratio: Any, where: str, name: str) -> None:
    """Raise `ValueError` unless `ratio` is a number."""
    if isinstance(ratio, bool) or not isinstance(ratio, Real) or ratio != ratio:
        raise ValueError(f"{where}: {name} = {ratio!r}, expected a number, 0 to 1")


def check_seed(seed: Any, where: str) -> int | None:
    """`seed` as Python's int; `ValueError` unless it is None or an integer in range."""
    if seed is None:
        return None
    if not isinstance(seed, Integral) or not 0 <= int(seed) < 2**64:
        raise ValueError(f"{where}: seed = {seed!r}, expected an integer, 0 to 2**64 - 1")
    return int(seed)


def _cut(ratio: float) -> float:
    return min(1.0, max(0.0, float(ratio)))
