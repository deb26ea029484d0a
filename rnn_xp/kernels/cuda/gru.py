"""GRU on CuPy, both variants. The specification is `rnn_xp.kernels.generic.sequence`."""

from typing import Any

from rnn_xp._typing import Array
from rnn_xp.kernels.cuda import gru_reset_after, gru_reset_before
from rnn_xp.kernels.cuda.sequence_buffers import begin, consume
from rnn_xp.kernels.table import FastKernels


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
    precision: str = "float32",
) -> tuple[Array, Array, Any]:
    """Fast twin of the generic `gru_forward`; the shape of `b` names the variant.

    A product and a kernel a step; reset before: two of each, because the reset gate stands
    between two products. Keeps TN(D + 7H) elements for the backward pass (reset before:
    TN(D + 5H)), the input only by reference unless there is a mask; in 16-bit precisions 7TNH
    elements (4TNH) and the bits of TN(D + H) (TN(D + 2H)).
    """
    variant = gru_reset_after if b.ndim == 2 else gru_reset_before
    run = begin(x, Wx, Wh, mask, workspace, keep=keep, precision=precision)
    hs, hT, saved = variant.forward(run, b, h0, keep)
    return hs, hT, (variant, run, saved) if keep else None


def gru_backward(
    dhs: Array | None,
    dhT: Array | None,
    cache: Any,
    grads: list[Array],
    *,
    workspace: Any = None,
    precision: str = "float32",
) -> tuple[Array, Array]:
    """Fast twin of the generic `gru_backward`: a kernel and a product a step, or two of each.

    Uses the cache up; its precision is that of the forward pass.
    """
    variant, run, saved = cache
    consume(run, "gru_backward")
    dx, dh0 = variant.backward(run, saved, dhs, dhT, grads)
    return dx, dh0


GRU = FastKernels(
    functions={"gru_forward": gru_forward, "gru_backward": gru_backward},
    dtypes=frozenset({"float32", "float64"}),
    precise=frozenset({"gru_forward", "gru_backward"}),
)
