"""Export of layers: a graph with ONNX's own recurrent operators."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rnn_xp.backend import to_host
from rnn_xp.errors import ConversionError, DTypeError
from rnn_xp.interop.nets import Level, level_from_layer, parts
from rnn_xp.interop.onnx.files import save_model
from rnn_xp.interop.onnx.graph import GraphBuilder
from rnn_xp.interop.onnx.level import add_level
from rnn_xp.interop.onnx.like import weights_like
from rnn_xp.layers import TimeAffine
from rnn_xp.layers.residual import Residual


def export_layer(
    layer: Any,
    path: str | Path,
    *,
    lengths: bool = False,
    dtype: str = "float32",
    like: Any = None,
    nodes: Sequence[str] | None = None,
) -> None:
    """Write a layer to an ONNX file; arguments as in `to_onnx`.

    Raises
    ------
    ConversionError
        If ONNX's operators cannot compute it.
    CheckpointError
        If the file cannot be written.
    """
    save_model(path, to_onnx(layer, lengths=lengths, dtype=dtype, like=like, nodes=nodes))


def to_onnx(
    layer: Any,
    *,
    lengths: bool = False,
    dtype: str = "float32",
    like: Any = None,
    nodes: Sequence[str] | None = None,
) -> Any:
    """The ONNX model that computes what `layer` does outside training.

    Parameters
    ----------
    layer : layer or cell
        `TimeRNN`, `TimeLSTM`, `TimeGRU`, a cell, `TimeCell` of a cell (with peepholes, with
        the activations that ONNX has), `Reversed`, `Bidirectional` with a merge, a `Stack` of
        these and of `TimeAffine`; `Residual` of any. Dropout is left out.
    lengths : bool
        Whether the model has the input ``lengths``, int32 (N,).
    dtype : {"float32", "float64"}
        Of the model. onnxruntime has no recurrent operators in float64.
    like : str, Path, bytes or onnx.ModelProto, optional
        The model that the layer came from by `from_onnx`. Where the two halves of a node's
        ``B`` still add up to our bias they are given back bit for bit; where ours has
        changed, the second half is kept if some number adds up to ours with it, and is zero
        otherwise. A node without ``B`` comes back without it while our bias is zero. Weights
        of `like` are converted to `dtype` first.
    nodes : list of str, optional
        Names of the nodes in `like`, as in `from_onnx`.

    Returns
    -------
    model : onnx.ModelProto
        Opset 17. Inputs: ``xs`` (N, T, D), or (T, N, D) if the layer is time-major;
        ``lengths``; and for level k ``state.k.h`` (and ``state.k.c``), (N, H) or for two
        directions (2, N, H). Outputs: ``hs``; ``final.k.h`` (and ``final.k.c``).

    Raises
    ------
    ConversionError
        If ONNX's operators cannot compute it: projection, clipping of the cell state,
        wrappers and cells of one's own, two directions that are not merged. And an LSTM that
        `from_onnx` made of a node with ``clip``: runtimes disagree on what it computes. If
        `like` has other nodes than the layer, or one with ``input_forget``.
    """
    if dtype not in ("float32", "float64"):
        raise DTypeError(f"to_onnx: dtype = {dtype!r}, expected 'float32' or 'float64'")
    where = "to_onnx"
    if like is None and nodes is not None:
        raise ConversionError(f"{where}: nodes are those of like, but there is no like")
    theirs = None if like is None else weights_like(like, nodes, dtype, where)
    graph = GraphBuilder("rnn_xp layer", dtype, theirs)
    time_major = bool(getattr(layer, "time_major", False))
    axes = ("T", "N") if time_major else ("N", "T")
    whole = parts(layer)
    if not whole:
        raise ConversionError(f"{where}: there is no layer to export")
    graph.inputs.append(graph.value("xs", (*axes, input_size(whole[0], where))))
    length_name = ""
    if lengths:
        length_name = "lengths"
        int32 = graph.onnx.TensorProto.INT32
        graph.inputs.append(graph.value(length_name, ("N",), int32))
    x = "xs" if time_major else graph.add("Transpose", ["xs"], "xs.time_major", perm=[1, 0, 2])
    x, width = add_parts(graph, whole, x, length_name, where)
    if theirs and f"layers.{len(theirs) - 1}.W" not in graph.initializers:
        raise ConversionError(f"{where}: like has {len(theirs)} nodes, the layer fewer levels")
    if time_major:
        graph.add("Identity", [x], "hs")
    else:
        graph.add("Transpose", [x], "hs", perm=[1, 0, 2])
    graph.outputs.append(graph.value("hs", (*axes, width)))
    return graph.model()


def input_size(part: Any, where: str) -> int:
    """D of a layer."""
    if isinstance(part, Residual):
        return input_size(parts(part.layer)[0], where)
    if isinstance(part, TimeAffine):
        return int(part.params[0].shape[1 if part.transposed else 0])
    return int(level_from_layer(part, where).cells[0].Wx.shape[0])


def add_parts(
    graph: GraphBuilder, whole: list[Any], x: str, lengths: str, where: str
) -> tuple[str, int]:
    """Add layers to the graph, one after the other.

    Parameters
    ----------
    graph : GraphBuilder
    whole : list of layer
        What `rnn_xp.interop.nets.parts` returned.
    x : str
        Name of the input, time-major.
    lengths : str
        Name of the lengths, "" if there are none.

    Returns
    -------
    output : str
        Name of the output, time-major.
    width : int
    """
    width = 0
    for part in whole:
        if isinstance(part, Residual):
            if lengths:
                raise ConversionError(
                    f"{where}: Residual with lengths: its output is zero at masked steps, which "
                    "the sum in the graph would not be; export without lengths"
                )
            inner, width = add_parts(graph, parts(part.layer), x, lengths, where)
            x = graph.add("Add", [inner, x], f"{inner}.residual")
        elif isinstance(part, TimeAffine):
            x, width = add_affine(graph, part, x)
        else:
            level: Level = level_from_layer(part, where)
            x, width = add_level(graph, level, x, lengths, where)
    return x, width


def add_affine(
    graph: GraphBuilder, layer: Any, x: str, matrix: str | None = None
) -> tuple[str, int]:
    """Add ``x W + b``; `layer` is a `TimeAffine`, or has its attributes.

    Parameters
    ----------
    matrix : str, optional
        Name of a weight that is there already, instead of the layer's own.
    """
    W = layer.params[0]
    number = len(graph.nodes)
    name = matrix or graph.weight(f"affine.{number}.W", to_host(W))
    if layer.transposed:
        name = graph.add("Transpose", [name], f"affine.{number}.W.T", perm=[1, 0])
    y = graph.add("MatMul", [x, name], f"affine.{number}.product")
    if len(layer.params) == 2:
        b = graph.weight(f"affine.{number}.b", to_host(layer.params[1]))
        y = graph.add("Add", [y, b], f"affine.{number}.y")
    return y, int(W.shape[0 if layer.transposed else 1])
