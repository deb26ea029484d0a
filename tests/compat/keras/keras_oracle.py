"""Keras 3 itself, on its torch backend: outputs and all gradients of one call of a layer."""

import importlib.util
import os
import warnings
from unittest import mock

import backends
import numpy as np
import pytest

from rnn_xp.compat.keras.nest import flatten, pack


def open_keras():
    """The `keras` module on torch; the module that asks is skipped, or fails if required."""
    for module in ("keras", "torch"):
        if importlib.util.find_spec(module) is None:
            message = f"{module} is not installed"
            if module in backends.required():
                pytest.fail(f"RNN_XP_TEST_REQUIRE asks for {module}: {message}", pytrace=False)
            pytest.skip(message, allow_module_level=True)
    os.environ.setdefault("KERAS_BACKEND", "torch")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of other people's imports
        import keras
        import torch
    if keras.backend.backend() != "torch":
        pytest.skip(
            f"keras runs on {keras.backend.backend()} in this process, these tests need torch",
            allow_module_level=True,
        )
    torch.set_num_threads(1)
    return keras


def float64_kept():
    """While it holds, products of float64 are float64.

    On torch, Keras computes them in float32 whatever the layer's dtype; a table of its says so.
    """
    from keras.src.backend.common import dtypes

    return mock.patch.dict(dtypes.BIT64_TO_BIT32_DTYPE, {"float64": "float64"})


def run_keras(layer, weights, x, state, mask, upstream, training=False, **options):
    """Call the layer with these weights in float64.

    Parameters
    ----------
    layer : keras layer
    weights : list of numpy.ndarray
        Set before the call.
    x, state, mask : numpy.ndarray, nested lists of numpy.ndarray, or None
    upstream : callable ``(k, shape) -> numpy.ndarray``
        The gradient of the loss with respect to output k.

    Returns
    -------
    outputs : list of numpy.ndarray
    gradients : dict
        ``"x"``, ``"weights"`` and ``"state"``: lists.
    """
    import torch

    layer.build(x.shape)
    layer.set_weights([np.asarray(w) for w in weights])
    tensor = torch.tensor(x, dtype=torch.float64, requires_grad=True)
    parts = [] if state is None else flatten(state)
    leaves = [torch.tensor(p, dtype=torch.float64, requires_grad=True) for p in parts]
    given = dict(options)
    if state is not None:
        given["initial_state"] = pack(state, leaves)
    if mask is not None:
        given["mask"] = torch.tensor(mask)
    with float64_kept():
        outputs = flatten(layer(tensor, training=training, **given))
    loss = sum((torch.tensor(upstream(k, tuple(o.shape))) * o).sum() for k, o in enumerate(outputs))
    variables = [w.value for w in layer.trainable_weights]
    found = torch.autograd.grad(loss, [tensor, *variables, *leaves], allow_unused=True)
    sources = [tensor, *variables, *leaves]
    arrays = [
        np.zeros(tuple(s.shape)) if g is None else g.numpy()
        for g, s in zip(found, sources, strict=True)
    ]
    count = 1 + len(variables)
    gradients = {"x": arrays[:1], "weights": arrays[1:count], "state": arrays[count:]}
    return [o.detach().numpy() for o in outputs], gradients


def worst(given, reference, floor=0.0):
    """Largest error of the arrays, each relative to its reference's largest entry.

    `floor` is the least that counts as that entry. Inputs, states and upstream gradients are of
    size one; where their float32 products cancel, a rounding of those remains.
    """
    assert len(given) == len(reference)
    errors = [0.0]
    for a, b in zip(given, reference, strict=True):
        assert tuple(a.shape) == tuple(b.shape)
        size = max(np.abs(b).max(initial=0.0), floor)
        off = np.abs(np.asarray(a, dtype=np.float64) - b).max(initial=0.0)
        errors.append(off / size if size > 0 else (0.0 if off == 0 else np.inf))
    return max(errors)
