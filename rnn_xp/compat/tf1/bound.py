"""A TensorFlow 1 cell made ready for one call.

A cell's variables have TensorFlow's layout, the core's cells and kernels have theirs. So
that the conversion is done once a call and not once a step, a call runs on a `BoundCell`:
core weights (and, with dropout, masks) of this call. It follows the protocol of
`rnn_xp.cells.base.Cell` with states as TensorFlow nests them.
"""

from typing import Any

from rnn_xp._typing import Array, State
from rnn_xp.backend import backend_of
from rnn_xp.kernels.generic.sequence import sequence_backward, sequence_forward
from rnn_xp.namespace import float_dtype_name, namespace_of


class BoundCell:
    """What all bound cells share.

    Parameters
    ----------
    cell : rnn_xp.compat.tf1.RNNCell
        The cell that this belongs to.
    """

    def __init__(self, cell: Any):
        self.cell = cell
        self.params: list[Array] = cell.variables
        self.grads: list[Array] = cell.grads

    @property
    def state_size(self) -> Any:
        """As the cell's."""
        return self.cell.state_size

    @property
    def output_size(self) -> int:
        """As the cell's."""
        return int(self.cell.output_size)

    def zero_state(self, N: int) -> State:
        """Zeros for a batch of `N`."""
        return self.cell.zero_state(N, self.params[0].dtype)

    def forward(self, x: Array, state: State) -> tuple[Array, State, Any]:
        """One step, ``(output, new_state, cache)``."""
        raise NotImplementedError

    def backward(self, doutput: Array, dstate: State | None, cache: Any) -> tuple[Array, State]:
        """Gradient of one step; what it adds reaches the cell's `grads` at `finish`."""
        raise NotImplementedError

    def run(
        self, x: Array, state: State, mask: Array | None, keep: bool
    ) -> tuple[Array, State, Any]:
        """All steps; as `rnn_xp.kernels.generic.sequence.sequence_forward`."""
        return sequence_forward(self, x, state, mask, keep=keep)

    def run_backward(
        self, doutputs: Array | None, dstate: State | None, cache: Any
    ) -> tuple[Array, State]:
        """Gradient of `run`."""
        return sequence_backward(doutputs, dstate, cache)

    def finish(self) -> None:
        """Add this call's gradients into the cell's `grads`, in the layout of its variables."""
        raise NotImplementedError


class BoundLeaf(BoundCell):
    """A cell with variables of its own: a core cell, and a fast kernel where there is one.

    Parameters
    ----------
    cell : rnn_xp.compat.tf1.leaf.LeafCell
    core : rnn_xp.cells.base.Cell
        With this call's weights.
    kernel : str or None
        "rnn", "lstm" or "gru", if that kernel computes just what `core` does.
    """

    def __init__(self, cell: Any, core: Any, kernel: str | None):
        super().__init__(cell)
        self.core = core
        self.kernel = kernel

    def forward(self, x: Array, state: State) -> tuple[Array, State, Any]:
        """One step of the core cell."""
        output, new_state, cache = self.core.forward(x, self.cell.to_core(state))
        return output, self.cell.from_core(new_state), cache

    def backward(self, doutput: Array, dstate: State | None, cache: Any) -> tuple[Array, State]:
        """Gradient of one step of the core cell."""
        core_dstate = None if dstate is None else self.cell.to_core(dstate)
        dx, before = self.core.backward(doutput, core_dstate, cache)
        return dx, self.cell.from_core(before)

    def run(
        self, x: Array, state: State, mask: Array | None, keep: bool
    ) -> tuple[Array, State, Any]:
        """All steps, by the kernel if there is one."""
        if self.kernel is None:
            return super().run(x, state, mask, keep)
        parts = self.cell.to_core(state)
        outputs, *final, cache = self._function("forward")(
            x,
            *self.core.params,
            *(parts if isinstance(parts, tuple) else (parts,)),
            mask,
            keep=keep,
        )
        return outputs, self.cell.from_core(tuple(final) if len(final) > 1 else final[0]), cache

    def run_backward(
        self, doutputs: Array | None, dstate: State | None, cache: Any
    ) -> tuple[Array, State]:
        """Gradient of `run`."""
        if self.kernel is None:
            return super().run_backward(doutputs, dstate, cache)
        count = 2 if self.kernel == "lstm" else 1
        parts: Any = (None,) * count
        if dstate is not None:
            parts = self.cell.to_core(dstate)
            parts = parts if isinstance(parts, tuple) else (parts,)
        dx, *before = self._function("backward")(doutputs, *parts, cache, self.core.grads)
        return dx, self.cell.from_core(tuple(before) if count > 1 else before[0])

    def finish(self) -> None:
        """Convert the core cell's gradients and add them."""
        terms = self.cell.from_core_gradients(self.core.grads)
        for grad, term in zip(self.cell.grads, terms, strict=True):
            grad[...] = grad + term

    def _function(self, direction: str) -> Any:
        W = self.core.params[0]
        dtype = float_dtype_name(W.dtype, namespace_of(W), type(self.cell).__name__, "kernel")
        return getattr(backend_of(W).kernels(dtype), f"{self.kernel}_{direction}")
