"""Where the first NaN or infinity of a training step comes from."""

from collections.abc import Iterator
from typing import Any

from rnn_xp._typing import Array
from rnn_xp.layers import TimeDropout, TimeEmbedding
from rnn_xp.layers.composite import is_recurrent
from rnn_xp.layers.state import arrays_in
from rnn_xp.models import Rnnlm
from rnn_xp.namespace import namespace_of
from rnn_xp.train.stepper import LayerStates, put_states, take_states


def diagnose(
    model: Rnnlm, xs: Any, ts: Any, state: LayerStates, counters: list[int], dout: Any = 1
) -> str:
    """Run one batch again, layer by layer, and name the first tensor that is not finite.

    Parameters
    ----------
    model : Rnnlm
        Its recurrent state and dropout counters are afterwards what they were; its
        gradients are overwritten.
    xs, ts : array of int, shape (N, T)
        The batch.
    state : list
        State of each recurrent layer before it; None is zeros.
    counters : list of int
        Dropout counters before it.
    dout : number
        Factor of the loss in the backward pass.

    Returns
    -------
    str
        Such as ``"the output of layers.0 (TimeLSTM)"``.
    """
    kept = take_states(model), model.dropout_counters
    put_states(model, state)
    model.dropout_counters = counters
    try:
        for what, array in _tensors(model, xs, ts, state, dout):
            if not is_finite(array):
                return what
    finally:
        put_states(model, kept[0])
        model.dropout_counters = kept[1]
    return "the norm of all gradients together, while each gradient is finite"


def is_finite(array: Array) -> bool:
    """Whether all elements are finite; waits for the device."""
    xp = namespace_of(array)
    return bool(xp.all(xp.isfinite(array)))


def _tensors(
    model: Rnnlm, xs: Any, ts: Any, state: LayerStates, dout: Any
) -> Iterator[tuple[str, Array]]:
    """All tensors of a step in the order in which they are computed."""
    for name, parameter in model.named_parameters.items():
        yield f"the parameter {name}", parameter
    names = layer_names(model)
    recurrent = [n for n, la in zip(names, model.layers, strict=True) if is_recurrent(la)]
    for name, parts in zip(recurrent, state, strict=True):
        for part in arrays_in(parts):
            yield f"the state that {name} starts from", part
    *hidden, output = model.layers
    values = xs
    for name, layer in zip(names, hidden, strict=False):
        values = layer.forward(values, train=True)
        yield f"the output of {name}", values
    loss = output.forward(values, ts, train=True)
    yield f"the loss in {names[-1]}", loss
    owner = _owners(model, names)
    for name, layer in zip(reversed(names), reversed(model.layers), strict=True):
        if isinstance(layer, TimeEmbedding) and "embedding.W" in model.frozen:
            return
        dout = layer.backward(dout)
        for parameter, grad in model.named_gradients.items():
            if name in owner[parameter]:
                yield f"the gradient of {parameter} in {name}", grad
        if dout is not None:
            yield f"the gradient that {name} passes back", dout


def layer_names(model: Rnnlm) -> list[str]:
    """A name for each layer, such as ``"layers.0 (TimeLSTM)"``."""
    names: list[str] = []
    recurrent = dropout = 0
    for layer in model.layers:
        if isinstance(layer, TimeEmbedding):
            name = "embedding"
        elif isinstance(layer, TimeDropout):
            name, dropout = f"dropout.{dropout}", dropout + 1
        elif is_recurrent(layer):
            name, recurrent = f"layers.{recurrent}", recurrent + 1
        else:
            name = "output"
        names.append(f"{name} ({type(layer).__name__})")
    return names


def _owners(model: Rnnlm, names: list[str]) -> dict[str, list[str]]:
    """For each parameter the names of the layers that write its gradient."""
    return {
        parameter: [
            name
            for name, layer in zip(names, model.layers, strict=True)
            if any(g is grad for g in layer.grads)
        ]
        for parameter, grad in model.named_gradients.items()
    }
