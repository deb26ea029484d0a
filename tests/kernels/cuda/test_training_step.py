"""Whole training steps with the CUDA kernels, against generic kernels on NumPy; none waits."""

from contextlib import nullcontext

import numpy as np
import pytest
from backends import kernel_mode
from comparing import GRADIENT, close
from standin import transfers
from standin.array import Device

from rnn_xp import Rnnlm
from rnn_xp.backend import to_host
from rnn_xp.kernels import GENERIC
from rnn_xp.optim.registry import OPTIMIZERS, get_optimizer
from rnn_xp.train.prefetch import Prefetch
from rnn_xp.train.settings import TrainSettings
from rnn_xp.train.stepper import Stepper

V, D, H, N, T, STEPS = 11, 6, 6, 3, 5, 3
MODELS = {
    "rnn": {"cell": "rnn"},
    "lstm": {"layers": 2, "dropout": 0.4},
    "gru": {"cell": "gru", "dropout": 0.3, "variational": True},
    "gru reset before": {"cell": "gru", "reset_after": False},
    "tied": {"tied": True, "dropout": 0.2},
    "weight drop": {"weight_drop": 0.3, "residual": True, "layers": 2},
    "layer norm": {"layer_norm": True, "zoneout": 0.2},
    "lstmp": {"peepholes": True, "projection": 4, "recurrent_dropout": 0.3},
    "trainable state": {"trainable_state": True},
}
TRAINING = {
    "clip": {"clip": 0.05},
    "no clip": {"clip": None},
    "clip values": {"clip": 0.5, "clip_values": 0.01},
    "parts": {"accumulate": N},
}


def batches(ignored):
    rng = np.random.default_rng(0)
    for _ in range(STEPS):
        ids = rng.integers(0, V, (N, T + 1))
        xs, ts = ids[:, :-1], ids[:, 1:].copy()
        if ignored:
            ts[rng.random(ts.shape) < 0.3] = -1
        yield xs, ts


def trained(be, dtype, model, optimizer="sgd", training="clip", ignored=False, around=nullcontext):
    """Losses, norms, the last gradient and the parameters of a few steps."""
    net = Rnnlm(V, D, H, backend=be, dtype=dtype, seed=5, init="glorot", **MODELS[model])
    lr = 0.5 if optimizer == "sgd" else 0.01
    settings = TrainSettings(**{"batch": N, "clip": 1.0, **TRAINING[training]})
    stepper = Stepper(net, get_optimizer(optimizer, lr=lr), settings)
    given = list(batches(ignored))
    prefetch = Prefetch(net, given.__getitem__, settings.accumulate)
    records = []
    for number in range(STEPS):
        with around():
            records.append(stepper.step(number + 1, number, *prefetch.take(number)))
            if number + 1 < STEPS:
                prefetch.prepare(number + 1)
    numbers = [[to_host(getattr(r, what)) for r in records] for what in ("loss", "norm")]
    assert np.isfinite(numbers).all()
    return net, (*map(np.array, numbers), to_host(net.flat_grads), to_host(net.flat_params))


def compare(be, dtype, *args, **kwargs):
    with kernel_mode("generic"):
        _, expected = trained("numpy", dtype, *args, **kwargs)
    around = transfers.refused if isinstance(be.device, Device) else nullcontext
    net, actual = trained(be, dtype, *args, **kwargs, around=around)
    for name in ("embedding_backward", "affine_softmax_cross_entropy"):
        used = {getattr(layer.kernels, name) for layer in net.layers if layer.params}
        assert getattr(GENERIC, name) not in used
    for mine, theirs in zip(actual, expected, strict=True):
        close(mine, theirs, GRADIENT[dtype])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("model", MODELS)
def test_models(cuda_be, model, dtype):
    compare(cuda_be, dtype, model, ignored=True)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("training", TRAINING)
def test_optimizers(cuda_be, optimizer, training):
    compare(cuda_be, "float64", "lstm", optimizer, training)
