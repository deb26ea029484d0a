"""`ResidualWrapper`, and what the wrappers share."""

from typing import Any

from rnn_xp._typing import Array, State
from rnn_xp.backend import Backend
from rnn_xp.compat.tf1.base import RNNCell
from rnn_xp.compat.tf1.bound import BoundCell
from rnn_xp.compat.tf1.leaf import LeafCell
from rnn_xp.errors import ShapeError
from rnn_xp.namespace import namespace_of
from rnn_xp.rng import Generator


class CellWrapper(RNNCell):
    """A cell around another one, with its variables, their names, and its state."""

    def __init__(self, cell: RNNCell):
        if not isinstance(cell, RNNCell):
            raise TypeError(
                f"{type(self).__name__}: cell is a {type(cell).__name__}, expected an RNNCell"
            )
        self.cell = cell

    @property
    def wrapped_cell(self) -> RNNCell:
        """The cell inside."""
        return self.cell

    @property
    def state_size(self) -> Any:
        """As the wrapped cell's."""
        return self.cell.state_size

    @property
    def output_size(self) -> int:
        """As the wrapped cell's."""
        return self.cell.output_size

    @property
    def leaves(self) -> list[LeafCell]:
        """Those of the wrapped cell."""
        return self.cell.leaves

    def _build(
        self, input_depth: int, backend: Backend, dtype: str, rng: Generator, scope: str
    ) -> None:
        self.cell._build(input_depth, backend, dtype, rng, scope)

    def draw_masks(self) -> None:
        """Draw the dropout masks that steps share."""
        self.cell.draw_masks()


class ResidualWrapper(CellWrapper):
    """Adds a cell's input to its output; the state is the cell's own.

    Parameters
    ----------
    cell : RNNCell
        With inputs as wide as its outputs.
    residual_fn : callable ``(inputs, outputs) -> outputs``, optional
        What to do instead of adding, for one step: arrays (N, D) and (N, output_size). For a
        backward pass it must be an object that also has a method ``backward(dresult, inputs,
        outputs) -> (dinputs, doutputs)``. With it `dynamic_rnn` runs step by step, without
        fast kernels.
    """

    def __init__(self, cell: RNNCell, residual_fn: Any = None):
        super().__init__(cell)
        if residual_fn is not None and not callable(residual_fn):
            raise TypeError(
                f"ResidualWrapper: residual_fn is a {type(residual_fn).__name__}, expected a "
                "callable (inputs, outputs) -> outputs"
            )
        self.residual_fn = residual_fn

    def bind(self) -> BoundCell:
        """Return the cell made ready for one call."""
        return _BoundResidual(self)


class _BoundResidual(BoundCell):
    def __init__(self, cell: ResidualWrapper):
        super().__init__(cell)
        self.inner = cell.cell.bind()
        self.residual_fn = cell.residual_fn

    def forward(self, x: Array, state: State) -> tuple[Array, State, Any]:
        """One step."""
        output, new_state, cache = self.inner.forward(x, state)
        if self.residual_fn is not None:
            return self.residual_fn(x, output), new_state, (cache, x, output)
        self._check(x)
        return x + output, new_state, (cache, None, None)

    def backward(self, doutput: Array, dstate: State | None, cache: Any) -> tuple[Array, State]:
        """Gradient of one step."""
        kept, x, output = cache
        if self.residual_fn is None:
            dx, before = self.inner.backward(doutput, dstate, kept)
            return dx + doutput, before
        if not hasattr(self.residual_fn, "backward"):
            raise TypeError(
                "ResidualWrapper: residual_fn has no method backward(dresult, inputs, outputs) "
                "-> (dinputs, doutputs), so it only works forward"
            )
        dinputs, doutput = self.residual_fn.backward(doutput, x, output)
        dx, before = self.inner.backward(doutput, dstate, kept)
        return dx + dinputs, before

    def run(
        self, x: Array, state: State, mask: Array | None, keep: bool
    ) -> tuple[Array, State, Any]:
        """All steps."""
        if self.residual_fn is not None:
            return super().run(x, state, mask, keep)
        self._check(x)
        outputs, final, cache = self.inner.run(x, state, mask, keep)
        return outputs + _zero_outside(x, mask), final, (cache, mask)

    def run_backward(
        self, doutputs: Array | None, dstate: State | None, cache: Any
    ) -> tuple[Array, State]:
        """Gradient of `run`."""
        if self.residual_fn is not None:
            return super().run_backward(doutputs, dstate, cache)
        kept, mask = cache
        dx, before = self.inner.run_backward(doutputs, dstate, kept)
        return dx if doutputs is None else dx + _zero_outside(doutputs, mask), before

    def finish(self) -> None:
        """Finish the cell inside."""
        self.inner.finish()

    def _check(self, x: Array) -> None:
        if x.shape[-1] != self.output_size:
            raise ShapeError(
                f"ResidualWrapper: inputs have depth {x.shape[-1]}, but the cell's outputs "
                f"{self.output_size}; the two are added, so they must be equal"
            )


def _zero_outside(a: Array, mask: Array | None) -> Array:
    """`a` (T, N, D) with zeros where `mask` (T, N) is False."""
    if mask is None:
        return a
    xp = namespace_of(a)
    return xp.where(mask[:, :, None], a, xp.zeros_like(a))
