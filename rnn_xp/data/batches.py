"""Batches for truncated backpropagation through time: N parallel streams, T tokens a step."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any, ClassVar, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

from rnn_xp.errors import CheckpointError, DataError, DTypeError, ShapeError

Batch: TypeAlias = tuple[NDArray[np.int64], NDArray[np.int64]]
Ids: TypeAlias = NDArray[np.integer[Any]]


class TokenBatches(ABC):
    """An endless iterator of batches ``(x, t)``, the same epoch by epoch.

    A batch depends on nothing but its number, so to resume it is enough to restore
    `position`.

    Parameters
    ----------
    ids : array of int, shape (M,)
        All tokens, on the host; a memory-mapped array is read as it is needed.
    batch_size : int
        N, the number of streams.
    bptt : int
        T, the number of tokens of a stream in a batch.

    Attributes
    ----------
    position : int
        Number of batches given so far, over all epochs.
    steps_per_epoch : int
    tokens_per_epoch : int
        How many tokens an epoch predicts.
    resets_state : bool
        Whether the recurrent state is to be reset where an epoch starts.

    Raises
    ------
    DTypeError, ShapeError
        If `ids` are not integers in one dimension.
    DataError
        If there are too few of them for one batch, or N or T is not positive.
    """

    kind: ClassVar[str]
    resets_state: ClassVar[bool]

    def __init__(self, ids: Any, batch_size: int, bptt: int):
        self.ids = checked_tokens(ids, type(self).__name__)
        self.batch_size = checked_size(batch_size, "batch_size")
        self.bptt = checked_size(bptt, "bptt")
        self.position = 0
        check_enough(len(self.ids), self._needed(), self.batch_size, self.bptt)

    def _needed(self) -> int:
        """How many tokens a batch needs: T inputs a stream, and the last one's target."""
        return self.batch_size * self.bptt + 1

    @property
    @abstractmethod
    def steps_per_epoch(self) -> int:
        """Number of batches in an epoch."""

    @property
    @abstractmethod
    def tokens_per_epoch(self) -> int:
        """How many tokens an epoch predicts."""

    @abstractmethod
    def batch(self, number: int) -> Batch:
        """Return batch `number`, counted from 0 over all epochs.

        Returns
        -------
        x, t : array of int64, shape (N, T)
            New arrays: inputs, and the token that follows each of them.
        """

    @property
    def epoch(self) -> int:
        """The epoch that the next batch belongs to, from 0."""
        return self.position // self.steps_per_epoch

    @property
    def step(self) -> int:
        """The number of the next batch inside its epoch; 0 where an epoch starts."""
        return self.position % self.steps_per_epoch

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Batch:
        """Return the next batch; never ends."""
        result = self.batch(self.position)
        self.position += 1
        return result

    def rest_of_epoch(self) -> Iterator[Batch]:
        """Yield the batches up to the end of the current epoch (a whole one if at its start)."""
        for _ in range(self.steps_per_epoch - self.step):
            yield next(self)

    def state_dict(self) -> dict[str, Any]:
        """Return the position, and what it is a position in, as JSON types."""
        return {"position": self.position, **self._identity()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue where `state_dict` was taken.

        Raises
        ------
        CheckpointError
            If it was taken from other batches, where the position means something else.
        """
        for key, value in self._identity().items():
            if state.get(key) != value:
                raise CheckpointError(
                    f"batches: the saved position has {key} {state.get(key)!r}, "
                    f"here it is {value!r}; resume with the same data and settings"
                )
        position = state.get("position")
        if type(position) is not int or position < 0:
            raise CheckpointError(f"batches: the saved position {position!r} is not a count")
        self.position = position

    def _identity(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "batch_size": self.batch_size,
            "bptt": self.bptt,
            "tokens": len(self.ids),
        }


class ContiguousStreams(TokenBatches):
    """N contiguous parts of the text, read side by side.

    Row n reads ``ids[n * L : (n + 1) * L + 1]`` with ``L = (M - 1) // N``: inputs are all
    but the last of these, targets all but the first. An epoch reads each row once, in
    blocks of T tokens; the last block may be shorter. The state is to be reset where an
    epoch starts. The last ``(M - 1) % N`` tokens are never read.

    Parameters
    ----------
    ids : array of int, shape (M,)
    batch_size, bptt : int
        N and T.
    drop_tail : bool
        Whether to leave out the last block of an epoch if it is shorter than T, so that
        all batches have the same shape.
    """

    kind = "contiguous"
    resets_state = True

    def __init__(self, ids: Any, batch_size: int, bptt: int, *, drop_tail: bool = False):
        super().__init__(ids, batch_size, bptt)
        N = self.batch_size
        self.drop_tail = bool(drop_tail)
        self.row_length = (len(self.ids) - 1) // N  # L
        used = N * self.row_length
        self._inputs = self.ids[:used].reshape(N, self.row_length)
        self._targets = self.ids[1 : used + 1].reshape(N, self.row_length)

    @property
    def steps_per_epoch(self) -> int:
        """L / T, rounded down if the tail is dropped, else up."""
        if self.drop_tail:
            return self.row_length // self.bptt
        return -(-self.row_length // self.bptt)

    @property
    def tokens_per_epoch(self) -> int:
        """N L, less the tail if it is dropped."""
        return self.batch_size * min(self.row_length, self.steps_per_epoch * self.bptt)

    def batch(self, number: int) -> Batch:
        """Return batch `number`, counted from 0 over all epochs."""
        start = (number % self.steps_per_epoch) * self.bptt
        block = slice(start, start + self.bptt)
        return self._inputs[:, block].astype(np.int64), self._targets[:, block].astype(np.int64)

    def _identity(self) -> dict[str, Any]:
        return {**super()._identity(), "drop_tail": self.drop_tail}


def checked_tokens(ids: Any, where: str) -> Ids:
    """Return ids as a plain one-dimensional integer array, without a copy.

    Raises
    ------
    DTypeError, ShapeError
    """
    array: NDArray[Any] = np.asarray(ids)
    if array.ndim != 1:
        raise ShapeError(f"{where}: ids have shape {array.shape}, expected (M,)")
    if array.dtype.kind not in "iu":
        raise DTypeError(f"{where}: ids have dtype {array.dtype}, expected integers")
    return array


def checked_size(value: Any, name: str) -> int:
    """Return a positive integer.

    Raises
    ------
    DataError
    """
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
        raise DataError(f"{name} is {value!r}, expected a positive integer")
    return int(value)


def check_enough(count: int, needed: int, batch_size: int, bptt: int) -> None:
    """Raise `DataError` if there are fewer tokens than one batch needs."""
    if count < needed:
        raise DataError(
            f"the text has {count} tokens, but one batch of N = {batch_size} streams of "
            f"T = {bptt} tokens needs {needed}; use a smaller batch (--batch) or shorter "
            "streams (--bptt), or give a longer text"
        )
