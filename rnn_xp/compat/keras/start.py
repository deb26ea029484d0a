"""The state that a call of a recurrent layer starts from."""

from typing import Any

from rnn_xp._typing import Array
from rnn_xp.compat.keras.nest import flatten, is_nested, leaves_of
from rnn_xp.errors import ShapeError
from rnn_xp.namespace import require_like, require_shape


def start_state(layer: Any, initial: Any, N: int, like: Array) -> tuple[list[Array] | None, Any]:
    """The state for a batch of `N` rows: given, kept from the last call, or zeros.

    Parameters
    ----------
    layer : RNN
    initial : nested list of array, or None
        What the call was given.
    N : int
    like : array
        The input.

    Returns
    -------
    parts : list of array, or None
        The state's arrays; None stands for zeros.
    nesting : nested list
        The structure in which the final states are returned.

    Raises
    ------
    ShapeError, DTypeError, MixedBackendError
    """
    if initial is None:
        if not layer.stateful or layer.states is None:
            return None, layer.state_template
        held = flatten(layer.states)[0].shape[0]
        if held != N:
            raise ShapeError(
                f"{layer.name}: the batch size is {N}, but the states are for {held} rows; "
                "call reset_state() before changing the batch size"
            )
        return flatten(layer.states), layer.state_template
    parts = leaves_of(initial, layer.state_template, layer.name, "initial_state")
    widths = flatten(layer.cell.state_size)
    for k, (part, width) in enumerate(zip(parts, widths, strict=True)):
        what = f"initial_state[{k}]"
        if part is None:
            raise ShapeError(f"{layer.name}: {what} is None, expected shape (N, {width})")
        require_like(part, like, layer.name, what)
        require_shape(part, (N, width), layer.name, what, "(N, units)")
    return parts, initial if is_nested(initial) else [initial]
