"""Embedding: rows of a matrix by token id, and the gradient of that choice."""

from typing import Any

from rnn_xp._typing import Array
from rnn_xp.namespace import namespace_of


def embedding_forward(W: Array, ids: Any) -> Array:
    """Rows of `W` (V, D) named by `ids`, a `rnn_xp.host.TokenIds` of M ids: shape (M, D)."""
    return namespace_of(W).take(W, ids.device, axis=0)


def embedding_backward(dout: Array, ids: Any, dW: Array, *, accumulate: bool = False) -> None:
    """Gradient with respect to the matrix: row v of `dW` is the sum of `dout` where id is v.

    The standard has no scatter-add; the specification is the product with the one-hot
    matrix of the ids.

    Parameters
    ----------
    dout : array, shape (M, D)
    ids : TokenIds
    dW : array, shape (V, D)
        Overwritten as a whole, or added to if `accumulate` (a matrix tied to the output
        layer).
    """
    xp = namespace_of(dout)
    vocabulary = xp.arange(dW.shape[0], dtype=ids.device.dtype, device=dW.device)
    one_hot = xp.astype(vocabulary[:, None] == ids.device[None, :], dout.dtype)  # (V, M)
    rows = one_hot @ dout
    dW[...] = dW + rows if accumulate else rows
