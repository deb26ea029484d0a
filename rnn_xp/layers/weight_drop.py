"""`WeightDrop`: dropout on the recurrent weights."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rnn_xp._typing import Array
from rnn_xp.cells.stacked import StackedCell
from rnn_xp.cells.wrapper import WrapperCell
from rnn_xp.layers.composite import Wrapper
from rnn_xp.layers.dropout import check_dropout
from rnn_xp.rng import DropoutKey


class WeightDrop(Wrapper):
    """A recurrent layer some of whose recurrent weights are zero in each training call.

    One Bernoulli mask is drawn per training call and holds for all rows and steps of it;
    the weights that stay are multiplied by ``1 / (1 - ratio)``. (DropConnect as in the
    AWD-LSTM: Merity, Keskar & Socher, arXiv:1708.02182, section 2.) The layer sees the
    masked matrix in place of its own, so it keeps its fast kernels. Without ``train``
    nothing is dropped.

    Parameters
    ----------
    layer : layer
        `TimeRNN`, `TimeLSTM`, `TimeGRU` or `TimeCell`, also inside `Residual`, `Reversed` or
        `TimeReset`. The layers of a net are wrapped one by one; so instead of a `TimeCell` of
        a `StackedCell` take a `Stack` of layers, which gives the same numbers.
    ratio : float
        Probability of a zero, 0 <= ratio < 1 (quantised to 1/65536).
    seed : int
        Masks are a function of (seed, stream, number of the training call): the same on
        every backend, and after a resume.
    stream : int
        Tells the dropout layers of a model apart.
    parameter : int
        Which of the layer's `params` is dropped: 1 is ``Wh``. It must be a matrix.

    Attributes
    ----------
    counter : int
        Number of training calls so far; part of what a resume restores.

    Raises
    ------
    TypeError
        If the layer is made of several layers or cells, or has no such matrix.
    """

    def __init__(
        self,
        layer: Any,
        ratio: float = 0.5,
        *,
        seed: int = 0,
        stream: int = 0,
        parameter: int = 1,
    ):
        super().__init__(layer)
        check_dropout(self.name, "ratio", ratio, seed, stream)
        _check_parameter(self.name, layer, parameter)
        self.ratio = ratio
        self.seed = seed
        self.stream = stream
        self.parameter = parameter
        self.counter = 0

    def forward(
        self, xs: Array, lengths: Any = None, mask: Any = None, train: bool = True, **options: Any
    ) -> Any:
        """Run the layer; arguments and result as in its own ``forward``."""
        drop = masked = None
        if train and self.ratio > 0.0:
            W = self.layer.params[self.parameter]
            key = DropoutKey(self.seed, self.stream, self.counter)
            drop = self.kernels.dropout_mask(tuple(W.shape), self.ratio, key, W)
            masked = W * drop
        with self._weights(masked):
            hs = self.layer.forward(xs, lengths=lengths, mask=mask, train=train, **options)
        self.counter += drop is not None
        self._cache = (drop, masked) if train else None
        return hs

    def backward(self, dhs: Any, dstate: Any = None) -> Array:
        """Gradient of the last `forward`; arguments as in the layer's own ``backward``.

        The gradient of a weight that was dropped is zero.
        """
        drop, masked = self._held_cache()
        with self._weights(masked):
            dxs = self.layer.backward(dhs, dstate=dstate)
        self._cache = None
        if drop is not None:
            grad = self.layer.grads[self.parameter]
            grad[...] = grad * drop
        return dxs

    def _check_upstream(self, dout: Any, dstate: Any = None) -> None:
        self._held_cache()
        super()._check_upstream(dout, dstate)

    @contextmanager
    def _weights(self, masked: Array | None) -> Iterator[None]:
        """The layer holds `masked` in place of its own matrix while the block runs."""
        if masked is None:
            yield
            return
        params = self.layer.params
        own = params[self.parameter]
        params[self.parameter] = masked
        try:
            yield
        finally:
            params[self.parameter] = own


def _check_parameter(where: str, layer: Any, index: int) -> None:
    """Raise `TypeError` unless the layer computes with the matrix that its `params` holds."""
    inner = layer
    while isinstance(inner, Wrapper) and inner.params is inner.layer.params:
        inner = inner.layer
    cell = getattr(inner, "cell", inner)
    if inner.params is not inner.params or cell.params is not inner.params:
        raise TypeError(
            f"{where}: {inner.name} has the parameters of several parts; wrap each of them"
        )
    while isinstance(cell, WrapperCell):
        cell = cell.cell
    if isinstance(cell, StackedCell):
        # `index` would be a matrix of one of its cells, and the others would drop nothing.
        raise TypeError(
            f"{where}: {inner.name} runs a StackedCell; take a Stack of layers, which gives the "
            "same numbers, and wrap each of them"
        )
    if not 0 <= index < len(inner.params) or len(inner.params[index].shape) != 2:
        raise TypeError(
            f"{where}: parameter {index} of {inner.name} is not a matrix, expected the index "
            "of its recurrent weights"
        )
