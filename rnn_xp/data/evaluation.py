"""Batches to measure a model on: every token once, or as the book does it."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from rnn_xp.data.batches import Batch, check_enough, checked_size, checked_tokens
from rnn_xp.errors import DataError

IGNORE = -1


def evaluation_batches(ids: Any, batch_size: int = 1, bptt: int = 35) -> Iterator[Batch]:
    """Return batches in which each of the M - 1 predictable tokens is a target exactly once.

    Parameters
    ----------
    ids : array of int, shape (M,)
    batch_size : int
        N, the number of contiguous rows. With 1, every token is predicted from all before
        it: the exact protocol. With more, each row starts without a past, which costs a
        little and is faster. At most M - 1 rows are made.
    bptt : int
        T; it changes the shape of the batches and the memory they take, not the result.

    Yields
    ------
    x, t : array of int64, shape (N, T)
        To be read in this order with the state carried on. The last batch may be shorter,
        and may have targets `IGNORE` (-1) in its last column, because rows differ in
        length by up to one token.

    Raises
    ------
    DataError
        If there are fewer than 2 tokens.
    """
    tokens = checked_tokens(ids, "evaluation_batches")
    count = len(tokens) - 1
    if count < 1:
        raise DataError(
            f"the text has {len(tokens)} tokens, but to predict one takes 2; give a longer text"
        )
    N = min(checked_size(batch_size, "batch_size"), count)
    return _exact(tokens, N, checked_size(bptt, "bptt"))


def _exact(tokens: Any, N: int, T: int) -> Iterator[Batch]:
    shorter, longer = divmod(len(tokens) - 1, N)  # the first `longer` rows have one more
    lengths = [shorter + (n < longer) for n in range(N)]
    starts = [n * shorter + min(n, longer) for n in range(N)]
    for begin in range(0, lengths[0], T):
        end = min(begin + T, lengths[0])
        x = np.zeros((N, end - begin), dtype=np.int64)
        t = np.full((N, end - begin), IGNORE, dtype=np.int64)
        for n in range(N):
            span = tokens[starts[n] + begin : starts[n] + min(end, lengths[n]) + 1]
            x[n, : len(span) - 1] = span[:-1]
            t[n, : len(span) - 1] = span[1:]
        yield x, t


def book_evaluation_batches(ids: Any, batch_size: int = 10, bptt: int = 35) -> Iterator[Batch]:
    """Return the batches of the book's ``eval_perplexity``.

    Row n starts at token ``n * ((M - 1) // N)``; there are ``(M - 1) // (N * T)`` batches,
    and what is left of each row is not counted. The book's perplexity is the exponential of
    the mean of the batch losses, from a zero state.

    Parameters
    ----------
    ids : array of int, shape (M,)
    batch_size, bptt : int
        N and T; the book's are the defaults.

    Yields
    ------
    x, t : array of int64, shape (N, T)

    Raises
    ------
    DataError
        If there are too few tokens for one batch.

    References
    ----------
    Saito, "Deep Learning from Scratch 2" (O'Reilly Japan, 2018), ``common/util.py``.
    """
    tokens = checked_tokens(ids, "book_evaluation_batches")
    N, T = checked_size(batch_size, "batch_size"), checked_size(bptt, "bptt")
    check_enough(len(tokens), N * T + 1, N, T)
    return _book(tokens, N, T)


def _book(tokens: Any, N: int, T: int) -> Iterator[Batch]:
    row = (len(tokens) - 1) // N
    inputs = tokens[: N * row].reshape(N, row)
    targets = tokens[1 : N * row + 1].reshape(N, row)
    for start in range(0, row - T + 1, T):
        block = slice(start, start + T)
        yield inputs[:, block].astype(np.int64), targets[:, block].astype(np.int64)
