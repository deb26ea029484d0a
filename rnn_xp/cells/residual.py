"""`ResidualCell`: a cell whose input is added to its output."""

from typing import Any

from rnn_xp._typing import Array, State
from rnn_xp.cells.wrapper import WrapperCell
from rnn_xp.errors import ShapeError


class ResidualCell(WrapperCell):
    """A cell with a residual connection: its output plus its input; the state is its own.

    Runs in `TimeCell`. Around a whole layer a residual connection keeps the fast kernels.

    Parameters
    ----------
    cell : Cell
        Its output must be as wide as its input.

    Notes
    -----
    ::

        y, s' = cell(x, s)
        output = y + x        all of shape (N, D)

    References
    ----------
    He et al., "Deep residual learning for image recognition", arXiv:1512.03385;
    ``tf.compat.v1.nn.rnn_cell.ResidualWrapper``.
    """

    def __init__(self, cell: Any):
        super().__init__(cell)
        D = self.input_size
        if D is not None:
            self._check_width(D)

    def _check_width(self, D: int) -> None:
        if self.cell.output_size != D:
            raise ShapeError(
                f"ResidualCell: the input is {D} wide and the output {self.cell.output_size}, "
                "expected the same width"
            )

    def forward(self, x: Array, state: State) -> tuple[Array, State, Any]:
        """One step: ``(output + x, new_state, cache)``."""
        self._check_width(x.shape[1])
        output, new, cache = self.cell.forward(x, state)
        return output + x, new, cache

    def backward(self, doutput: Array, dstate: State | None, cache: Any) -> tuple[Array, State]:
        """Gradient of one step: ``(dx, dstate_before)``; adds into `grads`."""
        dx, before = self.cell.backward(doutput, dstate, cache)
        return dx + doutput, before
