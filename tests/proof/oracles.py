"""What a backward pass is compared with, and how far apart the two may be.

Errors are relative to the largest entry of the reference array, each array on its own.
"""

from functools import cache

import backends
import numpy as np

from rnn_xp.backend import get_backend

# Central differences with step h err by h**2 f''' / 6 (about 1e-11 for h = 1e-5 and third
# derivatives of order one) and by the rounding of two forward passes over 2 h (about
# 1e-16 * 10 / 2e-5 = 5e-11). Relative to arrays whose largest entry is 0.01 that is 1e-8; the
# worst of the grid is 2e-8. A wrong term in a backward pass is off by 1e-2 and more.
STEP = 1e-5
DIFFERENCES = 1e-7
# Two float64 computations of one formula differ by the order of their sums only.
FLOAT64 = 1e-12
FLOAT32_FORWARD = 1e-6
FLOAT32_GRADIENT = 5e-6


def relative_error(given, reference):
    """Largest difference, relative to the largest entry of `reference` (if that is not 0)."""
    given, reference = np.asarray(given, np.float64), np.asarray(reference, np.float64)
    assert given.shape == reference.shape, f"shape {given.shape}, reference {reference.shape}"
    if not np.isfinite(given).all():
        return np.inf
    scale = np.abs(reference).max(initial=0.0)
    difference = np.abs(given - reference).max(initial=0.0)
    return float(difference / scale if scale > 0.0 else difference)


def worst(given, references):
    """``(error, name)`` of the array that is furthest from its reference."""
    assert given.keys() == references.keys()
    return max((relative_error(given[name], references[name]), name) for name in references)


@cache
def results(case, name, dtype, chosen):
    """``(outputs, gradients)`` of a case on a backend, computed once for all who ask."""
    variant = backends.BY_NAME[name]
    with backends.kernel_mode(variant.mode):
        return case.gradients(variant.open(), dtype, chosen)


def generic(case, chosen):
    """The specification's own answer, in float64."""
    return results(case, "numpy-generic", "float64", chosen)


@cache
def _jacobian(case):
    """Central differences: ``{input: {output: array (input size, output size)}}``."""
    numpy = get_backend("numpy")
    slopes = {}
    for prefix, call in getattr(case, "calls", {}).items():  # of which each has its own inputs
        for name, row in _jacobian(call).items():
            slopes[prefix + name] = {prefix + k: slope for k, slope in row.items()}
    if slopes:
        return slopes
    for name, value in case.inputs.items():
        rows = []
        for index in np.ndindex(value.shape):
            sides = []
            for step in (STEP, -STEP):
                moved = value.copy()
                moved[index] += step
                sides.append(case.forward({**case.inputs, name: moved}, numpy, "float64"))
            width = 2.0 * STEP
            rows.append({k: (sides[0][k] - sides[1][k]).ravel() / width for k in case.upstream})
        slopes[name] = {k: np.stack([row[k] for row in rows]) for k in case.upstream}
    return slopes


def differences(case, chosen):
    """Gradient of ``sum(output * upstream)`` over the `chosen` outputs, by differences."""
    slopes = _jacobian(case)
    return {
        name: sum(
            slopes[name][k] @ case.upstream[k].ravel() for k in chosen if k in slopes[name]
        ).reshape(value.shape)
        for name, value in case.inputs.items()
    }


def slopes_off(case, gradients):
    """How far gradients are from central differences along one random direction an input.

    A net with all its weights, in a few forward passes: each input moves as a whole, along a
    normal draw of length 1, and no error of its gradient is orthogonal to that. All of the
    upstream gradients are on.

    Returns
    -------
    errors : dict of str to float
        Difference of the two slopes, relative to the root mean square of the gradient, which
        is how large a slope is on average.
    """
    numpy, errors = get_backend("numpy"), {}
    for prefix, call in getattr(case, "calls", {"": case}).items():

        def loss(values, call=call):
            outputs = call.forward(values, numpy, "float64")
            return sum(float((outputs[k] * d).sum()) for k, d in call.upstream.items())

        rng = np.random.default_rng(1)
        for name, value in call.inputs.items():
            way = rng.standard_normal(value.shape)
            way /= np.linalg.norm(way)
            ahead, behind = (
                loss({**call.inputs, name: value + step * way}) for step in (STEP, -STEP)
            )
            grad = gradients[prefix + name]
            off = abs((ahead - behind) / (2.0 * STEP) - float((grad * way).sum()))
            size = float(np.sqrt((grad * grad).mean()))
            errors[prefix + name] = off / size if size > 0.0 else off
    assert errors.keys() == gradients.keys()
    return errors


@cache
def _autograd(case, chosen):
    import torch

    leaves = {
        name: torch.tensor(value, dtype=torch.float64, requires_grad=True)
        for name, value in case.inputs.items()
    }
    outputs = case.torch(leaves)
    loss = sum((outputs[k] * torch.tensor(case.upstream[k])).sum() for k in chosen)
    grads = torch.autograd.grad(loss, list(leaves.values()), allow_unused=True)
    zeros = {name: np.zeros_like(value) for name, value in case.inputs.items()}
    gradients = {
        name: zeros[name] if grad is None else grad.numpy()
        for name, grad in zip(leaves, grads, strict=True)
    }
    return {k: v.detach().numpy() for k, v in outputs.items()}, gradients


def autograd(case, chosen):
    """``(outputs, gradients)`` by torch's own layers and its automatic differentiation."""
    return _autograd(case, tuple(chosen))
