"""GRU whose reset gate acts after the recurrent product, compiled."""

from typing import Any

import numpy as np

from rnn_xp._typing import Array
from rnn_xp.kernels.compiled.functions import sigmoid_of_sum, tanh
from rnn_xp.kernels.compiled.gru_passes import next_h, through_h
from rnn_xp.kernels.compiled.jit import compiled
from rnn_xp.kernels.compiled.passes import (
    add_row,
    arriving,
    counted_steps,
    final_gradient,
    first_gradient,
    gradient_product,
    project,
    stack_of_states,
    upstream,
    vector,
)
from rnn_xp.kernels.cpu.buffers import Run, product_into, sum_rows_into


def forward(
    run: Run, b: Array, h0: Array, mask: Array | None, keep: bool
) -> tuple[Array, Array, Any]:
    """``(hs, hT, saved)``; b (2, 3H)."""
    T, N, H = run.T, run.N, run.H
    # Columns of a step: first a_r, a_z, a_n; then r, z, inner, n; in the backward pass the
    # gradients of a_r, a_z, inner and a_n.
    a = project(run, 4 * H)
    counts, bias = counted_steps(run, mask), vector(run, b)
    h = stack_of_states(run, "h", h0, keep)
    hs = np.empty((T, N, H), run.x.dtype)
    product = run.buffer("product", N, 3 * H)
    period = len(h)
    for t in range(T):
        now, then = t % period, (t + 1) % period
        np.matmul(h[now], run.Wh, out=product)
        _forward_step(a, product, bias, h, hs, counts, t, now, then)
    return hs, h[T % period].copy(), (a, h, counts)


def backward(
    run: Run, saved: Any, dhs: Array | None, dhT: Array | None, grads: list[Array]
) -> tuple[Array, Array]:
    """``(dx, dh0)``; overwrites `grads`."""
    a, h, counts = saved
    T, N, H = run.T, run.N, run.H
    given, dh = upstream(run, dhs), final_gradient(run, "dh", dhT)
    product, arrived, by_columns = gradient_product(run, "dproduct")
    through = run.buffer("through", N, H)
    Wh_transposed = run.transposed(run.Wh)
    for t in range(T - 1, -1, -1):
        _backward_step(a, arrived, by_columns, dh, through, given, h, counts, t, t % len(given))
        np.matmul(a[t, :, : 3 * H], Wh_transposed, out=product)
    # The first three gradients go through Wh; then a_n takes the place of inner, and the
    # first three go through Wx.
    da = a.reshape(T * N, 4 * H)
    da_three = da[:, : 3 * H]
    dWx, dWh, db = grads
    product_into(h[:T].reshape(T * N, H).T, da_three, dWh)
    sum_rows_into(da_three, db[1])
    da[:, 2 * H : 3 * H] = da[:, 3 * H :]
    product_into(run.x.T, da_three, dWx)
    sum_rows_into(da_three, db[0])
    dx = np.matmul(da_three, run.Wx.T).reshape(T, N, -1)
    return dx, first_gradient(counts, product + through, dh)


@compiled
def _forward_step(
    a: Array,
    product: Array,
    bias: Array,
    h: Array,
    hs: Array,
    counts: Array,
    t: int,
    now: int,
    then: int,
) -> None:
    """One step: a from pre-activations to r, z, inner, n; the next h; hs."""
    H = h.shape[2]
    for n in range(h.shape[1]):
        if not counts[t, n]:
            h[then, n] = h[now, n]
            hs[t, n] = 0.0
            continue
        row, arrived = a[t, n], product[n]
        # r, z = sigmoid(x @ Wx_rz + h @ Wh_rz + both biases)
        _add_both(arrived[: 2 * H], bias[1, : 2 * H])
        sigmoid_of_sum(row[: 2 * H], arrived[: 2 * H], bias[0, : 2 * H])
        _inner_and_n(row[:H], row[2 * H : 3 * H], row[3 * H :], arrived[2 * H :], bias[:, 2 * H :])
        next_h(row[3 * H :], row[H : 2 * H], h[now, n], h[then, n])
        hs[t, n] = h[then, n]


@compiled
def _add_both(row: Array, bias: Array) -> None:
    """``row += bias``."""
    for j in range(row.size):
        row[j] += bias[j]


@compiled
def _inner_and_n(r: Array, middle: Array, n: Array, product: Array, bias: Array) -> None:
    """``inner = h @ Wh_n + b1_n`` and ``n = tanh(x @ Wx_n + b0_n + r inner)``.

    `middle` holds x @ Wx_n before, and inner after.
    """
    for j in range(r.size):
        inner = product[j] + bias[1, j]
        n[j] = tanh(middle[j] + (bias[0, j] + r[j] * inner))
        middle[j] = inner


@compiled
def _backward_step(
    a: Array,
    arrived: Array,
    by_columns: bool,
    dh: Array,
    through: Array,
    dhs: Array,
    h: Array,
    counts: Array,
    t: int,
    t_dhs: int,
) -> None:
    """One step: a from r, z, inner, n to their gradients; what goes past Wh to `through`."""
    N, H = dh.shape
    for n in range(N):
        arriving(arrived, by_columns, dh, counts, t, n)
        if t + 1 < counts.shape[0] and counts[t + 1, n]:
            add_row(through[n], dh[n])
        row = a[t, n]
        if not counts[t, n]:
            row[:] = 0.0
            through[n] = 0.0
            continue
        add_row(dhs[t_dhs, n], dh[n])
        through_h(dh[n], row[H : 2 * H], row[3 * H :], h[t, n], through[n])
        _through_inner(row[:H], row[2 * H : 3 * H], row[3 * H :])


@compiled
def _through_inner(r: Array, inner: Array, da_n: Array) -> None:
    """``da_r = da_n inner r (1 - r)`` and ``dinner = da_n r``."""
    one = np.float32(1.0)
    for j in range(r.size):
        part = da_n[j] * r[j]
        r[j] = part * inner[j] * (one - r[j])
        inner[j] = part
