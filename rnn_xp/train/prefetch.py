"""The batch of the next step, checked, sorted and copied while the device does this one."""

from typing import Any

import numpy as np

from rnn_xp.data.batches import TokenBatches
from rnn_xp.host import upload_batch
from rnn_xp.models import Rnnlm

# What `Rnnlm.forward` takes, once for each part of the rows.
Parts = list[tuple[Any, Any]]
# The number of a batch, its targets on the host, and its parts.
Ready = tuple[int, Any, Parts]


class Prefetch:
    """Gives the batches to a model, on CuPy and its like copied ahead.

    A batch depends on its number alone, so one can be made before its time; the position of
    the batches moves only when one is taken. On NumPy, where there is nothing to copy, none is.

    Parameters
    ----------
    model : Rnnlm
    batches : TokenBatches
    parts : int
        In how many parts the rows go through the model.
    """

    def __init__(self, model: Rnnlm, batches: TokenBatches, parts: int):
        self._model, self._batches, self._parts = model, batches, parts
        self._on_host = isinstance(model.flat_params, np.ndarray)
        self._ahead: Ready | None = None

    def take(self) -> Ready:
        """Return the next batch, and move the position of the batches."""
        number = self._batches.position
        ready, self._ahead = self._ahead, None
        if ready is None or ready[0] != number:  # the run may have gone back
            ready = self._make(number)
        self._batches.position = number + 1
        return ready

    def prepare(self) -> None:
        """Make the next batch now; nothing waits for the device."""
        if not self._on_host:
            self._ahead = self._make(self._batches.position)

    def _make(self, number: int) -> Ready:
        xs, ts = self._batches.batch(number)
        rows = len(xs) // self._parts
        blocks = [slice(part * rows, (part + 1) * rows) for part in range(self._parts)]
        parts = [(xs[block], ts[block]) for block in blocks]
        if not self._on_host:
            parts = [self._uploaded(x, t) for x, t in parts]
        return number, ts, parts

    def _uploaded(self, x: Any, t: Any) -> tuple[Any, Any]:
        model = self._model
        embedding, output = model.layers[0], model.layers[-1]
        V, host = model.config.vocab_size, np.zeros(0)
        ids, targets = embedding.checked(x, host), output.checked(t, V, host)
        trained = "embedding.W" not in model.frozen
        return upload_batch(ids, targets, model.flat_params, with_runs=trained)
