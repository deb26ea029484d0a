"""Softmax with cross-entropy, and the same fused with the affine product before it."""

from typing import Any

from rnn_xp._typing import Array
from rnn_xp.namespace import namespace_of

# Rows of logits that exist at a time. 350 rows of a 10,000 word vocabulary are 14 MB.
CHUNK_ROWS = 350


def softmax_cross_entropy(
    logits: Array, targets: Any, *, scale: Any = None
) -> tuple[Array, Array | None]:
    """Loss of each row, and the gradient of ``scale * sum(losses)``.

    ::

        loss_m = log(sum_v exp(a_mv)) - a_m,target        nats
        d loss_m / d a_mv = softmax(a_m)_v - [v == target]

    Parameters
    ----------
    logits : array, shape (M, V)
    targets : Targets
        M target ids (see `rnn_xp.host.Targets`); ignored rows have loss and gradient zero.
    scale : float or 0-d array, optional
        Factor of the gradient, usually 1 / (number of counted rows); None: no gradient.

    Returns
    -------
    losses : array, shape (M,)
        Nats.
    dlogits : array, shape (M, V), or None
    """
    xp = namespace_of(logits)
    shifted = logits - xp.max(logits, axis=1, keepdims=True)
    exp = xp.exp(shifted)
    total = xp.sum(exp, axis=1, keepdims=True)
    vocabulary = xp.arange(logits.shape[1], dtype=targets.ids.dtype, device=logits.device)
    hit = vocabulary[None, :] == targets.ids[:, None]  # (M, V)
    picked = xp.sum(xp.where(hit, shifted, xp.zeros_like(shifted)), axis=1)
    losses = xp.log(total[:, 0]) - picked
    if targets.valid is not None:
        losses = xp.where(targets.valid, losses, xp.zeros_like(losses))
    if scale is None:
        return losses, None
    dlogits = (exp / total - xp.astype(hit, logits.dtype)) * scale
    if targets.valid is not None:
        dlogits = xp.where(targets.valid[:, None], dlogits, xp.zeros_like(dlogits))
    return losses, dlogits


def affine_softmax_cross_entropy(
    x: Array,
    W: Array,
    b: Array | None,
    targets: Any,
    *,
    transposed: bool = False,
    grads: list[Array] | None = None,
    scale: Any = None,
    workspace: Any = None,
) -> tuple[Array, Array | None]:
    """Affine layer, softmax, loss and gradient in chunks of rows.

    The (M, V) logits are never in memory at once: each chunk goes through the product,
    the softmax and the three gradients before the next one starts.

    Parameters
    ----------
    x : array, shape (M, H)
    W : array, shape (H, V), or (V, H) if `transposed`
        `transposed` is how a matrix tied to the embedding comes.
    b : array, shape (V,), or None
    targets : Targets
    grads : list of array, optional
        ``[dW, db]`` (``[dW]`` without `b`), overwritten; None: no gradient is computed.
    scale : float or 0-d array
        Factor of the gradient; needed with `grads`.
    workspace : Workspace, optional

    Returns
    -------
    losses : array, shape (M,)
        Nats; zero where a target is ignored.
    dx : array, shape (M, H), or None
    """
    xp = namespace_of(x)
    matrix = W.T if transposed else W  # (H, V)
    if grads is not None:
        for grad in grads:
            grad[...] = xp.zeros_like(grad)
    losses, dxs = [], []
    M = x.shape[0]
    for start in range(0, M, CHUNK_ROWS):
        stop = min(start + CHUNK_ROWS, M)
        rows = x[start:stop, :]
        logits = rows @ matrix if b is None else rows @ matrix + b
        chunk = targets.rows(start, stop)
        loss, dlogits = softmax_cross_entropy(logits, chunk, scale=None if grads is None else scale)
        losses.append(loss)
        if grads is not None and dlogits is not None:
            dW = dlogits.T @ rows if transposed else rows.T @ dlogits
            grads[0][...] = grads[0] + dW
            if b is not None:
                grads[1][...] = grads[1] + xp.sum(dlogits, axis=0)
            dxs.append(dlogits @ matrix.T)
    return xp.concat(losses, axis=0), None if grads is None else xp.concat(dxs, axis=0)
