"""Gradient accumulation: one step from several micro-batches."""

from typing import Any

from rnn_xp._typing import Array
from rnn_xp.errors import ShapeError
from rnn_xp.namespace import namespace_of


class GradientAccumulator:
    """Mean gradient over the tokens of several micro-batches.

    Each micro-batch's gradient, itself a mean over its tokens, is weighted by how many
    tokens it counted::

        mean = sum_k(count_k * grad_k) / sum_k(count_k)

    That is the gradient of the loss over one big batch of all the rows, up to rounding, if
    the rows do not influence each other: split the batch along N, not along T, and with
    dropout draw each row's own mask.

    The sum has its own buffers, as large as the gradients, made at the first `add`: the next
    ``backward`` overwrites the layers' own.

    Parameters
    ----------
    grads : list of array
        The model's gradients, or one flat buffer of them in a list. `add` reads them.

    Examples
    --------
    ::

        for part, (xs, ts) in enumerate(micro_batches):
            model.state = states[part]  # each part of the rows goes on from its own state
            model.forward(xs, ts)
            model.backward()
            states[part] = model.state
            accumulator.add(count=model.counted)
        optimizer.update(params, accumulator.mean())
    """

    def __init__(self, grads: list[Array]):
        if not grads:
            raise ShapeError("GradientAccumulator: got no gradients, expected at least one array")
        self._grads = grads
        self._sums: list[Array] = []
        self._count: Any = None

    def add(self, count: Any) -> None:
        """Add the present content of the gradients.

        Parameters
        ----------
        count : int or 0-d array
            Tokens that the micro-batch's loss is the mean of; 0 if all were ignored.
        """
        first = self._grads[0]
        weight: Any = count
        if not isinstance(count, int):
            xp = namespace_of(first)
            weight = xp.asarray(count, dtype=first.dtype, device=first.device)
        elif count < 0:
            raise ValueError(f"GradientAccumulator.add: count is {count}, expected at least 0")
        if not self._sums:
            self._sums = [namespace_of(g).empty_like(g) for g in self._grads]
        for total, grad in zip(self._sums, self._grads, strict=True):
            total[...] = grad * weight if self._count is None else total + grad * weight
        self._count = weight if self._count is None else self._count + weight

    def mean(self) -> list[Array]:
        """Return the mean gradients and start anew.

        Returns
        -------
        list of array
            Of the shapes of the gradients; zeros if no token counted. Valid until the next
            `add`.

        Raises
        ------
        ValueError
            If nothing was added.
        """
        if self._count is None:
            raise ValueError("GradientAccumulator.mean: call add at least once before it")
        total, self._count = self._count, None
        for array in self._sums:
            array[...] = array / _at_least_one(total)
        return self._sums


def _at_least_one(count: Any) -> Any:
    if isinstance(count, int):
        return max(count, 1)
    xp = namespace_of(count)
    return xp.where(count < 1.0, xp.ones_like(count), count)
