"""Small language models of every kind, batches for them, and a few steps of training."""

import numpy as np

from rnn_xp import Rnnlm
from rnn_xp.backend import to_host
from rnn_xp.optim import Adam

V = 7
KINDS = {
    "rnn": {"cell": "rnn"},
    "lstm": {"cell": "lstm", "layers": 2},
    "gru": {"cell": "gru"},
    "gru reset before": {"cell": "gru", "reset_after": False},
    "tied": {"tied": True},
    "dropout": {"dropout": 0.4, "layers": 2},
    "variational": {"dropout": 0.4, "variational": True, "tied": True},
    "layer norm": {"layer_norm": True, "zoneout": 0.3},
    "layer norm gru": {"cell": "gru", "layer_norm": True, "recurrent_dropout": 0.3},
    "layer norm gru reset before": {"cell": "gru", "layer_norm": True, "reset_after": False},
    "layer norm lstmp": {  # large weights: a norm of little variance bends too much for differences
        **{"layer_norm": True, "peepholes": True, "projection": 3, "cell_clip": 0.5},
        **{"init": "uniform", "init_scale": 1.0},
    },
    "lstmp": {"peepholes": True, "projection": 3, "cell_clip": 0.5, "recurrent_dropout": 0.3},
    "zoneout rnn": {"cell": "rnn", "zoneout": 0.3, "weight_drop": 0.2},
    "wrappers": {"weight_drop": 0.3, "residual": True, "dropout": 0.2, "layers": 2},
    "trainable state": {"trainable_state": True, "residual": True, "layers": 2},
    "trainable state and a cell": {"trainable_state": True, "projection": 4, "tied": True},
}


def make(be="numpy", **settings):
    settings = {"dtype": "float64", "init": "glorot", "forget_bias": 1.0, "seed": 3, **settings}
    return Rnnlm(V, 4, 4, backend=be, **settings)


def batch(seed=0, N=2, T=4):
    ids = np.random.default_rng(seed).integers(0, V, (N, T + 1))
    return ids[:, :-1], ids[:, 1:]


def train(model, steps=5, seed=0):
    optimizer = Adam(lr=0.05)
    for step in range(steps):
        model.forward(*batch(seed + step))
        model.backward()
        params, grads = zip(*model.segments(), strict=True)
        optimizer.update(list(params), list(grads))
    return to_host(model.flat_params).copy()
