"""Gradient clipping, by the norm of all gradients together or element by element."""

from typing import Any

from rnn_xp._typing import Array
from rnn_xp.backend import backend_of
from rnn_xp.kernels import Kernels
from rnn_xp.namespace import clamp, float_dtype_name, namespace_of
from rnn_xp.optim.checks import positive


def global_norm(grads: list[Array]) -> Array:
    """Euclidean norm of all elements of `grads`, as a 0-d array on the device."""
    if not grads:
        raise ValueError("global_norm: got an empty list, expected at least one array")
    return _kernels(grads[0], "global_norm", "gradient 0").global_norm(grads)


def clip_coefficient(
    norm: Array, max_norm: float | None, loss: Array | None = None
) -> tuple[Any, Array]:
    """What an optimiser's `update` takes to clip and to skip, without waiting for the device.

    Parameters
    ----------
    norm : array, shape ()
        See `global_norm`.
    max_norm : float, or None for no clipping
    loss : array, shape (), optional
        Of the dtype of `norm`: an update is also skipped if this is not finite.

    Returns
    -------
    scale : float or array of shape ()
        ``min(1, max_norm / (norm + 1e-6))``, 1 where the norm is not finite.
    ok : array of bool, shape ()
        Whether norm and loss are finite.
    """
    if max_norm is not None:
        positive("max_norm", max_norm)
    kernels = _kernels(norm, "clip_coefficient", "norm")
    scale, ok = kernels.clip_coefficient(norm, max_norm, loss)
    return scale, ok


def clip_grads(grads: list[Array], max_norm: float) -> Array:
    """Scale `grads` in place so that their global norm is at most `max_norm`.

    As in DLFS2 (common/util.py): all are multiplied by ``max_norm / (norm + 1e-6)`` if that
    is below 1. Gradients whose norm is not finite are left as they are. Nothing waits for
    the device.

    Parameters
    ----------
    grads : list of array
        All gradients, or one flat buffer of them. A shared one must be listed once.
    max_norm : float

    Returns
    -------
    norm : array, shape ()
        The norm before clipping.
    """
    norm = global_norm(grads)
    scale, _ = clip_coefficient(norm, max_norm)
    for grad in grads:
        grad[...] = grad * scale
    return norm


def clip_values(grads: list[Array], limit: float) -> None:
    """Clamp every element of `grads` to ``[-limit, limit]`` in place, as char-rnn does.

    Take the norm for `ok` before this: it turns infinities into numbers.
    """
    positive("limit", limit)
    for grad in grads:
        grad[...] = clamp(grad, -limit, limit, namespace_of(grad))


def _kernels(array: Array, where: str, what: str) -> Kernels:
    dtype = float_dtype_name(array.dtype, namespace_of(array), where, what)
    return backend_of(array).kernels(dtype)
