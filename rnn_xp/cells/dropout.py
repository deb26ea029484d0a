"""`DropoutCell`: dropout of what goes into a cell, of the state it sees, of what comes out."""

from typing import Any, Self

from rnn_xp._typing import Array, State
from rnn_xp.cells.masks import CallMasks, check_ratio, check_stream
from rnn_xp.cells.nested import leaves, rebuild
from rnn_xp.cells.stacked import StackedCell
from rnn_xp.cells.wrapper import WrapperCell
from rnn_xp.rng import DropoutKey

INPUT, STATE, OUTPUT = range(3)


class DropoutCell(WrapperCell):
    """While training, set elements to zero at random, and scale the others.

    Runs in `TimeCell`; there is no fast kernel. Where only input or output is dropped,
    `TimeDropout` before or after a layer does the same and keeps the layer's fast kernels.

    Parameters
    ----------
    cell : Cell
    input : float
        Probability of a zero in the cell's input, 0 <= ratio < 1 (quantised to 1/65536); the
        others are multiplied by ``1 / (1 - ratio)``. Likewise:
    state : float
        In the previous state as the cell *sees* it, the state itself stays as it is: Keras'
        ``recurrent_dropout``. See the notes.
    output : float
        In the cell's output; the state is not touched.
    variational : bool
        Whether all steps of a row share their masks, instead of each step having its own. Each
        row has its own in either case.
    seed, stream : int
        Masks are a function of (seed, stream, number of the training call): the same on
        every backend, and after a resume. Give the random cells of a model different streams.

    Attributes
    ----------
    counter : int
        Number of training calls so far; part of what a resume restores.

    Notes
    -----
    With a mask of its own for each of the three, whose elements are 0 with probability
    `ratio`, and ``1 / (1 - ratio)`` otherwise::

        y, (h', c') = cell(m_input * x, (m_state * h, c))
        output = m_output * y

    The mask of the state multiplies its first part, h, and never c. In `RNNCell`, `LSTMCell`,
    `LSTMPCell` and their layer-norm versions h only enters a product. A GRU also carries h on
    past its gates, ``z * h``: there the mask acts in the product alone, because `GRUCell` and
    `LayerNormGRUCell` take it as an argument (``takes_recurrent_mask``). A cell of your own
    without that argument gets the first part of its state masked altogether.

    Training is a call of `TimeCell` with ``train=True``; a single step outside of it
    evaluates, and drops nothing. All gates share one mask ("tied" in the paper; Keras draws
    one for each gate).

    References
    ----------
    Gal & Ghahramani, "A theoretically grounded application of dropout in recurrent neural
    networks", arXiv:1512.05287 (variational); Semeniuta et al., arXiv:1603.05118, discuss
    masks that differ from step to step.
    """

    def __init__(
        self,
        cell: Any,
        input: float = 0.0,
        state: float = 0.0,
        output: float = 0.0,
        variational: bool = False,
        *,
        seed: int = 0,
        stream: int = 0,
    ):
        super().__init__(cell)
        check_stream(seed, stream, "DropoutCell")
        names = ("input", "state", "output")
        self.ratios = tuple(
            check_ratio(ratio, "DropoutCell", name)
            for ratio, name in zip((input, state, output), names, strict=True)
        )
        if state > 0.0 and isinstance(cell, WrapperCell | StackedCell):
            raise ValueError(
                f"DropoutCell: state dropout acts on a cell with weights, not on a "
                f"{type(cell).__name__}; put the DropoutCell inside it"
            )
        self.variational = variational
        self.seed = seed
        self.stream = stream
        self.counter = 0
        self._masks: CallMasks | None = None

    def for_call(self, N: int, T: int, train: bool) -> Self:
        """The cell for one call; a training call counts."""
        call = super().for_call(N, T, train)
        if train:
            key = DropoutKey(self.seed, self.stream, self.counter)
            call._masks = CallMasks(key, len(self.ratios), T, self.variational)
            self.counter += 1
        return call

    def forward(self, x: Array, state: State) -> tuple[Array, State, Any]:
        """One step: ``(output, new_state, cache)``."""
        if self._masks is not None:
            self._masks.next_step("DropoutCell")
        x, on_input = self._drop(INPUT, x)
        parts = leaves(state)
        on_state = self._mask(STATE, parts[0])
        if on_state is None:
            output, new, cache = self.cell.forward(x, state)
        elif self._cell_takes_mask:
            output, new, cache = self._masked_step(x, state, on_state)
        else:
            seen = rebuild(state, [parts[0] * on_state, *parts[1:]])
            output, new, cache = self.cell.forward(x, seen)
        output, on_output = self._drop(OUTPUT, output)
        return output, new, (cache, on_input, on_state, on_output)

    def backward(self, doutput: Array, dstate: State | None, cache: Any) -> tuple[Array, State]:
        """Gradient of one step: ``(dx, dstate_before)``; adds into `grads`."""
        inner, on_input, on_state, on_output = cache
        if on_output is not None:
            doutput = doutput * on_output
        dx, before = self.cell.backward(doutput, dstate, inner)
        if on_state is not None and not self._cell_takes_mask:
            parts = leaves(before)
            before = rebuild(before, [parts[0] * on_state, *parts[1:]])
        return dx if on_input is None else dx * on_input, before

    @property
    def _cell_takes_mask(self) -> bool:
        return bool(getattr(self.cell, "takes_recurrent_mask", False))

    def _masked_step(self, x: Array, state: State, mask: Array) -> tuple[Array, State, Any]:
        cell: Any = self.cell  # the protocol's optional third argument
        step: tuple[Array, State, Any] = cell.forward(x, state, mask)
        return step

    def _mask(self, k: int, like: Array) -> Array | None:
        if self._masks is None or self.ratios[k] == 0.0:
            return None
        return self._masks.mask(k, self.ratios[k], like)

    def _drop(self, k: int, a: Array) -> tuple[Array, Array | None]:
        mask = self._mask(k, a)
        return (a, None) if mask is None else (a * mask, mask)
