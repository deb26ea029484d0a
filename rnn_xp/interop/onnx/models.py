"""Export of language models: token ids and states in, scores and states out."""

from pathlib import Path
from typing import Any

from rnn_xp.backend import to_host
from rnn_xp.errors import ConversionError
from rnn_xp.interop.nets import parts
from rnn_xp.interop.onnx.export import add_affine, add_parts
from rnn_xp.interop.onnx.files import save_model
from rnn_xp.interop.onnx.graph import GraphBuilder
from rnn_xp.layers import Stack, TimeAffineSoftmaxWithLoss, TimeEmbedding
from rnn_xp.models import Rnnlm


def export_lm(model: Rnnlm, path: str | Path) -> None:
    """Write a language model to an ONNX file; see `lm_to_onnx`.

    Raises
    ------
    ConversionError
        If ONNX's operators cannot compute it.
    CheckpointError
        If the file cannot be written.
    MissingExtraError
        If the package onnx is not installed.
    """
    save_model(path, lm_to_onnx(model))


def lm_to_onnx(model: Rnnlm) -> Any:
    """The ONNX model that computes what ``model.predict`` does.

    Parameters
    ----------
    model : Rnnlm
        On any backend.

    Returns
    -------
    model : onnx.ModelProto
        float32, opset 17. Inputs: ``ids`` int64 (N, T), from 0 to V - 1 (ONNX takes a
        negative id as counted from the end); ``state.k.h`` (and ``state.k.c``) (N, H) for
        recurrent layer k, zeros to begin with. Outputs: ``logits`` (N, T, V) and
        ``final.k.h`` (and ``final.k.c``), to be given as the next call's states. A matrix
        that is tied is there once.
    """
    where = "export_lm"
    if not isinstance(model, Rnnlm):
        raise ConversionError(
            f"{where}: got a {type(model).__name__}, expected an Rnnlm; export_layer takes layers"
        )
    embedding, *hidden, output = model.layers
    if type(embedding) is not TimeEmbedding or type(output) is not TimeAffineSoftmaxWithLoss:
        raise ConversionError(
            f"{where}: expected a model from TimeEmbedding to TimeAffineSoftmaxWithLoss, got "
            f"{type(embedding).__name__} to {type(output).__name__}"
        )
    graph = GraphBuilder("rnn_xp language model", "float32")
    graph.inputs.append(graph.value("ids", ("N", "T"), graph.onnx.TensorProto.INT64))
    E = graph.weight("embedding.W", to_host(embedding.params[0]))
    ids = graph.add("Transpose", ["ids"], "ids.time_major", perm=[1, 0])
    x = graph.add("Gather", [E, ids], "embedding.xs", axis=0)
    x, _ = add_parts(graph, parts(Stack(hidden)), x, "", where)
    tied = output.params[0] is embedding.params[0] or model.config.tied
    x, V = add_affine(graph, output, x, E if tied else None)
    graph.add("Transpose", [x], "logits", perm=[1, 0, 2])
    graph.outputs.append(graph.value("logits", ("N", "T", V)))
    return graph.model()
