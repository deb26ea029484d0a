"""How well a model predicts a text: perplexity, and bits a token."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

from rnn_xp._typing import Array
from rnn_xp.backend import to_host
from rnn_xp.data import IGNORE, book_evaluation_batches, evaluation_batches
from rnn_xp.models import Rnnlm

PROTOCOLS = ("exact", "dlfs2")
Progress: TypeAlias = Callable[[int, int], None]
_LONGEST = 1024
BOOK_BATCH, BOOK_BPTT = 10, 35


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Result of `evaluate`.

    Attributes
    ----------
    nats_per_token : float
        Mean of ``-ln p(token | all before it)``.
    tokens : int
        How many tokens were predicted.
    """

    nats_per_token: float
    tokens: int

    @property
    def bits_per_token(self) -> float:
        """``nats_per_token / ln 2``; bits per character at character level."""
        return self.nats_per_token / math.log(2.0)

    @property
    def perplexity(self) -> float:
        """``exp(nats_per_token)``."""
        return perplexity(self.nats_per_token)

    def to_json(self) -> dict[str, Any]:
        """``perplexity``, ``bits_per_token``, ``nats_per_token`` and ``tokens``."""
        return {
            "perplexity": self.perplexity,
            "bits_per_token": self.bits_per_token,
            "nats_per_token": self.nats_per_token,
            "tokens": self.tokens,
        }


def perplexity(nats: float) -> float:
    """``exp(nats)``, infinite where that is too large for a float."""
    return math.exp(nats) if nats < 709.0 else math.inf if nats == nats else math.nan


def evaluate(
    model: Rnnlm,
    ids: Any,
    protocol: str = "exact",
    *,
    rows: int = 1,
    bptt: int | None = None,
    progress: Progress | None = None,
) -> Evaluation:
    """Measure `model` on a text.

    The state starts from zeros, is carried from batch to batch, and is afterwards what it
    was before the call.

    Parameters
    ----------
    model : Rnnlm
    ids : array of int, shape (M,)
        Token ids, on the host.
    protocol : {"exact", "dlfs2"}
        "exact": each of the M - 1 predictable tokens counts once. "dlfs2": that of the
        book's ``eval_perplexity``: 10 rows of 35 steps, the mean of the batch losses, what
        fills no batch is left out.
    rows : int
        "exact" only. With 1 every token is predicted from all before it. With more the text
        is read in so many contiguous rows at once, each from a zero state: faster, and a
        little worse at the rows' beginnings.
    bptt : int, optional
        "exact" only: steps a call, which changes nothing but memory; default about 1024
        tokens a call.
    progress : callable, optional
        Called with (tokens done, tokens in all) after each batch.

    Raises
    ------
    ValueError
        If the protocol is unknown.
    DataError
        If there are too few tokens.
    """
    if protocol not in PROTOCOLS:
        raise ValueError(f"--protocol {protocol}: expected one of {', '.join(PROTOCOLS)}")
    if protocol == "dlfs2":
        total = (len(ids) - 1) // (BOOK_BATCH * BOOK_BPTT) * BOOK_BATCH * BOOK_BPTT
        batches = book_evaluation_batches(ids, BOOK_BATCH, BOOK_BPTT)
        return evaluate_batches(model, batches, total, progress)
    steps = bptt or max(_LONGEST // rows, 32)
    return evaluate_batches(model, evaluation_batches(ids, rows, steps), len(ids) - 1, progress)


def evaluate_batches(
    model: Rnnlm,
    batches: Iterator[tuple[Any, Any]],
    total: int,
    progress: Progress | None = None,
) -> Evaluation:
    """Mean loss of batches ``(x, t)`` of shape (N, T), weighted by the tokens that count.

    Nothing waits for the device before the last batch.
    """
    losses: list[Array] = []
    counts: list[int] = []
    done = 0
    with model.fresh_state():
        for xs, ts in batches:
            losses.append(model.forward(xs, ts, train=False))
            counts.append(int((ts != IGNORE).sum()))
            done += counts[-1]
            if progress is not None:
                progress(done, total)
    nats = math.fsum(float(to_host(x)) * n for x, n in zip(losses, counts, strict=True))
    return Evaluation(nats / done, done)
