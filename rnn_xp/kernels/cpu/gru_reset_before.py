"""GRU whose reset gate acts before the recurrent product (the paper, TensorFlow 1)."""

from typing import Any

import numpy as np

from rnn_xp._typing import Array
from rnn_xp.kernels.cpu.buffers import (
    Run,
    gate_major,
    outputs,
    product_blocks,
    product_into,
    sigmoid_in_place,
    state_stack,
    sum_rows_into,
)
from rnn_xp.kernels.cpu.gru_shared import next_state, update_factors, upstream


def forward(run: Run, b: Array, h0: Array, keep: bool) -> tuple[Array, Array, Any]:
    """``(hs, hT, saved)``; b (3H,)."""
    T, N, H = run.T, run.N, run.H
    a = gate_major(run.project(b), H)  # (T, 3, N, H)
    h = state_stack(run, h0, keep)
    blocks = run.buffer("blocks", T if keep else 1, 3, N, H)  # r, z, n
    inner = run.buffer("inner", T if keep else 1, N, H)  # r * h
    Wh_rz, Wh_n = run.Wh[:, : 2 * H], run.Wh[:, 2 * H :]
    product_rz, product_n = run.product_buffer("rz", 2 * H), run.product_buffer("n", H)
    by_gate = product_blocks(product_rz, H)
    half = np.asarray(0.5, run.x.dtype)
    for t, rows in enumerate(run.held):
        slot = t if keep else 0
        step, h_next = blocks[slot], h[t + 1]
        r, z, n = step
        # r, z = sigmoid(x @ Wx_rz + h @ Wh_rz + b_rz)
        np.matmul(h[t], Wh_rz, out=product_rz)
        np.add(by_gate, a[t, :2], out=step[:2])
        sigmoid_in_place(step[:2], half)
        # n = tanh(x @ Wx_n + (r * h) @ Wh_n + b_n)
        np.multiply(r, h[t], out=inner[slot])
        np.matmul(inner[slot], Wh_n, out=product_n)
        np.add(product_n, a[t, 2], out=n)
        np.tanh(n, out=n)
        # h' = (1 - z) * n + z * h
        next_state(h[t], z, n, rows, h_next)
    return *outputs(run, h, keep), (h, blocks, inner)


def backward(
    run: Run, saved: Any, dhs: Array | None, dhT: Array | None, grads: list[Array]
) -> tuple[Array, Array]:
    """``(dx, dh0)``; overwrites `grads`."""
    h, blocks, inner = saved
    T, N, H = run.T, run.N, run.H
    da = run.buffer("a", T * N, 3 * H)
    steps = da.reshape(T, N, 3 * H)
    by_gate = gate_major(steps, H)  # (T, 3, N, H)
    Wh_transposed = run.transposed(run.Wh)
    Wh_rz_transposed, Wh_n_transposed = Wh_transposed[: 2 * H], Wh_transposed[2 * H :]
    size = run.chunk_steps(3)
    factors = run.buffer("factors", size, 3, N, H)
    dh, through = run.buffer("dh", N, H), run.buffer("through", N, H)
    part = run.buffer("part", N, H)
    dinner, product = run.product_buffer("dinner", H), run.product_buffer("dproduct", H)
    # product + through is what reaches h from the later steps
    product[...] = 0 if dhT is None else dhT
    through[...] = 0
    for stop in range(T, 0, -size):
        start = max(0, stop - size)
        _derivative_factors(blocks[start:stop], h[start:stop], factors[: stop - start])
        for t in range(stop - 1, start - 1, -1):
            rows, factor = run.held[t], factors[t - start]
            kept = upstream(product, through, None if dhs is None else dhs[t], rows, dh)
            # da_z, da_n from dh';  dinner = da_n @ Wh_n.T;  da_r = dinner * h * r * (1 - r)
            np.multiply(dh, factor[1:], out=by_gate[t, 1:])
            np.matmul(steps[t, :, 2 * H :], Wh_n_transposed, out=dinner)
            np.multiply(dinner, factor[0], out=by_gate[t, 0])
            # dh = da_rz @ Wh_rz.T + dinner * r + dh' * z
            np.multiply(dh, blocks[t, 1], out=through)
            np.multiply(dinner, blocks[t, 0], out=part)
            np.add(through, part, out=through)
            np.matmul(steps[t, :, : 2 * H], Wh_rz_transposed, out=product)
            if rows is not None:
                through[rows] = kept
    dWx, dWh, db = grads
    product_into(run.x.T, da, dWx)
    product_into(h[:T].reshape(T * N, H).T, da[:, : 2 * H], dWh[:, : 2 * H])
    product_into(inner.reshape(T * N, H).T, da[:, 2 * H :], dWh[:, 2 * H :])
    sum_rows_into(da, db)
    dx = np.matmul(da, run.Wx.T).reshape(T, N, -1)
    return dx, np.add(product, through, order="C")


def _derivative_factors(blocks: Array, h: Array, out: Array) -> None:
    """What dinner is multiplied by to give da_r, and dh' to give da_z and da_n."""
    r, z, n = np.moveaxis(blocks, 1, 0)
    da_r, da_z, da_n = np.moveaxis(out, 1, 0)
    update_factors(h, z, n, da_r, da_z, da_n)
    # da_r = dinner * h * r * (1 - r)
    np.subtract(1, r, out=da_r)
    np.multiply(da_r, r, out=da_r)
    np.multiply(da_r, h, out=da_r)
