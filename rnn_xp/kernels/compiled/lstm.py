"""LSTM, compiled. The specification is `rnn_xp.kernels.generic.sequence`."""

from typing import Any

import numpy as np

from rnn_xp._typing import Array
from rnn_xp.kernels.compiled.functions import sigmoid_of_sum, tanh, tanh_of_sum
from rnn_xp.kernels.compiled.jit import compiled
from rnn_xp.kernels.compiled.passes import (
    add_row,
    arriving,
    consume,
    counted_steps,
    final_gradient,
    first_gradient,
    gradient_product,
    project,
    stack_of_states,
    upstream,
    vector,
)
from rnn_xp.kernels.cpu.buffers import begin, product_into, sum_rows_into


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
    """Compiled twin of the generic `lstm_forward`.

    Keeps TN(D + 6H) elements for the backward pass (the input only by reference).
    """
    run = begin(x, Wx, Wh, mask, workspace, hold=False)
    T, N, H = run.T, run.N, run.H
    a = project(run)
    counts, bias = counted_steps(run, mask), vector(run, b)
    h, c = stack_of_states(run, "h", h0, keep), stack_of_states(run, "c", c0, keep)
    hs = np.empty((T, N, H), run.x.dtype)
    product = run.buffer("product", N, 4 * H)
    period = len(h)
    for t in range(T):
        now, then = t % period, (t + 1) % period
        np.matmul(h[now], Wh, out=product)
        _forward_step(a, product, bias, h, c, hs, counts, t, now, then)
    last = T % period
    return hs, h[last].copy(), c[last].copy(), (run, a, h, c, counts) if keep else None


def lstm_backward(
    dhs: Array | None,
    dhT: Array | None,
    dcT: Array | None,
    cache: Any,
    grads: list[Array],
    *,
    workspace: Any = None,
) -> tuple[Array, Array, Array]:
    """Compiled twin of the generic `lstm_backward`; uses the cache up."""
    run, a, h, c, counts = cache
    consume(run, "lstm_backward")
    T, N, H = run.T, run.N, run.H
    given = upstream(run, dhs)
    dh, dc = final_gradient(run, "dh", dhT), final_gradient(run, "dc", dcT)
    product, arrived, by_columns = gradient_product(run, "dproduct")
    Wh_transposed = run.transposed(run.Wh)
    for t in range(T - 1, -1, -1):
        _backward_step(a, arrived, by_columns, dh, dc, given, c, counts, t, t % len(given))
        np.matmul(a[t], Wh_transposed, out=product)
    da = a.reshape(T * N, 4 * H)
    dWx, dWh, db = grads
    product_into(run.x.T, da, dWx)
    product_into(h[:T].reshape(T * N, H).T, da, dWh)
    sum_rows_into(da, db)
    dx = np.matmul(da, run.Wx.T).reshape(T, N, -1)
    return dx, first_gradient(counts, product, dh), dc.copy()


@compiled
def _forward_step(
    a: Array,
    product: Array,
    bias: Array,
    h: Array,
    c: Array,
    hs: Array,
    counts: Array,
    t: int,
    now: int,
    then: int,
) -> None:
    """One step: a from pre-activations to i, f, g, o; the next h and c; hs."""
    H = h.shape[2]
    for n in range(h.shape[1]):
        if not counts[t, n]:
            h[then, n] = h[now, n]
            c[then, n] = c[now, n]
            hs[t, n] = 0.0
            continue
        row, through = a[t, n], product[n]
        # i, f, o = sigmoid(a_i), sigmoid(a_f), sigmoid(a_o);  g = tanh(a_g)
        sigmoid_of_sum(row[: 2 * H], through[: 2 * H], bias[: 2 * H])
        tanh_of_sum(row[2 * H : 3 * H], through[2 * H : 3 * H], bias[2 * H : 3 * H])
        sigmoid_of_sum(row[3 * H :], through[3 * H :], bias[3 * H :])
        _next_c(row[:H], row[H : 2 * H], row[2 * H : 3 * H], c[now, n], c[then, n])
        _next_h(row[3 * H :], c[then, n], hs[t, n])
        h[then, n] = hs[t, n]


@compiled
def _next_c(i: Array, f: Array, g: Array, c: Array, c_next: Array) -> None:
    """``c' = f * c + i * g``."""
    for j in range(c.size):
        c_next[j] = f[j] * c[j] + i[j] * g[j]


@compiled
def _next_h(o: Array, c_next: Array, h_next: Array) -> None:
    """``h' = o * tanh(c')``."""
    for j in range(o.size):
        h_next[j] = o[j] * tanh(c_next[j])


@compiled
def _backward_step(
    a: Array,
    arrived: Array,
    by_columns: bool,
    dh: Array,
    dc: Array,
    dhs: Array,
    c: Array,
    counts: Array,
    t: int,
    t_dhs: int,
) -> None:
    """One step: a from i, f, g, o to their da; dc from that of c' to that of c."""
    N, H = dc.shape
    for n in range(N):
        arriving(arrived, by_columns, dh, counts, t, n)
        row = a[t, n]
        if not counts[t, n]:
            row[:] = 0.0
            continue
        add_row(dhs[t_dhs, n], dh[n])
        _through_h(dh[n], row[3 * H :], c[t + 1, n], dc[n])
        _through_i_g(row[:H], row[2 * H : 3 * H], dc[n])
        _through_f(row[H : 2 * H], c[t, n], dc[n])


@compiled
def _through_h(dh: Array, o: Array, c_next: Array, dc: Array) -> None:
    """``dc' += dh' o (1 - tanh(c')^2)`` and ``da_o = dh' tanh(c') o (1 - o)``."""
    one = np.float32(1.0)
    for j in range(dh.size):
        tanh_c = tanh(c_next[j])
        part = dh[j] * o[j]
        dc[j] += part * (one - tanh_c * tanh_c)
        o[j] = part * tanh_c * (one - o[j])


@compiled
def _through_i_g(i: Array, g: Array, dc: Array) -> None:
    """``da_i = dc' g i (1 - i)`` and ``da_g = dc' i (1 - g^2)``."""
    one = np.float32(1.0)
    for j in range(dc.size):
        part, old = dc[j] * i[j], g[j]
        g[j] = part * (one - old * old)
        i[j] = part * old * (one - i[j])


@compiled
def _through_f(f: Array, c: Array, dc: Array) -> None:
    """``da_f = dc' c f (1 - f)`` and ``dc = dc' f``."""
    one = np.float32(1.0)
    for j in range(dc.size):
        part = dc[j] * f[j]
        f[j] = part * c[j] * (one - f[j])
        dc[j] = part
