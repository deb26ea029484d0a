"""Shapes of what the layers return, without running them: Keras's ``compute_output_shape``."""

from typing import Any

from rnn_xp.compat.keras.nest import flatten, pack
from rnn_xp.errors import ShapeError


def rnn_output_shape(layer: Any, shape: Any) -> Any:
    """Shape of the output of an `RNN`, or ``(output, *states)`` with `return_state`.

    Parameters
    ----------
    layer : RNN
    shape : tuple
        (N, T, D); N and T may be None.

    Raises
    ------
    ShapeError
        If there are not three sizes.
    """
    if len(shape) != 3:
        raise ShapeError(f"{layer.name}: sequences_shape is {tuple(shape)}, expected (N, T, D)")
    N, T, _ = shape
    H = layer.output_size
    output = (N, T, H) if layer.return_sequences else (N, H)
    if not layer.return_state:
        return output
    states = [(N, size) for size in flatten(layer.cell.state_size)]
    return (output, *pack(layer.state_template, states))


def bidirectional_output_shape(layer: Any, shape: Any) -> Any:
    """The same of a `Bidirectional`; two outputs if its `merge_mode` is None."""
    there, back = (
        rnn_output_shape(one, shape) for one in (layer.forward_layer, layer.backward_layer)
    )
    states: tuple[Any, ...] = ()
    if layer.return_state:
        states = (*there[1:], *back[1:])
        there, back = there[0], back[0]
    outputs: tuple[Any, ...] = (there,)
    if layer.merge_mode == "concat":
        outputs = ((*there[:-1], there[-1] + back[-1]),)
    elif layer.merge_mode is None:
        outputs = (there, back)
    return outputs[0] if len(outputs) + len(states) == 1 else (*outputs, *states)
