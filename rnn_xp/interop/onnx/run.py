"""Run a recurrent ONNX node with the layers of this package."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from rnn_xp.backend import Backend, get_backend, to_host
from rnn_xp.errors import ConversionError
from rnn_xp.interop.nets import joined
from rnn_xp.interop.onnx.files import load_model, tensor_array
from rnn_xp.interop.onnx.node import INPUTS, NodeSettings, level_from_node, read_node
from rnn_xp.interop.weights import (
    expect_shape,
    float_arrays,
    layer_from_weights,
    require_mapping,
)


def run_node(
    node: Any, inputs: Sequence[Any], *, backend: str | Backend | None = None
) -> tuple[Any, ...]:
    """Compute a node ``RNN``, ``LSTM`` or ``GRU``.

    Parameters
    ----------
    node : onnx.NodeProto
    inputs : list of array or None
        In the order of the operator: ``X, W, R, B, sequence_lens, initial_h``, and for an
        LSTM ``initial_c, P``; None, or left out at the end, for one that is not given.
        float32 or float64.
    backend : str or Backend, optional
        Where to compute; default: what ``RNN_BACKEND`` names.

    Returns
    -------
    outputs : tuple of numpy.ndarray
        ``Y`` and ``Y_h``, for an LSTM also ``Y_c``, in the node's layout. Steps beyond
        ``sequence_lens`` are zero in ``Y``; a sequence of length 0 keeps its initial state.

    Raises
    ------
    ConversionError
        If the node needs what no cell here has; the message names it.
    ShapeError, DTypeError, DataError

    Notes
    -----
    An LSTM node with ``clip``, which bounds the input of every activation, bounds c too on its
    way into h (not the state c itself), as the operator's definition has it. onnxruntime bounds
    the gates only, so its numbers are others where c leaves the bounds. RNN and GRU agree.
    """
    settings = read_node(node)
    where = settings.where
    limit = len(INPUTS) if settings.kind == "lstm" else INPUTS.index("initial_c")
    if len(inputs) > limit:
        raise ConversionError(f"{where}: got {len(inputs)} inputs, expected at most {limit}")
    given = {n: a for n, a in zip(INPUTS, inputs, strict=False) if a is not None}
    missing = [name for name in ("X", "W", "R") if name not in given]
    if missing:
        raise ConversionError(f"{where}: input {', '.join(missing)} is missing")
    lengths = given.pop("sequence_lens", None)
    arrays = float_arrays(given, where, None)
    target = get_backend(backend)
    weights: dict[str, Any] = {
        name: arrays[name] for name in ("W", "R", "B", "P") if name in arrays
    }
    level = level_from_node(settings, weights, None, None)
    layers = [layer_from_weights(c, backend=target, time_major=True) for c in level.cells]

    x = arrays["X"]
    expect_shape(x, (None, None, level.cells[0].Wx.shape[0]), f"{where}: X", "(., ., D)")
    x = x.swapaxes(0, 1) if settings.batch_first else x
    N, H = x.shape[1], level.cells[0].hidden
    for k, layer in enumerate(layers):
        state = _initial_state(arrays, settings, k, N, H, target)
        if state is not None:
            layer.state = state if settings.kind == "lstm" or _is_tuple(layer) else state[0]
    outputs = joined(level, layers).forward(
        target.asarray(x), lengths=None if lengths is None else to_host(lengths), train=False
    )
    both = outputs if isinstance(outputs, tuple) else (outputs,)
    results = [np.stack([to_host(one) for one in both], axis=1)]  # (T, directions, N, H)
    states = [s if isinstance(s, tuple) else (s,) for s in (layer.state for layer in layers)]
    for part in range(len(states[0])):
        results.append(np.stack([to_host(state[part]) for state in states]))
    if settings.batch_first:
        results[0] = results[0].transpose(2, 0, 1, 3)
        results[1:] = [result.swapaxes(0, 1) for result in results[1:]]
    return tuple(np.ascontiguousarray(result) for result in results)


def _is_tuple(layer: Any) -> bool:
    """Whether the layer's state is a tuple even where it has one part."""
    return not hasattr(layer, "cell")


def _initial_state(
    arrays: Mapping[str, Any],
    settings: NodeSettings,
    direction: int,
    N: int,
    H: int,
    target: Backend,
) -> tuple[Any, ...] | None:
    names = ("initial_h", "initial_c") if settings.kind == "lstm" else ("initial_h",)
    if not any(name in arrays for name in names):
        return None
    count = settings.direction_count
    parts = []
    for name in names:
        part = arrays.get(name)
        if part is None:
            part = np.zeros((N, H), arrays["X"].dtype)
        elif settings.batch_first:
            expect_shape(part, (N, count, H), f"{settings.where}: {name}", "(N, directions, H)")
            part = part[:, direction]
        else:
            expect_shape(part, (count, N, H), f"{settings.where}: {name}", "(directions, N, H)")
            part = part[direction]
        parts.append(target.asarray(part))
    return tuple(parts)


def run_model(
    source: Any, inputs: Mapping[str, Any], *, backend: str | Backend | None = None
) -> dict[str, Any]:
    """Compute a model that consists of a single recurrent node.

    Parameters
    ----------
    source : str, Path, bytes or onnx.ModelProto
    inputs : dict of array
        By name; initializers of the model need not be given.
    backend : str or Backend, optional
        Where to compute; default: what ``RNN_BACKEND`` names.

    Returns
    -------
    outputs : dict of numpy.ndarray
        By name, in the order of the graph's outputs.

    Raises
    ------
    ConversionError
        If there are other nodes: run such a model in onnxruntime, or take its recurrent
        nodes out with `from_onnx`.

    Notes
    -----
    What `run_node` says of an LSTM with ``clip`` holds here too.
    """
    require_mapping(inputs, "ONNX model: inputs", "a mapping of names to arrays")
    graph = load_model(source).graph
    if len(graph.node) != 1:
        raise ConversionError(
            f"ONNX model: has {len(graph.node)} nodes, expected a single RNN, LSTM or GRU; use "
            "from_onnx(source, nodes=[...]) to take layers out of a model"
        )
    node = graph.node[0]
    values = {tensor.name: tensor_array(tensor) for tensor in graph.initializer} | dict(inputs)
    missing = [name for name in node.input if name and name not in values]
    if missing:
        raise ConversionError(f"ONNX model: input {', '.join(missing)} is missing")
    outputs = run_node(node, [values[n] if n else None for n in node.input], backend=backend)
    named = dict(zip(node.output, outputs, strict=False))
    return {output.name: named[output.name] for output in graph.output}
