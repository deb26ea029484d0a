"""Parameters and gradients to try an optimiser on."""

import numpy as np

from rnn_xp.backend import to_host
from rnn_xp.optim import OPTIMIZERS

NAMES = tuple(OPTIMIZERS)
SHAPES = [(3, 4), (5,), ()]
STEPS = 20


def problem(dtype="float64", steps=STEPS, shapes=SHAPES, seed=0):
    """Parameters, and gradients for each step; some gradients are zero, some tiny."""
    rng = np.random.default_rng(seed)
    params = [np.asarray(rng.standard_normal(s), dtype=dtype) for s in shapes]
    size = [np.asarray(rng.choice([0.0, 1e-6, 1.0, 30.0], size=s)) for s in shapes]
    grads = [
        [np.asarray(k * rng.standard_normal(k.shape), dtype=dtype) for k in size]
        for _ in range(steps)
    ]
    return params, grads


def run(optimizer, backend, params, grads, **kwargs):
    held = [backend.asarray(p) for p in params]
    for step in grads:
        optimizer.update(held, [backend.asarray(g) for g in step], **kwargs)
    return [to_host(p) for p in held], held


def assert_same(got, expected, rtol=1e-12):
    for a, b in zip(got, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol * np.max(np.abs(b), initial=1.0))


def assert_same_bits(got, expected):
    for a, b in zip(got, expected, strict=True):
        assert a.dtype == b.dtype
        assert a.tobytes() == b.tobytes()
