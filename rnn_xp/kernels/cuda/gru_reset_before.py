"""GRU whose reset gate acts before the recurrent product (the paper, TensorFlow 1)."""

from typing import Any

import numpy as np

from rnn_xp._typing import Array
from rnn_xp.kernels.cuda.sequence_buffers import (
    NULL,
    Run,
    bias_gradient,
    final_gradient,
    input_gradient,
    new_outputs,
    upstream,
    weight_gradient,
)

FILE = "gru_reset_before"


def forward(run: Run, b: Array, h0: Array, keep: bool) -> tuple[Array, Array, Any]:
    """``(hs, hT, saved)``; b (3H,)."""
    import cupy

    T, N, H = run.T, run.N, run.H
    h, h_bits = run.states(h0, run.slots)
    operand = run.operand(h, h_bits)
    r_h_slots = T if keep else 1
    r_h_bits = run.bits("r_h_bits", r_h_slots, N, H)
    r_h = NULL if run.half else run.buffer("r_h", r_h_slots, N, H)
    r_h_operand = run.operand(r_h, r_h_bits)
    a, hs = run.project(), new_outputs(run)
    bias = cupy.ascontiguousarray(b)
    rz, n = slice(2 * H), slice(2 * H, None)
    recur_rz = run.recurrence(operand, run.Wh[:, rz], a[:, :, rz], accumulate=True)
    recur_n = run.recurrence(r_h_operand, run.Wh[:, n], a[:, :, n], accumulate=True)
    sizes = (np.int32(run.slots), np.int32(N), np.int32(H))
    gates, state = run.step(FILE, f"{FILE}_gates"), run.step(FILE, f"{FILE}_state")
    for t in run.steps:
        now = np.int32(t)
        recur_rz(t % run.slots, t)
        gates((a, bias, h, r_h, r_h_bits, np.int32(r_h_slots), *sizes, now))
        recur_n(t % r_h_slots, t)
        state((a, bias, h, h_bits, hs, run.valid, *sizes, now))
    return hs, h[T % run.slots].copy(), (a, h, operand, r_h_operand)


def backward(
    run: Run, saved: Any, dhs: Array | None, dhT: Array | None, grads: list[Array]
) -> tuple[Array, Array]:
    """``(dx, dh0)``; overwrites `grads`."""
    a, h, h_operand, r_h_operand = saved
    T, N, H = run.T, run.N, run.H
    dh, dinner = final_gradient(run, dhT), run.buffer("dinner", N, H)
    da_bits = run.bits("da_bits", T, N, 3 * H)
    da = run.operand(a, da_bits)
    given, *apart = upstream(dhs)
    rz, n = slice(2 * H), slice(2 * H, None)
    recur_n = run.recurrence(da[:, :, n], run.Wh[:, n].T, dinner[None])
    recur_rz = run.recurrence(da[:, :, rz], run.Wh[:, rz].T, dh[None], accumulate=True)
    sizes = (np.int32(N), np.int32(H))
    candidate, reset = run.step(FILE, f"{FILE}_candidate"), run.step(FILE, f"{FILE}_reset")
    for t in reversed(run.steps):
        now = np.int32(t)
        candidate((a, h, dh, given, da_bits, run.valid, *apart, *sizes, now))
        recur_n(t, 0)
        reset((a, h, dinner, dh, da_bits, *sizes, now))
        recur_rz(t, 0)
    dWx, dWh, db = grads
    da = da.reshape(T * N, 3 * H)
    weight_gradient(run, run.x, da, dWx)
    weight_gradient(run, h_operand[:T].reshape(T * N, H), da[:, rz], dWh[:, rz])
    weight_gradient(run, r_h_operand.reshape(T * N, H), da[:, n], dWh[:, n])
    bias_gradient(run, a.reshape(T * N, 3 * H), db)
    return input_gradient(run, da), dh
