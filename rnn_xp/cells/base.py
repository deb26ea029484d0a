"""What every cell is: weights, and one time step forward and backward.

A cell keeps weights and nothing else. What `forward` must remember for `backward`
it returns as a cache, so one cell can run any number of steps.
"""

from collections.abc import Callable
from typing import Any, Protocol

from rnn_xp._typing import Array, State
from rnn_xp.errors import ShapeError
from rnn_xp.namespace import namespace_of, require_float, require_like, require_shape


class Cell(Protocol):
    """The protocol that `rnn_xp.layers.TimeCell` runs; a user's own cell may follow it.

    Attributes
    ----------
    params, grads : list of array
        In the same order and of the same shapes; `backward` adds into `grads`.
    state_size : int or (nested) tuple of int
        Width of the state, or of each of its parts.
    output_size : int
        Width of the output.

    Notes
    -----
    What a cell may have besides, and what uses it:

    * ``input_size``: D; `TimeCell` then checks the width of its input.
    * ``for_call(N, T, train) -> Cell``: the cell to run for one call of `TimeCell`, with the
      same `params` and `grads` lists, and with what is random drawn (or told what to draw).
      Of that object exactly `T` forward steps are run, in order, and their backward steps.
      It may count them, which a cell itself may not: it keeps weights and nothing else.
      `train` is False in a call that nothing is random in. Everything random should be a
      function of a seed and of the number of the training call (`rnn_xp.rng.DropoutKey`), so
      that it is the same on every backend and after a resume.
    * ``takes_recurrent_mask = True``: `forward` takes a third argument, an array (N, H) or
      None, which multiplies the state where it enters a product, but not where it is carried
      on past it; `DropoutCell` needs it for its state dropout in a GRU.

    An output that *is* one of the parts of the new state should be the same array, as in all
    of the package's cells: `ZoneoutCell` then gives out the part as zoneout left it.
    """

    params: list[Array]
    grads: list[Array]

    @property
    def state_size(self) -> Any: ...  # noqa: D102
    @property
    def output_size(self) -> int: ...  # noqa: D102

    def zero_state(self, N: int) -> State:
        """State of zeros for a batch of `N`."""
        ...

    def forward(self, x: Array, state: State) -> tuple[Array, State, Any]:
        """One step: ``(output, new_state, cache)``."""
        ...

    def backward(self, doutput: Array, dstate: State | None, cache: Any) -> tuple[Array, State]:
        """Gradient of one step: ``(dx, dstate_before)``; adds into `grads`."""
        ...


def require_cell(cell: Any, where: str) -> None:
    """Raise `TypeError` unless `cell` has what the protocol asks for."""
    names = ("params", "grads", "output_size", "zero_state", "forward", "backward")
    missing = [name for name in names if not hasattr(cell, name)]
    if missing:
        raise TypeError(
            f"{where}: cell is a {type(cell).__name__} without {', '.join(missing)}, expected "
            "a cell: see rnn_xp.cells.Cell"
        )


def cell_for_call(cell: Any, N: int, T: int, train: bool) -> Any:
    """The cell to run for one call of T steps with N rows: what `cell.for_call` returns.

    That is `cell` itself if it has no `for_call`, which the protocol leaves open.
    """
    start = getattr(cell, "for_call", None)
    return cell if start is None else start(N, T, train)


class WeightsCell:
    """Shared parts of the cells that own parameters: gradients, sizes, zeros.

    Parameters
    ----------
    params : list of array
        `Wx` (D, ...) first, `Wh` (width of h, ...) second.
    grads : list of array, optional
        Where `backward` adds the gradients; zeros are made on first use otherwise.

    Raises
    ------
    ShapeError, MixedBackendError
        If `grads` are not like `params`.
    """

    def __init__(self, params: list[Array], grads: list[Array] | None = None):
        self.params = params
        self._grads: list[Array] | None = None
        if grads is not None:
            self.grads = grads

    @property
    def grads(self) -> list[Array]:
        """Gradients, in the order of `params`."""
        if self._grads is None:
            xp = namespace_of(self.params[0])
            self._grads = [xp.zeros_like(p) for p in self.params]
        return self._grads

    @grads.setter
    def grads(self, arrays: list[Array]) -> None:
        where = type(self).__name__
        if len(arrays) != len(self.params):
            raise ShapeError(f"{where}: got {len(arrays)} grads, expected {len(self.params)}")
        for i, (grad, param) in enumerate(zip(arrays, self.params, strict=True)):
            require_like(grad, param, where, f"grads[{i}]")
            require_shape(grad, tuple(param.shape), where, f"grads[{i}]", "the parameter's shape")
        self._grads = arrays

    @property
    def input_size(self) -> int:
        """D."""
        return int(self.params[0].shape[0])

    @property
    def output_size(self) -> int:
        """H."""
        return int(self.params[1].shape[0])

    @property
    def state_size(self) -> Any:
        """H, or a tuple with the width of each part of the state."""
        return self.output_size

    def zero_state(self, N: int) -> State:
        """State of zeros, shape (N, H), for a batch of `N`."""
        return self._zeros(N)

    def _zeros(self, N: int, width: int | None = None) -> Array:
        Wh = self.params[1]
        xp = namespace_of(Wh)
        shape = (N, Wh.shape[0] if width is None else width)
        return xp.zeros(shape, dtype=Wh.dtype, device=Wh.device)

    def _add_to_grads(self, *terms: Array) -> None:
        for grad, term in zip(self.grads, terms, strict=True):
            grad[...] = grad + term


class GatedCell(WeightsCell):
    """Shared parts of the cells with one `Wx`, one `Wh` and one bias.

    Parameters
    ----------
    Wx : array, shape (D, G*H)
        Input weights.
    Wh : array, shape (H, G*H)
        Recurrent weights.
    b : array, shape (G*H,), or what the subclass says
        Bias.
    grads : list of array, optional
        Where `backward` adds the gradients; zeros are made on first use otherwise.
    """

    gates: int  # G

    def __init__(self, Wx: Array, Wh: Array, b: Array, *, grads: list[Array] | None = None):
        check_weights(type(self).__name__, Wx, Wh, b, self.gates, self.bias_shapes)
        super().__init__([Wx, Wh, b], grads)

    @classmethod
    def bias_shapes(cls, Wh: Array) -> tuple[tuple[int, ...], ...]:
        """Shapes that `b` may have."""
        return ((cls.gates * Wh.shape[0],),)


def check_weights(
    where: str,
    Wx: Array,
    Wh: Array,
    b: Array,
    gates: int,
    bias_shapes: Callable[[Array], tuple[tuple[int, ...], ...]],
) -> None:
    """Raise unless the three parameters of a recurrent layer fit together.

    `bias_shapes` tells from `Wh`, once that is known to be a matrix, which shapes `b` may have.

    Raises
    ------
    ShapeError, DTypeError, MixedBackendError
    """
    require_float(Wx, where, "Wx")
    require_like(Wh, Wx, where, "Wh")
    require_like(b, Wx, where, "b")
    if len(Wh.shape) != 2 or Wh.shape[1] != gates * Wh.shape[0]:
        raise ShapeError(
            f"{where}: Wh has shape {tuple(Wh.shape)}, expected (H, {gates}H)"
            if gates > 1
            else f"{where}: Wh has shape {tuple(Wh.shape)}, expected (H, H)"
        )
    width = Wh.shape[1]
    if len(Wx.shape) != 2 or Wx.shape[1] != width:
        raise ShapeError(
            f"{where}: Wx has shape {tuple(Wx.shape)}, expected (D, {width}) "
            f"from Wh {tuple(Wh.shape)}"
        )
    allowed = bias_shapes(Wh)
    if tuple(b.shape) not in allowed:
        expected = " or ".join(str(s) for s in allowed)
        raise ShapeError(
            f"{where}: b has shape {tuple(b.shape)}, expected {expected} from Wh {tuple(Wh.shape)}"
        )
