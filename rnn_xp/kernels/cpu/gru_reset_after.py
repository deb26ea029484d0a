"""GRU whose reset gate acts after the recurrent product (PyTorch, cuDNN, Keras' default)."""

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
    """``(hs, hT, saved)``; b (2, 3H)."""
    T, N, H = run.T, run.N, run.H
    # Both biases of r and z are added to x @ Wx; that of n stays inside the reset.
    bias = b[0].copy()
    bias[: 2 * H] += b[1, : 2 * H]
    a = gate_major(run.project(bias, 4 * H), H)  # (T, 3, N, H)
    h = state_stack(run, h0, keep)
    blocks = run.buffer("blocks", T if keep else 1, 4, N, H)  # r, z, n, inner
    product = run.product_buffer("product", 3 * H)
    by_gate = product_blocks(product, H)
    half = np.asarray(0.5, run.x.dtype)
    for t, rows in enumerate(run.held):
        step, h_next = blocks[t if keep else 0], h[t + 1]
        r, z, n, inner = step
        np.matmul(h[t], run.Wh, out=product)
        # r, z = sigmoid(x @ Wx_rz + h @ Wh_rz + biases)
        np.add(by_gate[:2], a[t, :2], out=step[:2])
        sigmoid_in_place(step[:2], half)
        # n = tanh(x @ Wx_n + b0_n + r * inner),  inner = h @ Wh_n + b1_n
        np.add(by_gate[2], b[1, 2 * H :], out=inner)
        np.multiply(r, inner, out=n)
        np.add(n, a[t, 2], out=n)
        np.tanh(n, out=n)
        # h' = (1 - z) * n + z * h
        next_state(h[t], z, n, rows, h_next)
    return *outputs(run, h, keep), (h, blocks)


def backward(
    run: Run, saved: Any, dhs: Array | None, dhT: Array | None, grads: list[Array]
) -> tuple[Array, Array]:
    """``(dx, dh0)``; overwrites `grads`."""
    h, blocks = saved
    T, N, H = run.T, run.N, run.H
    # Gradients of a_r, a_z, inner and a_n: the first three go through Wh; afterwards
    # a_n takes the place of inner, and the first three go through Wx.
    da = run.buffer("a", T * N, 4 * H)
    steps = da.reshape(T, N, 4 * H)
    by_gate = gate_major(steps, H)  # (T, 4, N, H)
    dah = steps[:, :, : 3 * H]
    size = run.chunk_steps(4)
    factors = run.buffer("factors", size, 4, N, H)
    dh, through = run.buffer("dh", N, H), run.buffer("through", N, H)
    product = run.product_buffer("dproduct", H)
    # product + through is what reaches h from the later steps
    product[...] = 0 if dhT is None else dhT
    Wh_transposed = run.transposed(run.Wh)
    through[...] = 0
    for stop in range(T, 0, -size):
        start = max(0, stop - size)
        _derivative_factors(blocks[start:stop], h[start:stop], factors[: stop - start])
        for t in range(stop - 1, start - 1, -1):
            rows = run.held[t]
            kept = upstream(product, through, None if dhs is None else dhs[t], rows, dh)
            np.multiply(dh, factors[t - start], out=by_gate[t])
            # dh = dah @ Wh.T + dh' * z
            np.multiply(dh, blocks[t, 1], out=through)
            np.matmul(dah[t], Wh_transposed, out=product)
            if rows is not None:
                through[rows] = kept
    dWx, dWh, db = grads
    da_three = da[:, : 3 * H]
    product_into(h[:T].reshape(T * N, H).T, da_three, dWh)
    sum_rows_into(da_three, db[1])
    da[:, 2 * H : 3 * H] = da[:, 3 * H :]
    product_into(run.x.T, da_three, dWx)
    sum_rows_into(da_three, db[0])
    dx = np.matmul(da_three, run.Wx.T).reshape(T, N, -1)
    return dx, np.add(product, through, order="C")


def _derivative_factors(blocks: Array, h: Array, out: Array) -> None:
    """What dh' is multiplied by to give da_r, da_z, dinner and da_n, for some steps at once."""
    r, z, n, inner = np.moveaxis(blocks, 1, 0)
    da_r, da_z, dinner, da_n = np.moveaxis(out, 1, 0)
    update_factors(h, z, n, da_r, da_z, da_n)
    # dinner = da_n * r
    np.multiply(da_n, r, out=dinner)
    # da_r = da_n * inner * r * (1 - r)
    np.subtract(1, r, out=da_r)
    np.multiply(da_r, inner, out=da_r)
    np.multiply(da_r, dinner, out=da_r)
