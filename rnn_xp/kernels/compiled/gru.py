"""GRU, compiled, both variants. The specification is `rnn_xp.kernels.generic.sequence`."""

from typing import Any

from rnn_xp._typing import Array
from rnn_xp.kernels.compiled import gru_reset_after, gru_reset_before
from rnn_xp.kernels.compiled.passes import consume
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
    """Compiled twin of the generic `gru_forward`; the shape of `b` names the variant.

    Keeps TN(D + 5H) elements for the backward pass; the input only by reference.
    """
    variant = gru_reset_after if b.ndim == 2 else gru_reset_before
    run = begin(x, Wx, Wh, mask, workspace, hold=False)
    hs, hT, saved = variant.forward(run, b, h0, mask, keep)
    return hs, hT, (variant, run, saved) if keep else None


def gru_backward(
    dhs: Array | None,
    dhT: Array | None,
    cache: Any,
    grads: list[Array],
    *,
    workspace: Any = None,
) -> tuple[Array, Array]:
    """Compiled twin of the generic `gru_backward`; uses the cache up."""
    variant, run, saved = cache
    consume(run, "gru_backward")
    dx, dh0 = variant.backward(run, saved, dhs, dhT, grads)
    return dx, dh0
