"""CuPy: every optimiser update in one launch.

Nothing is asked of the device: `scale` and `ok` may be arrays that it has yet to compute.
Parameters or state that are not C-contiguous take the generic form.
"""

import math
from typing import Any

import numpy as np

from rnn_xp._typing import Array
from rnn_xp.kernels.cuda.module import function
from rnn_xp.kernels.cuda.scratch import THREADS, blocks_for, scratch
from rnn_xp.kernels.generic import updates as generic
from rnn_xp.kernels.table import FastKernels


def sgd_update(
    p: Array, g: Array, *, lr: float, scale: Any = 1.0, ok: Any = True, weight_decay: float = 0.0
) -> None:
    """See `rnn_xp.kernels.generic.updates.sgd_update`."""
    if not _contiguous(p):
        generic.sgd_update(p, g, lr=lr, scale=scale, ok=ok, weight_decay=weight_decay)
        return
    real = p.dtype.type
    _launch("sgd", [p, g], [real(lr), real(weight_decay)], scale, ok)


def momentum_update(
    p: Array, g: Array, v: Array, *, lr: float, momentum: float, scale: Any = 1.0, ok: Any = True
) -> None:
    """See `rnn_xp.kernels.generic.updates.momentum_update`."""
    if not _contiguous(p, v):
        generic.momentum_update(p, g, v, lr=lr, momentum=momentum, scale=scale, ok=ok)
        return
    real = p.dtype.type
    _launch("momentum", [p, g, v], [real(lr), real(momentum), np.int32(0)], scale, ok)


def nesterov_update(
    p: Array, g: Array, v: Array, *, lr: float, momentum: float, scale: Any = 1.0, ok: Any = True
) -> None:
    """See `rnn_xp.kernels.generic.updates.nesterov_update`."""
    if not _contiguous(p, v):
        generic.nesterov_update(p, g, v, lr=lr, momentum=momentum, scale=scale, ok=ok)
        return
    real = p.dtype.type
    _launch("momentum", [p, g, v], [real(lr), real(momentum), np.int32(1)], scale, ok)


def adagrad_update(
    p: Array, g: Array, h: Array, *, lr: float, eps: float = 1e-7, scale: Any = 1.0, ok: Any = True
) -> None:
    """See `rnn_xp.kernels.generic.updates.adagrad_update`."""
    if not _contiguous(p, h):
        generic.adagrad_update(p, g, h, lr=lr, eps=eps, scale=scale, ok=ok)
        return
    real = p.dtype.type
    numbers = [real(lr), real(1.0), real(1.0), real(eps)]
    _launch("divided_by_root", [p, g, h], numbers, scale, ok)


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
    if not _contiguous(p, h):
        generic.rmsprop_update(p, g, h, lr=lr, decay=decay, eps=eps, scale=scale, ok=ok)
        return
    real = p.dtype.type
    numbers = [real(lr), real(decay), real(1.0 - decay), real(eps)]
    _launch("divided_by_root", [p, g, h], numbers, scale, ok)


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
    if not _contiguous(p, m, v):
        generic.adam_update(
            p,
            g,
            m,
            v,
            t,
            lr=lr,
            beta1=beta1,
            beta2=beta2,
            eps=eps,
            eps_hat=eps_hat,
            weight_decay=weight_decay,
            decoupled=decoupled,
            scale=scale,
            ok=ok,
        )
        return
    real = p.dtype.type
    _, arrived = scratch()
    numbers = [
        *(real(x) for x in (lr, beta1, 1.0 - beta1, _log(beta1), beta2, 1.0 - beta2, _log(beta2))),
        real(eps),
        np.int32(eps_hat),
        real(0.0 if decoupled else weight_decay),
        real(1.0 - lr * weight_decay if decoupled else 1.0),
    ]
    _launch("adam", [p, g, m, v, t, arrived], numbers, scale, ok)


def _log(beta: float) -> float:
    return math.log(beta) if beta else -math.inf


def _contiguous(*arrays: Array) -> bool:
    return all(a.flags.c_contiguous for a in arrays)


def _launch(name: str, arrays: list[Array], numbers: list[Any], scale: Any, ok: Any) -> None:
    """Launch kernel `name`: arrays, their size, numbers, then `scale` and `ok`.

    The first array is the parameter, the second its gradient.
    """
    import cupy

    p, g, *state = arrays
    real, nothing = p.dtype.type, np.uintp(0)
    if isinstance(scale, cupy.ndarray):
        scaling = (real(1.0), scale.astype(p.dtype, copy=False))
    else:
        scaling = (real(scale), nothing)
    deciding = (np.int32(1), ok) if isinstance(ok, cupy.ndarray) else (np.int32(bool(ok)), nothing)
    kernel = function("updates", name, p.dtype.name)
    kernel(
        (blocks_for(p.size),),
        (THREADS,),
        (p, cupy.ascontiguousarray(g), *state, np.int64(p.size), *numbers, *scaling, *deciding),
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
    dtypes=frozenset({"float32", "float64"}),
)
