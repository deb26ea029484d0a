"""Simple tanh recurrent layer on CuPy. The specification is `rnn_xp.kernels.generic.sequence`."""

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
    precision: str = "float32",
) -> tuple[Array, Array, Any]:
    """Fast twin of the generic `rnn_forward`: a product and a kernel a step.

    Keeps TN(D + 2H) elements for the backward pass (the input only by reference, unless there
    is a mask); in 16-bit precisions TNH elements and the bits of TN(D + H).
    """
    import cupy

    run = begin(x, Wx, Wh, mask, workspace, keep=keep, precision=precision)
    T, N, H = run.T, run.N, run.H
    h_slots = 2 if run.half else run.slots
    h, h_bits = run.states(h0, h_slots)
    operand = run.operand(h, h_bits)
    a, hs = run.project(), new_outputs(run)
    bias = cupy.ascontiguousarray(b)
    sizes = (np.int32(h_slots), np.int32(run.slots), np.int32(N), np.int32(H))
    recur = run.recurrence(operand, run.Wh, a, accumulate=True)
    step = run.step("rnn", "rnn_forward")
    for t in run.steps:
        recur(t % run.slots, t)
        step((a, bias, h, h_bits, hs, run.valid, *sizes, np.int32(t)))
    return hs, h[T % h_slots].copy(), (run, a, operand) if keep else None


def rnn_backward(
    dhs: Array | None,
    dhT: Array | None,
    cache: Any,
    grads: list[Array],
    *,
    workspace: Any = None,
    precision: str = "float32",
) -> tuple[Array, Array]:
    """Fast twin of the generic `rnn_backward`: a kernel and a product a step.

    Uses the cache up; its precision is that of the forward pass.
    """
    run, a, h = cache
    consume(run, "rnn_backward")
    T, N, H = run.T, run.N, run.H
    dh = final_gradient(run, dhT)
    da_bits = run.bits("da_bits", T, N, H)
    da = run.operand(a, da_bits)
    given, *apart = upstream(dhs)
    sizes = (*apart, np.int32(N), np.int32(H))
    recur = run.recurrence(da, run.Wh.T, dh[None], accumulate=True)
    step = run.step("rnn", "rnn_backward")
    for t in reversed(run.steps):
        step((a, dh, given, da_bits, run.valid, *sizes, np.int32(t)))
        recur(t, 0)
    dWx, dWh, db = grads
    da = da.reshape(T * N, H)
    weight_gradient(run, run.x, da, dWx)
    weight_gradient(run, h[:T].reshape(T * N, H), da, dWh)
    bias_gradient(run, a.reshape(T * N, H), db)
    return input_gradient(run, da), dh


RNN = FastKernels(
    functions={"rnn_forward": rnn_forward, "rnn_backward": rnn_backward},
    dtypes=frozenset({"float32", "float64"}),
    precise=frozenset({"rnn_forward", "rnn_backward"}),
)
