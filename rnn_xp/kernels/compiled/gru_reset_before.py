"""GRU whose reset gate acts before the recurrent product, compiled."""

from typing import Any

import numpy as np

from rnn_xp._typing import Array
from rnn_xp.kernels.compiled.functions import sigmoid_of_sum, tanh_of_sum
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
    take_row,
    upstream,
    vector,
)
from rnn_xp.kernels.cpu.buffers import Run, product_into, sum_rows_into


def forward(
    run: Run, b: Array, h0: Array, mask: Array | None, keep: bool
) -> tuple[Array, Array, Any]:
    """``(hs, hT, saved)``; b (3H,)."""
    T, N, H = run.T, run.N, run.H
    a = project(run)  # a_r, a_z, a_n; then r, z, n; in the backward pass their gradients
    counts, bias = counted_steps(run, mask), vector(run, b)
    h = stack_of_states(run, "h", h0, keep)
    inner = run.buffer("inner", T if keep else 1, N, H)  # r * h
    hs = np.empty((T, N, H), run.x.dtype)
    product_rz, product_n = run.buffer("rz", N, 2 * H), run.buffer("n", N, H)
    Wh_rz, Wh_n = run.Wh[:, : 2 * H], run.Wh[:, 2 * H :]
    period = len(h)
    for t in range(T):
        now, then, slot = t % period, (t + 1) % period, t % len(inner)
        np.matmul(h[now], Wh_rz, out=product_rz)
        _gates(a, product_rz, bias, h, inner, counts, t, now, slot)
        np.matmul(inner[slot], Wh_n, out=product_n)
        _state(a, product_n, bias, h, hs, counts, t, now, then)
    return hs, h[T % period].copy(), (a, h, inner, counts)


def backward(
    run: Run, saved: Any, dhs: Array | None, dhT: Array | None, grads: list[Array]
) -> tuple[Array, Array]:
    """``(dx, dh0)``; overwrites `grads`."""
    a, h, inner, counts = saved
    T, N, H = run.T, run.N, run.H
    given, dh = upstream(run, dhs), final_gradient(run, "dh", dhT)
    product, arrived, by_columns = gradient_product(run, "dproduct")
    dinner, inner_arrived, inner_columns = gradient_product(run, "dinner")
    through = run.buffer("through", N, H)
    Wh_transposed = run.transposed(run.Wh)
    Wh_rz_transposed, Wh_n_transposed = Wh_transposed[: 2 * H], Wh_transposed[2 * H :]
    for t in range(T - 1, -1, -1):
        _backward_state(a, arrived, by_columns, dh, through, given, h, counts, t, t % len(given))
        np.matmul(a[t, :, 2 * H :], Wh_n_transposed, out=dinner)
        _backward_gates(a, inner_arrived, inner_columns, dh, through, h, counts, t)
        np.matmul(a[t, :, : 2 * H], Wh_rz_transposed, out=product)
    da = a.reshape(T * N, 3 * H)
    dWx, dWh, db = grads
    product_into(run.x.T, da, dWx)
    product_into(h[:T].reshape(T * N, H).T, da[:, : 2 * H], dWh[:, : 2 * H])
    product_into(inner.reshape(T * N, H).T, da[:, 2 * H :], dWh[:, 2 * H :])
    sum_rows_into(da, db)
    dx = np.matmul(da, run.Wx.T).reshape(T, N, -1)
    return dx, first_gradient(counts, product + through, dh)


@compiled
def _gates(
    a: Array,
    product: Array,
    bias: Array,
    h: Array,
    inner: Array,
    counts: Array,
    t: int,
    now: int,
    slot: int,
) -> None:
    """First half of a step: ``r, z = sigmoid(...)`` and ``inner = r h``."""
    H = h.shape[2]
    for n in range(h.shape[1]):
        if not counts[t, n]:
            inner[slot, n] = 0.0
            continue
        row = a[t, n, : 2 * H]
        sigmoid_of_sum(row, product[n], bias[: 2 * H])
        _reset(row[:H], h[now, n], inner[slot, n])


@compiled
def _reset(r: Array, h: Array, inner: Array) -> None:
    """``inner = r h``."""
    for j in range(h.size):
        inner[j] = r[j] * h[j]


@compiled
def _state(
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
    """Second half of a step: ``n = tanh(...)``, the next h, and hs."""
    H = h.shape[2]
    for n in range(h.shape[1]):
        if not counts[t, n]:
            h[then, n] = h[now, n]
            hs[t, n] = 0.0
            continue
        row = a[t, n]
        tanh_of_sum(row[2 * H :], product[n], bias[2 * H :])
        next_h(row[2 * H :], row[H : 2 * H], h[now, n], h[then, n])
        hs[t, n] = h[then, n]


@compiled
def _backward_state(
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
    """Gradients of a_z and a_n in place of z and n; what goes past the products to `through`."""
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
        through_h(dh[n], row[H : 2 * H], row[2 * H :], h[t, n], through[n])


@compiled
def _backward_gates(
    a: Array,
    arrived: Array,
    by_columns: bool,
    dh: Array,
    through: Array,
    h: Array,
    counts: Array,
    t: int,
) -> None:
    """``through += dinner r`` and ``da_r = dinner h r (1 - r)``, in place of r."""
    N, H = dh.shape
    for n in range(N):
        if counts[t, n]:
            dinner = dh[n]  # its contents have been used
            take_row(arrived, by_columns, n, dinner)
            _through_reset(dinner, a[t, n, :H], h[t, n], through[n])


@compiled
def _through_reset(dinner: Array, r: Array, h: Array, through: Array) -> None:
    one = np.float32(1.0)
    for j in range(h.size):
        part = dinner[j] * r[j]
        through[j] += part
        r[j] = part * h[j] * (one - r[j])
