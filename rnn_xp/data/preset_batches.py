"""How two well-known programs cut a text, kept so that their published numbers come out."""

from typing import Any

import numpy as np

from rnn_xp.data.batches import (
    Batch,
    TokenBatches,
    check_enough,
    checked_size,
    checked_tokens,
)
from rnn_xp.errors import DataError


class BookStreams(TokenBatches):
    """The batches of "Deep Learning from Scratch 2": ``RnnlmTrainer`` and its chapter 5 loop.

    Row n starts at token ``n * (P // N)``, where ``P = M - 1`` is the number of tokens that
    can be predicted, and all rows move on by T tokens a batch, modulo P. An epoch is
    ``P // (N * T)`` batches; the next one goes on where it ended, with the state it left,
    so that epochs differ from each other.

    Parameters
    ----------
    ids : array of int, shape (M,)
    batch_size, bptt : int
        N and T.
    rewind : bool
        Every epoch starts at token 0 and from a zero state: so it is where the book calls
        ``fit(max_epoch=1)`` once an epoch, which sets ``time_idx`` to 0, and resets the
        model after each validation.

    References
    ----------
    Saito, "Deep Learning from Scratch 2" (O'Reilly Japan, 2018), ``common/trainer.py``,
    ``ch05/train_custom_loop.py`` and, for `rewind`, ``ch06/train_better_rnnlm.py``.
    """

    kind = "dlfs2"
    resets_state = False

    def __init__(self, ids: Any, batch_size: int, bptt: int, *, rewind: bool = False):
        super().__init__(ids, batch_size, bptt)
        self.rewind = bool(rewind)
        self._period = len(self.ids) - 1
        starts = np.arange(self.batch_size) * (self._period // self.batch_size)
        self._first = starts[:, None] + np.arange(self.bptt)  # (N, T), places of batch 0

    @property
    def steps_per_epoch(self) -> int:
        """``(M - 1) // (N T)``."""
        return self._period // (self.batch_size * self.bptt)

    @property
    def tokens_per_epoch(self) -> int:
        """N T a batch."""
        return self.steps_per_epoch * self.batch_size * self.bptt

    def batch(self, number: int) -> Batch:
        """Return batch `number`, counted from 0 over all epochs."""
        if self.rewind:
            number %= self.steps_per_epoch
        places = (self._first + (number * self.bptt) % self._period) % self._period
        return self.ids[places].astype(np.int64), self.ids[places + 1].astype(np.int64)

    def _identity(self) -> dict[str, Any]:
        return {**super()._identity(), **({"rewind": True} if self.rewind else {})}


class CharRnnStreams(TokenBatches):
    """The batches of char-rnn: only whole blocks, training and validation side by side.

    The text is cut to a multiple of N T tokens and laid out as N rows; every row is cut
    into blocks of T. A batch is one block of every row; `blocks` says which of them an
    epoch reads, so that what validates is the end of every row, not of the text. The
    target of the very last token is the first one. Training carries its state from one
    epoch to the next; to validate, start from a zero state.

    Parameters
    ----------
    ids : array of int, shape (M,)
    batch_size, bptt : int
        N and T.
    blocks : range, optional
        Default all.

    See Also
    --------
    char_rnn_split : both parts at once.

    References
    ----------
    karpathy/char-rnn, ``util/CharSplitLMMinibatchLoader.lua``.
    """

    kind = "char-rnn"
    resets_state = False

    def __init__(self, ids: Any, batch_size: int, bptt: int, *, blocks: range | None = None):
        super().__init__(ids, batch_size, bptt)
        N, T = self.batch_size, self.bptt
        count = len(self.ids) // (N * T)
        self.blocks = range(count) if blocks is None else blocks
        if not _inside(self.blocks, count):
            raise DataError(f"CharRnnStreams: blocks {blocks}, expected some of 0 to {count - 1}")
        self._used = N * T * count
        self._rows = self.ids[: self._used].reshape(N, count * T)
        self._starts = np.arange(N) * (count * T)

    def _needed(self) -> int:
        return self.batch_size * self.bptt

    @property
    def steps_per_epoch(self) -> int:
        """The number of blocks."""
        return len(self.blocks)

    @property
    def tokens_per_epoch(self) -> int:
        """N T a block."""
        return self.steps_per_epoch * self.batch_size * self.bptt

    def batch(self, number: int) -> Batch:
        """Return batch `number`, counted from 0 over all epochs."""
        start = self.blocks[number % self.steps_per_epoch] * self.bptt
        stop = start + self.bptt
        x = self._rows[:, start:stop].astype(np.int64)
        t = np.empty_like(x)
        t[:, :-1] = x[:, 1:]
        t[:, -1] = self.ids[(self._starts + stop) % self._used]
        return x, t

    def _identity(self) -> dict[str, Any]:
        return {**super()._identity(), "blocks": [self.blocks.start, self.blocks.stop]}


def _inside(blocks: range, count: int) -> bool:
    return blocks.step == 1 and 0 <= blocks.start < blocks.stop <= count


def char_rnn_split(
    ids: Any, batch_size: int, bptt: int, train_fraction: float = 0.95
) -> tuple[CharRnnStreams, CharRnnStreams]:
    """Return char-rnn's training and validation batches.

    Parameters
    ----------
    ids : array of int, shape (M,)
    batch_size, bptt : int
        N and T.
    train_fraction : float
        Of the blocks of a row, ``int(count * train_fraction)`` train; 0 to 1, exclusive.

    Raises
    ------
    DataError
        If either part would have no block.
    """
    tokens = checked_tokens(ids, "char_rnn_split")
    N, T = checked_size(batch_size, "batch_size"), checked_size(bptt, "bptt")
    check_enough(len(tokens), 2 * N * T, N, T)
    count = len(tokens) // (N * T)
    cut = int(count * train_fraction)
    if not 0 < cut < count:
        raise DataError(
            f"char_rnn_split: {train_fraction:.0%} of {count} blocks leaves one part empty; "
            "use a smaller batch (--batch) or shorter streams (--bptt), or give a longer text"
        )
    return (
        CharRnnStreams(tokens, N, T, blocks=range(cut)),
        CharRnnStreams(tokens, N, T, blocks=range(cut, count)),
    )
