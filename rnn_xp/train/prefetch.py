"""The batch of the next step, checked, sorted and copied while the device does this one."""

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

from rnn_xp.host import upload_batch
from rnn_xp.models import Rnnlm

# The targets of a batch on the host, and what `Rnnlm.forward` takes for each part of the rows.
Ready: TypeAlias = tuple[Any, list[tuple[Any, Any]]]


class Prefetch:
    """Gives batches to a model by their number; on CuPy and its like copied ahead.

    On NumPy, where there is nothing to copy, none is made before it is taken.

    Parameters
    ----------
    model : Rnnlm
    batch : callable
        Returns ``(x, t)`` of a batch, which depends on nothing but its number.
    parts : int
        In how many parts the rows go through the model.
    """

    def __init__(self, model: Rnnlm, batch: Callable[[int], tuple[Any, Any]], parts: int):
        self._model, self._batch, self._parts = model, batch, parts
        self._on_host = isinstance(model.flat_params, np.ndarray)
        self._ahead: tuple[int, Ready] | None = None

    def prepare(self, number: int) -> None:
        """Make a batch ahead; nothing waits for the device."""
        if not self._on_host:
            self._ahead = number, self._make(number)

    def take(self, number: int) -> Ready:
        """Return a batch: the one made ahead, if it is that."""
        ahead, self._ahead = self._ahead, None
        if ahead is not None and ahead[0] == number:
            return ahead[1]
        return self._make(number)

    def _make(self, number: int) -> Ready:
        xs, ts = self._batch(number)
        rows = len(xs) // self._parts
        blocks = [slice(part * rows, (part + 1) * rows) for part in range(self._parts)]
        parts = [(xs[block], ts[block]) for block in blocks]
        if not self._on_host:
            parts = [self._uploaded(x, t) for x, t in parts]
        return ts, parts

    def _uploaded(self, x: Any, t: Any) -> tuple[Any, Any]:
        model = self._model
        embedding, output = model.layers[0], model.layers[-1]
        V, host = model.config.vocab_size, np.zeros(0)
        ids, targets = embedding.checked(x, host), output.checked(t, V, host)
        trained = "embedding.W" not in model.frozen
        return upload_batch(ids, targets, model.flat_params, with_runs=trained)
