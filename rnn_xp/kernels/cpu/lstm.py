"""LSTM on NumPy. The specification is `rnn_xp.kernels.generic.sequence`."""

from typing import Any

import numpy as np

from rnn_xp._typing import Array
from rnn_xp.kernels.cpu.buffers import (
    begin,
    gate_major,
    outputs,
    product_blocks,
    product_into,
    state_stack,
    sum_rows_into,
)


def lstm_forward(
    x: Array,
    Wx: Array,
    Wh: Array,
    b: Array,
    h0: Array,
    c0: Array,
    mask: Array | None,
    *,
    keep: bool,
    workspace: Any = None,
) -> tuple[Array, Array, Array, Any]:
    """Fast twin of the generic `lstm_forward`.

    Keeps TN(D + 11H) elements for the backward pass (the input only by reference).
    """
    run = begin(x, Wx, Wh, mask, workspace)
    T, N, H = run.T, run.N, run.H
    a = gate_major(run.project(b), H)  # (T, 4, N, H)
    h = state_stack(run, h0, keep)
    # Blocks of a step: o, i, f, g, c, tanh(c'). The sigmoids lie together, and i, f
    # beside what they multiply. Step t writes its c' into the blocks of step t + 1.
    period = T + 1 if keep else 2
    blocks = run.buffer("blocks", period, 6, N, H)
    blocks[0, 4] = c0
    products = run.buffer("products", 2, N, H)
    product = run.product_buffer("product", 4 * H)
    by_gate = product_blocks(product, H)
    half = np.asarray(0.5, run.x.dtype)
    for t, rows in enumerate(run.held):
        step = blocks[t % period]
        c_next = blocks[(t + 1) % period, 4]
        sigmoids, gates = step[:3], step[:4]
        # a = x @ Wx + h @ Wh + b
        np.matmul(h[t], Wh, out=product)
        np.add(by_gate[:3], a[t, :3], out=step[1:4])
        np.add(by_gate[3], a[t, 3], out=step[0])
        # i, f, o = sigmoid(a_i), sigmoid(a_f), sigmoid(a_o);  g = tanh(a_g)
        np.multiply(sigmoids, half, out=sigmoids)
        np.tanh(gates, out=gates)
        np.multiply(sigmoids, half, out=sigmoids)
        np.add(sigmoids, half, out=sigmoids)
        # c' = f * c + i * g
        np.multiply(step[1:3], step[3:5], out=products)
        np.add(products[0], products[1], out=c_next)
        # h' = o * tanh(c')
        np.tanh(c_next, out=step[5])
        np.multiply(step[0], step[5], out=h[t + 1])
        if rows is not None:
            c_next[rows] = step[4, rows]
            h[t + 1, rows] = h[t, rows]
    hs, hT = outputs(run, h, keep)
    cT = blocks[T % period, 4].copy()
    return hs, hT, cT, (run, h, blocks) if keep else None


def lstm_backward(
    dhs: Array | None,
    dhT: Array | None,
    dcT: Array | None,
    cache: Any,
    grads: list[Array],
    *,
    workspace: Any = None,
) -> tuple[Array, Array, Array]:
    """Fast twin of the generic `lstm_backward`; scratch comes from the cache's workspace."""
    run, h, blocks = cache
    run.workspace.check(run.generation, "lstm_backward")
    T, N, H = run.T, run.N, run.H
    da = run.buffer("a", T * N, 4 * H)
    steps = da.reshape(T, N, 4 * H)
    by_gate = gate_major(steps, H)  # (T, 4, N, H)
    size = run.chunk_steps(5)
    factors = run.buffer("factors", size, 5, N, H)
    dh, dc, part = run.buffer("dh", N, H), run.buffer("dc", N, H), run.buffer("part", N, H)
    dc[...] = 0 if dcT is None else dcT
    product = run.product_buffer("dproduct", H)  # what reaches h from the later steps
    product[...] = 0 if dhT is None else dhT
    Wh_transposed = run.transposed(run.Wh)
    for stop in range(T, 0, -size):
        start = max(0, stop - size)
        _derivative_factors(blocks[start:stop], factors[: stop - start])
        for t in range(stop - 1, start - 1, -1):
            rows = run.held[t]
            factor = factors[t - start]
            if dhs is None:
                np.copyto(dh, product)
            else:
                np.add(product, dhs[t], out=dh)
            if rows is not None:
                through_h, through_c = product[rows], dc[rows]
                dh[rows] = 0
                dc[rows] = 0
            # dc' += dh' * o * (1 - tanh_c * tanh_c)
            np.multiply(dh, factor[4], out=part)
            np.add(dc, part, out=dc)
            # da = dc' * g * i * (1 - i), dc' * c * f * (1 - f), dc' * i * (1 - g * g),
            #      dh' * tanh_c * o * (1 - o)
            np.multiply(dc, factor[1:4], out=by_gate[t, :3])
            np.multiply(dh, factor[0], out=by_gate[t, 3])
            # dc = dc' * f;  dh = da @ Wh.T
            np.multiply(dc, blocks[t, 2], out=dc)
            np.matmul(steps[t], Wh_transposed, out=product)
            if rows is not None:
                product[rows] = through_h
                dc[rows] = through_c
    dWx, dWh, db = grads
    product_into(run.x.T, da, dWx)
    product_into(h[:T].reshape(T * N, H).T, da, dWh)
    sum_rows_into(da, db)
    dx = np.matmul(da, run.Wx.T).reshape(T, N, -1)
    return dx, product.copy(order="C"), dc.copy()


def _derivative_factors(blocks: Array, out: Array) -> None:
    """What the gradients are multiplied by, for some steps at once.

    From blocks o, i, f, g, c, tanh(c') to the factors of dh' in da_o, of dc' in da_i, da_f
    and da_g, and of dh' in dc'.
    """
    o, i, tanh_c = blocks[:, 0], blocks[:, 1], blocks[:, 5]
    np.multiply(blocks[:, :4], blocks[:, :4], out=out[:, :4])
    np.subtract(blocks[:, :3], out[:, :3], out=out[:, :3])  # s * (1 - s) for o, i, f
    np.subtract(1, out[:, 3], out=out[:, 3])  # 1 - g * g
    np.multiply(out[:, 0], tanh_c, out=out[:, 0])
    np.multiply(out[:, 1:3], blocks[:, 3:5], out=out[:, 1:3])  # times g, times c
    np.multiply(out[:, 3], i, out=out[:, 3])
    np.multiply(tanh_c, tanh_c, out=out[:, 4])
    np.subtract(1, out[:, 4], out=out[:, 4])
    np.multiply(out[:, 4], o, out=out[:, 4])
