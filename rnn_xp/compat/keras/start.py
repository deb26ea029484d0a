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
    if any(part is None for part in parts):
        k = [part is None for part in parts].index(True)
        raise ShapeError(f"{layer.name}: initial_state[{k}] is None, expected an array (N, units)")
    check_widths(layer, parts, "initial_state", N, like)
    return parts, initial if is_nested(initial) else [initial]


def check_widths(layer: Any, parts: list[Array | None], what: str, N: int, like: Array) -> None:
    """Raise unless each of `parts` that is there is (N, its width), and at home with `like`.

    Raises
    ------
    ShapeError, DTypeError, MixedBackendError
    """
    widths = flatten(layer.cell.state_size)
    for k, (part, width) in enumerate(zip(parts, widths, strict=True)):
        if part is not None:
            require_like(part, like, layer.name, f"{what}[{k}]")
            require_shape(part, (N, width), layer.name, f"{what}[{k}]", "(N, units)")
