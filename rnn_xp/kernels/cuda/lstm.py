"""LSTM on CuPy. The specification is `rnn_xp.kernels.generic.sequence`."""

from typing import Any

import numpy as np

from rnn_xp._typing import Array
from rnn_xp.kernels.cuda.sequence_buffers import (
    begin,
    bias_gradient,
    consume,
    final_gradient,
    input_gradient,
    new_outputs,
    upstream,
    weight_gradient,
)
from rnn_xp.kernels.table import FastKernels


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
    precision: str = "float32",
) -> tuple[Array, Array, Array, Any]:
    """Fast twin of the generic `lstm_forward`: a product and a kernel a step.

    Keeps TN(D + 6H) elements for the backward pass (the input only by reference, unless there
    is a mask); in 16-bit precisions 5TNH elements and the bits of TN(D + H).
    """
    import cupy

    run = begin(x, Wx, Wh, mask, workspace, keep=keep, precision=precision)
    T, N, H = run.T, run.N, run.H
    h_slots = 2 if run.half else run.slots
    h, h_bits = run.states(h0, h_slots)
    operand = run.operand(h, h_bits)
    c = run.buffer("c", run.slots, N, H)
    c[0] = c0
    a, hs = run.project(), new_outputs(run)
    bias = cupy.ascontiguousarray(b)
    sizes = (np.int32(h_slots), np.int32(run.slots), np.int32(N), np.int32(H))
    recur = run.recurrence(operand, run.Wh, a, accumulate=True)
    step = run.step("lstm", "lstm_forward")
    for t in run.steps:
        recur(t % run.slots, t)
        step((a, bias, h, c, h_bits, hs, run.valid, *sizes, np.int32(t)))
    hT, cT = h[T % h_slots].copy(), c[T % run.slots].copy()
    return hs, hT, cT, (run, a, operand, c) if keep else None


def lstm_backward(
    dhs: Array | None,
    dhT: Array | None,
    dcT: Array | None,
    cache: Any,
    grads: list[Array],
    *,
    workspace: Any = None,
    precision: str = "float32",
) -> tuple[Array, Array, Array]:
    """Fast twin of the generic `lstm_backward`: a kernel and a product a step.

    Uses the cache up; its precision is that of the forward pass.
    """
    run, a, h, c = cache
    consume(run, "lstm_backward")
    T, N, H = run.T, run.N, run.H
    dh, dc = final_gradient(run, dhT), final_gradient(run, dcT)
    da_bits = run.bits("da_bits", T, N, 4 * H)
    da = run.operand(a, da_bits)
    given, *apart = upstream(dhs)
    sizes = (*apart, np.int32(N), np.int32(H))
    recur = run.recurrence(da, run.Wh.T, dh[None], accumulate=True)
    step = run.step("lstm", "lstm_backward")
    for t in reversed(run.steps):
        step((a, c, dh, dc, given, da_bits, run.valid, *sizes, np.int32(t)))
        recur(t, 0)
    dWx, dWh, db = grads
    da = da.reshape(T * N, 4 * H)
    weight_gradient(run, run.x, da, dWx)
    weight_gradient(run, h[:T].reshape(T * N, H), da, dWh)
    bias_gradient(run, a.reshape(T * N, 4 * H), db)
    return input_gradient(run, da), dh, dc


LSTM = FastKernels(
    functions={"lstm_forward": lstm_forward, "lstm_backward": lstm_backward},
    dtypes=frozenset({"float32", "float64"}),
    precise=frozenset({"lstm_forward", "lstm_backward"}),
)
