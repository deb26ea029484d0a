"""`DropoutWrapper`: dropout on a cell's inputs, new states and outputs."""

from typing import Any

from rnn_xp._typing import Array, State
from rnn_xp.backend import backend_of
from rnn_xp.compat.tf1.base import RNNCell
from rnn_xp.compat.tf1.bound import BoundCell
from rnn_xp.compat.tf1.checks import whole_number
from rnn_xp.compat.tf1.initial import default_generator
from rnn_xp.compat.tf1.structure import LSTMStateTuple, dtype_name, nest_as
from rnn_xp.compat.tf1.wrapper import CellWrapper
from rnn_xp.errors import DTypeError, ShapeError
from rnn_xp.namespace import float_dtype_name, namespace_of
from rnn_xp.rng import DropoutKey, dropout_threshold

_PROBABILITIES = ("input_keep_prob", "output_keep_prob", "state_keep_prob")


class DropoutWrapper(CellWrapper):
    """Dropout on the inputs of a cell, on its new state and on its outputs, in that order.

    Parameters
    ----------
    cell : RNNCell
    input_keep_prob, output_keep_prob, state_keep_prob : float
        Probability that an element is *kept*, 0 to 1; kept elements are divided by it. 1 drops
        nothing. The attributes of these names may be set at any time: dropout happens whether
        or not a tape records, so set them to 1 for evaluation, as with TensorFlow's placeholders.
    variational_recurrent : bool
        Whether all steps of a call of `dynamic_rnn` and its kin, and all rows of the batch,
        share one mask of shape (1, width), instead of each step and row having its own. Steps
        called by hand share a mask until `draw_masks` is called.
    input_size, dtype : optional
        TensorFlow needs these for `variational_recurrent`; here they are only checked against
        the inputs.
    seed : int, optional
        Masks are a function of it and of `counter`: the same on every backend. Default: drawn
        from the generator that `set_random_seed` seeds.
    dropout_state_filter_visitor : callable, optional
        Takes a level of the state and returns whether to drop in it: a bool, or a tuple of
        bools for its parts. Default: everything but the ``c`` of an `LSTMStateTuple`.

    Attributes
    ----------
    counter : int
        Number of draws so far; part of what a resume restores.

    Notes
    -----
    State dropout acts on the state that goes out, so the final state shows it; the output does
    not. With ``state_keep_prob < 1`` `dynamic_rnn` runs step by step; dropout of inputs and
    outputs alone leaves the wrapped cell its fast kernels.

    References
    ----------
    Gal & Ghahramani, arXiv:1512.05287, for the variational form, whose mask there is shared
    over time but not, as in TensorFlow, over the rows of the batch.
    """

    def __init__(
        self,
        cell: RNNCell,
        input_keep_prob: float = 1.0,
        output_keep_prob: float = 1.0,
        state_keep_prob: float = 1.0,
        variational_recurrent: bool = False,
        input_size: Any = None,
        dtype: Any = None,
        seed: int | None = None,
        dropout_state_filter_visitor: Any = None,
    ):
        super().__init__(cell)
        self.input_keep_prob = input_keep_prob
        self.output_keep_prob = output_keep_prob
        self.state_keep_prob = state_keep_prob
        self.variational_recurrent = variational_recurrent
        self.input_size = input_size
        self._dtype = None if dtype is None else dtype_name(dtype, "DropoutWrapper")
        drawn = int(default_generator().integers(2**63)) if seed is None else seed
        self.seed = whole_number(drawn, "DropoutWrapper: seed", least=0)
        if self.seed >= 2**64:
            raise ValueError(f"DropoutWrapper: seed is {seed}, expected less than 2**64")
        visitor = dropout_state_filter_visitor
        if visitor is not None and not callable(visitor):
            raise TypeError(
                f"DropoutWrapper: dropout_state_filter_visitor is a {type(visitor).__name__}, "
                "expected a callable"
            )
        self.visitor = visitor or drop_all_but_c
        self.counter = 0
        self._shared: dict[int, Array] = {}  # variational masks by stream

    def __setattr__(self, name: str, value: Any) -> None:
        """Check the keep probabilities whenever they are set."""
        if name in _PROBABILITIES:
            try:
                value = float(value)
            except (TypeError, ValueError):
                raise TypeError(
                    f"DropoutWrapper: {name} is {value!r}, expected a number, 0 to 1"
                ) from None
            if not 0.0 <= value <= 1.0:
                raise ValueError(f"DropoutWrapper: {name} is {value}, expected 0 to 1")
        super().__setattr__(name, value)

    def draw_masks(self) -> None:
        """Draw new variational masks; without `variational_recurrent` every step does."""
        self._shared = {}
        self.counter += 1
        super().draw_masks()

    def mask(self, like: Array, keep_prob: float, stream: int) -> Array:
        """A mask to multiply `like` (..., width) with: 0, or ``1 / keep_prob``."""
        if not self.variational_recurrent:
            return self._draw(tuple(like.shape), like, keep_prob, stream)
        if stream not in self._shared:
            shape = (1, int(like.shape[-1]))
            self._shared[stream] = self._draw(shape, like, keep_prob, stream)
        return self._shared[stream]

    def _draw(self, shape: tuple[int, ...], like: Array, keep_prob: float, stream: int) -> Array:
        """A new mask; the kernel takes no ratio of 1, so that one is zeros here."""
        xp = namespace_of(like)
        if dropout_threshold(1.0 - keep_prob) >= 65536:
            return xp.zeros(shape, dtype=like.dtype, device=like.device)
        dtype = float_dtype_name(like.dtype, xp, "DropoutWrapper", "inputs")
        key = DropoutKey(self.seed, stream, self.counter)
        return backend_of(like).kernels(dtype).dropout_mask(shape, 1.0 - keep_prob, key, like)

    def bind(self) -> BoundCell:
        """Return the cell made ready for one call."""
        return _BoundDropout(self)


def drop_all_but_c(state: State) -> Any:
    """The default filter: True, but ``LSTMStateTuple(c=False, h=True)`` for an LSTM's state."""
    return LSTMStateTuple(c=False, h=True) if isinstance(state, LSTMStateTuple) else True


class _BoundDropout(BoundCell):
    def __init__(self, cell: DropoutWrapper):
        super().__init__(cell)
        self.inner = cell.cell.bind()
        self.keep = tuple(getattr(cell, name) for name in _PROBABILITIES)

    def forward(self, x: Array, state: State) -> tuple[Array, State, Any]:
        """One step, with masks of its own unless they are shared."""
        if not self.cell.variational_recurrent:
            self.cell.counter += 1
        keep_input, keep_output, keep_state = self.keep
        x, input_mask = self._drop(x, keep_input, 0)
        output, new_state, cache = self.inner.forward(x, state)
        masks = None
        if keep_state < 1.0:
            masks = self._state_masks(new_state, keep_state, [2])
            new_state = nest_as(self.state_size, _times(new_state, masks))
        output, output_mask = self._drop(output, keep_output, 1)
        return output, new_state, (cache, input_mask, output_mask, masks)

    def backward(self, doutput: Array, dstate: State | None, cache: Any) -> tuple[Array, State]:
        """Gradient of one step."""
        kept, input_mask, output_mask, masks = cache
        doutput = doutput if output_mask is None else doutput * output_mask
        if dstate is not None and masks is not None:
            dstate = nest_as(self.state_size, _times(dstate, masks))
        dx, before = self.inner.backward(doutput, dstate, kept)
        return dx if input_mask is None else dx * input_mask, before

    def run(
        self, x: Array, state: State, mask: Array | None, keep: bool
    ) -> tuple[Array, State, Any]:
        """All steps; at once, if the state is left alone."""
        keep_input, keep_output, keep_state = self.keep
        if keep_state < 1.0:
            return super().run(x, state, mask, keep)
        if not self.cell.variational_recurrent:
            self.cell.counter += 1
        x, input_mask = self._drop(x, keep_input, 0)
        outputs, final, cache = self.inner.run(x, state, mask, keep)
        outputs, output_mask = self._drop(outputs, keep_output, 1)
        return outputs, final, (cache, input_mask, output_mask)

    def run_backward(
        self, doutputs: Array | None, dstate: State | None, cache: Any
    ) -> tuple[Array, State]:
        """Gradient of `run`."""
        if self.keep[2] < 1.0:
            return super().run_backward(doutputs, dstate, cache)
        kept, input_mask, output_mask = cache
        if doutputs is not None and output_mask is not None:
            doutputs = doutputs * output_mask
        dx, before = self.inner.run_backward(doutputs, dstate, kept)
        return dx if input_mask is None else dx * input_mask, before

    def finish(self) -> None:
        """Finish the cell inside."""
        self.inner.finish()

    def _drop(self, a: Array, keep_prob: float, stream: int) -> tuple[Array, Array | None]:
        """``(a * mask, mask)``, the mask None if nothing is dropped; stream 0 is the inputs."""
        size = self.cell.input_size
        if stream == 0 and isinstance(size, int) and size != a.shape[-1]:
            raise ShapeError(
                f"DropoutWrapper: inputs have depth {a.shape[-1]}, expected input_size = {size}"
            )
        if stream == 0 and self.cell._dtype is not None:
            dtype = dtype_name(a.dtype, "DropoutWrapper")
            if dtype != self.cell._dtype:
                raise DTypeError(
                    f"DropoutWrapper: inputs have dtype {dtype}, expected {self.cell._dtype}"
                )
        if keep_prob >= 1.0:
            return a, None
        mask = self.cell.mask(a, keep_prob, stream)
        return a * mask, mask

    def _state_masks(self, state: State, keep_prob: float, stream: list[int]) -> Any:
        """Masks nested as `state`, None where nothing is dropped; `stream` counts leaves."""
        choice = self.cell.visitor(state)
        if not isinstance(state, tuple):
            stream[0] += 1
            return self.cell.mask(state, keep_prob, stream[0] - 1) if choice else None
        flags = choice if isinstance(choice, tuple | list) else (bool(choice),) * len(state)
        if len(flags) != len(state):
            raise ValueError(
                f"DropoutWrapper: dropout_state_filter_visitor gave {choice!r}, expected a bool, "
                f"or {len(state)} of them, one for each part of the state"
            )
        masks = []
        for flag, part in zip(flags, state, strict=True):
            if flag:
                masks.append(self._state_masks(part, keep_prob, stream))
            else:
                stream[0] += _count(part)
                masks.append(None)
        return tuple(masks)


def _times(state: State, masks: Any) -> State:
    """The product, part by part; a mask of None is ones."""
    if masks is None:
        return state
    if isinstance(state, tuple):
        return tuple(_times(part, mask) for part, mask in zip(state, masks, strict=True))
    return state * masks


def _count(state: State) -> int:
    """Number of arrays in a state."""
    return sum(_count(part) for part in state) if isinstance(state, tuple) else 1
