"""GRU on NumPy, both variants. The specification is `rnn_xp.kernels.generic.sequence`."""

from typing import Any

from rnn_xp._typing import Array
from rnn_xp.kernels.cpu import gru_reset_after, gru_reset_before
from rnn_xp.kernels.cpu.buffers import begin


def gru_forward(
    x: Array,
    Wx: Array,
    Wh: Array,
    b: Array,
    h0: Array,
    mask: Array | None,
    *,
    keep: bool,
    workspace: Any = None,
) -> tuple[Array, Array, Any]:
    """Fast twin of the generic `gru_forward`; the shape of `b` names the variant.

    Keeps TN(D + 9H) elements for the backward pass (reset before: TN(D + 8H)); the input
    only by reference.
    """
    variant = gru_reset_after if b.ndim == 2 else gru_reset_before
    run = begin(x, Wx, Wh, mask, workspace)
    hs, hT, saved = variant.forward(run, b, h0, keep)
    return hs, hT, (variant, run, saved) if keep else None


def gru_backward(
    dhs: Array | None,
    dhT: Array | None,
    cache: Any,
    grads: list[Array],
    *,
    workspace: Any = None,
) -> tuple[Array, Array]:
    """Fast twin of the generic `gru_backward`; scratch comes from the cache's workspace."""
    variant, run, saved = cache
    run.workspace.check(run.generation, "gru_backward")
    dx, dh0 = variant.backward(run, saved, dhs, dhT, grads)
    return dx, dh0
