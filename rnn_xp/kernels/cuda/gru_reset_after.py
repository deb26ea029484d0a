"""GRU whose reset gate acts after the recurrent product (PyTorch, cuDNN, Keras' default)."""

from typing import Any

import numpy as np

from rnn_xp._typing import Array
from rnn_xp.kernels.cuda.sequence_buffers import (
    Run,
    bias_gradient,
    final_gradient,
    input_gradient,
    new_outputs,
    upstream,
    weight_gradient,
)


def forward(run: Run, b: Array, h0: Array, keep: bool) -> tuple[Array, Array, Any]:
    """``(hs, hT, saved)``; b (2, 3H)."""
    import cupy

    T, N, H = run.T, run.N, run.H
    h, h_bits = run.states(h0, run.slots)
    operand = run.operand(h, h_bits)
    # Apart from x Wx, because the reset gate scales a part of it.
    ah_slots = T if keep else 1
    ah = run.buffer("ah", ah_slots, N, 3 * H)
    ax, hs = run.project(), new_outputs(run)
    bias = cupy.ascontiguousarray(b)
    sizes = (np.int32(ah_slots), np.int32(run.slots), np.int32(N), np.int32(H))
    recur = run.recurrence(operand, run.Wh, ah)
    step = run.step("gru_reset_after", "gru_reset_after_forward")
    for t in run.steps:
        recur(t % run.slots, t % ah_slots)
        step((ax, ah, bias, h, h_bits, hs, run.valid, *sizes, np.int32(t)))
    return hs, h[T % run.slots].copy(), (ax, ah, h, operand)


def backward(
    run: Run, saved: Any, dhs: Array | None, dhT: Array | None, grads: list[Array]
) -> tuple[Array, Array]:
    """``(dx, dh0)``; overwrites `grads`."""
    ax, ah, h, h_operand = saved
    T, N, H = run.T, run.N, run.H
    dh = final_gradient(run, dhT)
    dax_bits, dah_bits = (run.bits(name, T, N, 3 * H) for name in ("dax_bits", "dah_bits"))
    dax, dah = run.operand(ax, dax_bits), run.operand(ah, dah_bits)
    given, *apart = upstream(dhs)
    sizes = (*apart, np.int32(N), np.int32(H))
    recur = run.recurrence(dah, run.Wh.T, dh[None], accumulate=True)
    step = run.step("gru_reset_after", "gru_reset_after_backward")
    for t in reversed(run.steps):
        step((ax, ah, h, dh, given, dax_bits, dah_bits, run.valid, *sizes, np.int32(t)))
        recur(t, 0)
    dWx, dWh, db = grads
    dax, dah = dax.reshape(T * N, 3 * H), dah.reshape(T * N, 3 * H)
    weight_gradient(run, run.x, dax, dWx)
    weight_gradient(run, h_operand[:T].reshape(T * N, H), dah, dWh)
    bias_gradient(run, ax.reshape(T * N, 3 * H), db[0])
    bias_gradient(run, ah.reshape(T * N, 3 * H), db[1])
    return input_gradient(run, dax), dh
