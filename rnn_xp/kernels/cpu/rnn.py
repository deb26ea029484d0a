"""Simple tanh recurrent layer on NumPy. The specification is `rnn_xp.kernels.generic.sequence`."""

from typing import Any

import numpy as np

from rnn_xp._typing import Array
from rnn_xp.kernels.cpu.buffers import (
    begin,
    outputs,
    product_into,
    state_stack,
    sum_rows_into,
)


def rnn_forward(
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
    """Fast twin of the generic `rnn_forward`.

    Keeps TN(D + 2H) elements for the backward pass (the input only by reference).
    """
    run = begin(x, Wx, Wh, mask, workspace)
    a = run.project(b)
    h = state_stack(run, h0, keep)
    product = run.product_buffer("product", run.H)
    for t, rows in enumerate(run.held):
        h_next = h[t + 1]
        # h' = tanh(x @ Wx + h @ Wh + b)
        np.matmul(h[t], Wh, out=product)
        np.add(product, a[t], out=h_next)
        np.tanh(h_next, out=h_next)
        if rows is not None:
            h_next[rows] = h[t, rows]
    hs, hT = outputs(run, h, keep)
    return hs, hT, (run, h) if keep else None


def rnn_backward(
    dhs: Array | None,
    dhT: Array | None,
    cache: Any,
    grads: list[Array],
    *,
    workspace: Any = None,
) -> tuple[Array, Array]:
    """Fast twin of the generic `rnn_backward`; scratch comes from the cache's workspace."""
    run, h = cache
    run.workspace.check(run.generation, "rnn_backward")
    T, N, H = run.T, run.N, run.H
    da = run.buffer("a", T * N, H)
    steps = da.reshape(T, N, H)
    # da = dh * (1 - h' * h'): the factor of all steps first, dh in the loop
    np.multiply(h[1:], h[1:], out=steps)
    np.subtract(1, steps, out=steps)
    dh = run.buffer("dh", N, H)
    product = run.product_buffer("product", H)  # what reaches h from the later steps
    product[...] = 0 if dhT is None else dhT
    Wh_transposed = run.transposed(run.Wh)
    for t in range(T - 1, -1, -1):
        rows = run.held[t]
        if dhs is None:
            np.copyto(dh, product)
        else:
            np.add(product, dhs[t], out=dh)
        if rows is not None:
            through = product[rows]
            dh[rows] = 0
        np.multiply(steps[t], dh, out=steps[t])
        np.matmul(steps[t], Wh_transposed, out=product)
        if rows is not None:
            product[rows] = through
    dWx, dWh, db = grads
    product_into(run.x.T, da, dWx)
    product_into(h[:T].reshape(T * N, H).T, da, dWh)
    sum_rows_into(da, db)
    dx = np.matmul(da, run.Wx.T).reshape(T, N, -1)
    return dx, product.copy(order="C")
