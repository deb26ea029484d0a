"""From the scores of the next token to a token: temperature, top-k, top-p, greedy.

All of it on the host in float64, with every tie broken the same way.
"""

import math
from dataclasses import dataclass
from operator import index
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from rnn_xp.errors import NonFiniteError

Ids: TypeAlias = NDArray[np.int64]

# Tokens whose probabilities are first taken together: a draw adds up the blocks, then one block.
BLOCK = 128


@dataclass(frozen=True, slots=True)
class Sampling:
    """How a token is chosen from its scores.

    Attributes
    ----------
    temperature : float
        Scores are divided by it; below 1 favours the likely tokens, 0 is `greedy`.
    top_k : int or None
        Only the `top_k` tokens with the highest scores (of equals, the lower ids).
    top_p : float or None
        Only the smallest set of most likely tokens whose probabilities reach `top_p`
        (nucleus sampling, Holtzman et al., arXiv:1904.09751); after temperature and `top_k`.
    greedy : bool
        Always the token with the highest score (of equals, the lowest id).
    skip_ids : tuple of int
        Tokens that are never chosen, such as ``<unk>``.

    Raises
    ------
    ValueError
        If a setting is out of range.
    """

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None
    greedy: bool = False
    skip_ids: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if not (math.isfinite(self.temperature) and self.temperature >= 0.0):
            raise ValueError(f"temperature is {self.temperature}, expected a number from 0 on")
        if self.top_k is not None:
            check_integer("top_k", self.top_k, 1)
        if self.top_p is not None and not 0.0 < self.top_p <= 1.0:
            raise ValueError(f"top_p is {self.top_p}, expected 0 < top_p <= 1")

    def choose(self, scores: Any, uniforms: Any) -> Ids:
        """Choose a token for each row.

        Parameters
        ----------
        scores : numpy.ndarray, shape (N, V)
        uniforms : numpy.ndarray of float64, shape (N,)
            Random numbers in [0, 1); without effect if the choice is greedy.

        Returns
        -------
        ids : numpy.ndarray of int64, shape (N,)
        """
        if self.greedy or self.temperature == 0.0:
            best: Ids = np.argmax(self._allowed(scores), axis=1)
            return best
        return _draw(self._exponentials(scores), uniforms)

    def probabilities(self, scores: Any) -> NDArray[np.float64]:
        """Probability of each token, (N, V), 0 for what is left out."""
        p = self._exponentials(scores)
        p /= p.sum(axis=1, keepdims=True)
        return p

    def _exponentials(self, scores: Any) -> NDArray[np.float64]:
        """The probabilities, but for a factor that each row has."""
        scores = self._allowed(scores)
        if self.top_k is not None and self.top_k < scores.shape[1]:
            scores = np.where(_highest(scores, self.top_k), scores, -np.inf)
        scores -= scores.max(axis=1, keepdims=True)
        if self.temperature not in (0.0, 1.0):
            with np.errstate(over="ignore"):  # what overflows has probability 0
                scores /= self.temperature
        p: NDArray[np.float64] = np.exp(scores, out=scores)
        if self.top_p is not None and self.top_p < 1.0:
            p = np.where(_nucleus(p / p.sum(axis=1, keepdims=True), self.top_p), p, 0.0)
        return p

    def _allowed(self, scores: Any) -> Any:
        scores = np.array(scores, dtype=np.float64)
        if not np.isfinite(scores).all():
            raise NonFiniteError(
                "the model's scores are not finite: its weights are damaged, or its training "
                "diverged; use an earlier checkpoint"
            )
        if self.skip_ids:
            scores[:, list(self.skip_ids)] = -np.inf
        return scores


def check_integer(name: str, value: Any, least: int) -> None:
    """Raise `ValueError` unless `value` is an integer from `least` on."""
    if not hasattr(value, "__index__") or index(value) < least:
        raise ValueError(f"{name} is {value!r}, expected an integer from {least} on")


def _draw(p: Any, uniforms: Any) -> Ids:
    """In each row of `p`, (N, V), the token at which the running sum first passes its share.

    That share is the row's uniform number of the whole sum. With many tokens the sums of
    blocks are added up first, and then what is inside one block.
    """
    N, V = p.shape
    if V <= BLOCK:
        running = np.cumsum(p, axis=1)
        return _first_past(running, uniforms * running[:, -1])
    starts = np.arange(0, V, BLOCK)
    running = np.cumsum(np.add.reduceat(p, starts, axis=1), axis=1)
    share = uniforms * running[:, -1]
    chosen = _first_past(running, share)
    # Not negative, whatever the rounding: what was not passed is taken away.
    share -= np.where(chosen > 0, running[np.arange(N), chosen - 1], 0.0)
    inside = np.zeros((N, BLOCK))
    for row, start, out in zip(p, starts[chosen], inside, strict=True):
        block = row[start : start + BLOCK]
        out[: block.size] = block
    ids: Ids = starts[chosen] + _first_past(np.cumsum(inside, axis=1), share)
    return ids


def _first_past(running: Any, share: Any) -> Ids:
    """Where each row of running sums first exceeds `share`, from 0 on; so never at a zero."""
    # Rounding must not carry a draw past the last token that has a probability.
    share = np.minimum(share, np.nextafter(running[:, -1], 0.0))
    first: Ids = np.argmax(running > share[:, None], axis=1)
    return first


def _highest(scores: Any, k: int) -> Any:
    """Where the `k` highest scores of each row are; of equals, the lower ids."""
    least = np.partition(scores, -k, axis=1)[:, -k, None]
    above, equal = scores > least, scores == least
    room = k - above.sum(axis=1, keepdims=True)
    return above | (equal & (np.cumsum(equal, axis=1) <= room))


def _nucleus(p: Any, mass: float) -> Any:
    """Where the fewest, most likely tokens are that hold `mass`; of equals, the lower ids."""
    order = np.argsort(-p, axis=1, kind="stable")
    ranked = np.take_along_axis(p, order, axis=1)
    before = np.cumsum(ranked, axis=1) - ranked
    kept = np.zeros(p.shape, dtype=bool)
    np.put_along_axis(kept, order, before < mass, axis=1)
    return kept
