"""Dropout masks: drawn on the host by `rnn_xp.rng`, the same on every backend."""

from rnn_xp._typing import Array
from rnn_xp.namespace import namespace_of
from rnn_xp.rng import DropoutKey, draw_dropout_mask


def dropout_mask(shape: tuple[int, ...], ratio: float, key: DropoutKey, like: Array) -> Array:
    """Array of `shape` that is 0 with probability `ratio`, else ``1 / (1 - ratio)``.

    Parameters
    ----------
    shape : tuple of int
    ratio : float
        Probability of a zero, 0 <= ratio < 1, quantised to 1/65536.
    key : DropoutKey
        Seed, stream and counter: what makes the mask the same everywhere and on resume.
    like : array
        Gives namespace, dtype and device.
    """
    xp = namespace_of(like)
    host = draw_dropout_mask(shape, ratio, key)
    return xp.astype(xp.asarray(host, device=like.device), like.dtype)
