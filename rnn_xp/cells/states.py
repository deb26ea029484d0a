"""`StatesAsOutputCell`: every part of the state of every step, with gradients."""

from typing import Any

from rnn_xp._typing import Array, State
from rnn_xp.cells.nested import leaves, leaves_or_zeros, rebuild
from rnn_xp.cells.wrapper import WrapperCell
from rnn_xp.namespace import namespace_of


class StatesAsOutputCell(WrapperCell):
    """A cell that gives out all parts of its new state, side by side.

    With an LSTM, `TimeCell` then returns ``h`` and ``c`` of every step, (N, T, 2H): all hidden
    *and* cell states, each with a gradient. No fast kernel.

    Parameters
    ----------
    cell : Cell
        Its own output is not given out, unless it is part of its state, as h is. Other
        wrappers that change the state belong inside.

    Notes
    -----
    ``_, s' = cell(x, s)``, and the output, of shape (N, sum of the widths), is the parts of s'
    side by side. It and the state that is carried on both have a gradient, which add up.

    Examples
    --------
    >>> import numpy as np
    >>> from rnn_xp.cells import LSTMCell
    >>> from rnn_xp.layers import TimeCell
    >>> cell = LSTMCell(np.ones((2, 12)), np.ones((3, 12)), np.zeros(12))
    >>> states = TimeCell(StatesAsOutputCell(cell)).forward(np.ones((1, 5, 2)))
    >>> hs, cs = states[:, :, :3], states[:, :, 3:]
    >>> hs.shape, cs.shape
    ((1, 5, 3), (1, 5, 3))
    """

    @property
    def output_size(self) -> int:
        """Sum of the widths of the state's parts."""
        return sum(int(part.shape[1]) for part in leaves(self.cell.zero_state(1)))

    def forward(self, x: Array, state: State) -> tuple[Array, State, Any]:
        """One step: ``(parts of new_state side by side, new_state, cache)``."""
        own, new, cache = self.cell.forward(x, state)
        output = namespace_of(x).concat(leaves(new), axis=1)
        return output, new, (cache, own, new)

    def backward(self, doutput: Array, dstate: State | None, cache: Any) -> tuple[Array, State]:
        """Gradient of one step: ``(dx, dstate_before)``; adds into `grads`."""
        inner, own, new = cache
        parts, start = [], 0
        for d in leaves_or_zeros(dstate, new):
            width = d.shape[1]
            parts.append(d + doutput[:, start : start + width])
            start += width
        nothing = namespace_of(doutput).zeros_like(own)
        return self.cell.backward(nothing, rebuild(new, parts), inner)
