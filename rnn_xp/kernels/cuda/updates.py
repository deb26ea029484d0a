"""CuPy: every optimiser update in one launch.

Nothing is asked of the device: `scale` and `ok` may be arrays that it has yet to compute.
Parameters or state that are not C-contiguous take the generic form.
"""

import math
from collections.abc import Callable
from functools import wraps
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
    real = p.dtype.type
    _launch("sgd", [p, g], [real(lr), real(weight_decay)], scale, ok)


def momentum_update(
    p: Array, g: Array, v: Array, *, lr: float, momentum: float, scale: Any = 1.0, ok: Any = True
) -> None:
    """See `rnn_xp.kernels.generic.updates.momentum_update`."""
    real = p.dtype.type
    _launch("momentum", [p, g, v], [real(lr), real(momentum), np.int32(0)], scale, ok)


def nesterov_update(
    p: Array, g: Array, v: Array, *, lr: float, momentum: float, scale: Any = 1.0, ok: Any = True
) -> None:
    """See `rnn_xp.kernels.generic.updates.nesterov_update`."""
    real = p.dtype.type
    _launch("momentum", [p, g, v], [real(lr), real(momentum), np.int32(1)], scale, ok)


def adagrad_update(
    p: Array, g: Array, h: Array, *, lr: float, eps: float = 1e-7, scale: Any = 1.0, ok: Any = True
) -> None:
    """See `rnn_xp.kernels.generic.updates.adagrad_update`."""
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


def _or_generic(fast: Callable[..., None]) -> Callable[..., None]:
    """`fast` where it can write into its arrays, the generic form of the same name elsewhere."""
    slow: Callable[..., None] = getattr(generic, fast.__name__)

    @wraps(fast)
    def update(p: Array, g: Array, *state: Array, **settings: Any) -> None:
        written = (p, *state)
        chosen = fast if all(a.flags.c_contiguous for a in written) else slow
        chosen(p, g, *state, **settings)

    return update


_ALL: tuple[Callable[..., None], ...] = (
    sgd_update,
    momentum_update,
    nesterov_update,
    adagrad_update,
    rmsprop_update,
    adam_update,
)
UPDATES = FastKernels(
    functions={update.__name__: _or_generic(update) for update in _ALL},
    dtypes=frozenset({"float32", "float64"}),
)
