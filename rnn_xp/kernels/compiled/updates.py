"""Optimiser updates, compiled: one pass, shared between threads.

The equations are at the generic functions of the same names. Elements do not depend on each
other, so the bits are the same with any number of threads. The global norm is not here: BLAS's
dot product reads as fast as the memory gives.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from rnn_xp._typing import Array
from rnn_xp.kernels.compiled import update_loops as loops
from rnn_xp.kernels.cpu.threads import run_side_by_side
from rnn_xp.kernels.cpu.updates import blocks_of, one_minus_power
from rnn_xp.kernels.table import FastKernels
from rnn_xp.numba_probe import COMPILED_DTYPES

# Elements of a piece of work: some ten microseconds, against one or two to start it.
BLOCK = 65536


def sgd_update(
    p: Array, g: Array, *, lr: float, scale: Any = 1.0, ok: Any = True, weight_decay: float = 0.0
) -> None:
    """See `rnn_xp.kernels.generic.updates.sgd_update`."""
    if ok:
        _run(loops.sgd, [p], g, lr * float(scale), 1.0 - lr * weight_decay)


def momentum_update(
    p: Array, g: Array, v: Array, *, lr: float, momentum: float, scale: Any = 1.0, ok: Any = True
) -> None:
    """See `rnn_xp.kernels.generic.updates.momentum_update`."""
    if ok:
        _run(loops.momentum, [p, v], g, lr * float(scale), momentum)


def nesterov_update(
    p: Array, g: Array, v: Array, *, lr: float, momentum: float, scale: Any = 1.0, ok: Any = True
) -> None:
    """See `rnn_xp.kernels.generic.updates.nesterov_update`."""
    if ok:
        _run(loops.nesterov, [p, v], g, lr * float(scale), momentum)


def adagrad_update(
    p: Array, g: Array, h: Array, *, lr: float, eps: float = 1e-7, scale: Any = 1.0, ok: Any = True
) -> None:
    """See `rnn_xp.kernels.generic.updates.adagrad_update`."""
    if ok:
        _run(loops.divided_by_root, [p, h], g, float(scale), 1.0, 1.0, lr, eps)


def rmsprop_update(
    p: Array,
    g: Array,
    h: Array,
    *,
    lr: float,
    decay: float = 0.99,
    eps: float = 1e-7,
    scale: Any = 1.0,
    ok: Any = True,
) -> None:
    """See `rnn_xp.kernels.generic.updates.rmsprop_update`."""
    if ok:
        _run(loops.divided_by_root, [p, h], g, float(scale), decay, 1.0 - decay, lr, eps)


def adam_update(
    p: Array,
    g: Array,
    m: Array,
    v: Array,
    t: Array,
    *,
    lr: float,
    beta1: float = 0.9,
    beta2: float = 0.999,
    eps: float = 1e-7,
    eps_hat: bool = True,
    weight_decay: float = 0.0,
    decoupled: bool = False,
    scale: Any = 1.0,
    ok: Any = True,
) -> None:
    """See `rnn_xp.kernels.generic.updates.adam_update`."""
    if not ok:
        return
    t[...] = t + 1.0
    c1 = one_minus_power(beta1, float(t))
    root_c2 = math.sqrt(one_minus_power(beta2, float(t)))
    _run(
        loops.adam,
        [p, m, v],
        g,
        float(scale),
        0.0 if decoupled else weight_decay,
        1.0 - lr * weight_decay if decoupled else 1.0,
        beta1,
        1.0 - beta1,
        beta2,
        1.0 - beta2,
        lr * root_c2 / c1,
        eps if eps_hat else eps * root_c2,
    )


def _run(loop: Callable[..., None], written: list[Array], g: Array, *settings: float) -> None:
    """Call `loop` on all elements of `written` and `g`, in blocks."""
    numbers = tuple(np.float32(s) for s in settings)
    if not all(a.flags.carray for a in (*written, g)):
        for *blocks, gradient in blocks_of(written, [g]):
            # One kind of array for the compiler; writing back is what nditer does.
            plain = [np.array(b) for b in blocks]
            loop(*plain, np.array(gradient), 0, gradient.size, *numbers)
            for block, result in zip(blocks, plain, strict=True):
                block[...] = result
        return
    flat = [a.reshape(-1) for a in (*written, g)]
    size = g.size
    run_side_by_side(
        lambda start: loop(*flat, start, min(start + BLOCK, size), *numbers),
        range(0, size, BLOCK),
    )


UPDATES = FastKernels(
    functions={
        "sgd_update": sgd_update,
        "momentum_update": momentum_update,
        "nesterov_update": nesterov_update,
        "adagrad_update": adagrad_update,
        "rmsprop_update": rmsprop_update,
        "adam_update": adam_update,
    },
    dtypes=COMPILED_DTYPES,
    compiled=True,
)
