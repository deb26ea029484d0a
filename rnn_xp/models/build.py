"""From a configuration to a list of layers with initial weights."""

import os
from math import sqrt
from typing import Any

from rnn_xp.backend import Backend
from rnn_xp.initializers import glorot_uniform, scaled_normal, uniform
from rnn_xp.layers import (
    Layer,
    TimeAffineSoftmaxWithLoss,
    TimeDropout,
    TimeEmbedding,
)
from rnn_xp.models.config import LMConfig
from rnn_xp.models.recurrent import recurrent_layer
from rnn_xp.rng import Generator, make_generator

GATES = {"rnn": 1, "lstm": 4, "gru": 3}
Named = dict[str, list[tuple[Layer, int]]]


def build_layers(config: LMConfig, backend: Backend) -> tuple[list[Any], Named]:
    """Make the layers of a language model, in forward order, and name their parameters.

    Returns
    -------
    layers : list of layer
        Embedding, then for each recurrent layer dropout (if any) and the layer, then
        dropout and the fused affine-softmax-loss layer. All are time-major inside.
    named : dict of str to list of (Layer, int)
        ``embedding.W``, ``layers.0.Wx``, ``layers.0.Wh``, ``layers.0.b``, those of its options, …,
        ``output.W`` (absent if tied), ``output.b``.

    Raises
    ------
    MemoryError
        If this machine cannot hold the parameters.
    """
    _require_memory(config)
    rng = make_generator(config.seed)
    put = _uploader(backend, config)
    E = put(_embedding_matrix(config, rng))
    embedding = TimeEmbedding(E, time_major=True, shared=config.tied)
    layers: list[Any] = [embedding]
    named: Named = {"embedding.W": [(embedding, 0)]}
    streams = iter(range(config.layers + 1))

    def add_dropout() -> None:
        stream = next(streams)
        if config.dropout > 0.0:
            layers.append(
                TimeDropout(
                    config.dropout,
                    variational=config.variational,
                    seed=config.seed,
                    stream=stream,
                    time_major=True,
                )
            )

    width = config.embed
    for number in range(config.layers):
        add_dropout()
        layer, places = recurrent_layer(config, number, width, rng, put)
        layers.append(layer)
        named |= {f"layers.{number}.{name}": [place] for name, place in places.items()}
        width = config.width
    add_dropout()
    W = E if config.tied else put(_output_matrix(config, rng))
    b = put([0.0] * config.vocab_size)
    output = TimeAffineSoftmaxWithLoss(W, b, transposed=config.tied, time_major=True)
    layers.append(output)
    if config.tied:
        named["embedding.W"].append((output, 0))
    else:
        named["output.W"] = [(output, 0)]
    named["output.b"] = [(output, 1)]
    return layers, named


def _require_memory(config: LMConfig) -> None:
    """Refuse what cannot be: Linux grants the memory, and kills the process when it is used."""
    if not hasattr(os, "sysconf") or "SC_PHYS_PAGES" not in os.sysconf_names:  # Windows refuses
        return
    V, D, H, P = config.vocab_size, config.embed, config.hidden, config.width
    inputs = D + P * (config.layers - 1)  # of all recurrent layers together
    recurrent = (inputs + config.layers * P) * GATES[config.cell] * H
    count = V * D + recurrent + (0 if config.tied else P * V)
    bytes_each = 2 * (8 if config.dtype == "float64" else 4)  # with its gradient
    needed, held = count * bytes_each, os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if needed > held:
        raise MemoryError(
            f"a model of {count:.1e} parameters needs {needed / 2**30:,.0f} GiB with its "
            f"gradients, this machine has {held / 2**30:,.0f}"
        )


def _uploader(backend: Backend, config: LMConfig) -> Any:
    return lambda host: backend.asarray(host, config.dtype)


def _embedding_matrix(config: LMConfig, rng: Generator) -> Any:
    shape = (config.vocab_size, config.embed)
    if config.one_hot:
        return [[float(i == j) for j in range(shape[1])] for i in range(shape[0])]
    if config.init == "book":
        return scaled_normal(rng, shape, 0.01)
    if config.init == "uniform":
        return uniform(rng, shape, 0.1 if config.init_scale is None else config.init_scale)
    # Unit variance, PyTorch's choice, so that the first layer's gates leave their linear range
    # from the start: characters of the King James Bible reach in 200 steps what takes 400 with
    # a variance of 1 / D. A tied matrix makes the scores, too, and those must start small.
    return scaled_normal(rng, shape, 1 / sqrt(config.embed) if config.tied else 1.0)


def _output_matrix(config: LMConfig, rng: Generator) -> Any:
    H, V = config.width, config.vocab_size
    if config.init == "book":
        return scaled_normal(rng, (H, V), 1 / sqrt(H))
    if config.init == "uniform":
        limit = 1 / sqrt(H) if config.init_scale is None else config.init_scale
        return uniform(rng, (H, V), limit)
    return glorot_uniform(rng, H, V)
