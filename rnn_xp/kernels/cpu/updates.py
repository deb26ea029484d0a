"""Global norm, clipping and optimiser updates on NumPy, in blocks that stay in the cache.

Each operation writes into its operand or into a scratch block, so an update goes through
memory once and makes no temporary array of the size of the parameters. `np.nditer` cuts
arrays of any layout into one-dimensional blocks and copies only what is not contiguous.

The equations are at the generic functions of the same names. Here `scale` and `ok` are on
the host, so they are looked at before anything is done.
"""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from rnn_xp._typing import Array
from rnn_xp.kernels.table import FastKernels

# Elements of a block. Adam has six blocks in use: 1.5 MB in float32, about an L2 cache.
BLOCK = 65536


def global_norm(arrays: list[Array]) -> Array:
    """See `rnn_xp.kernels.generic.updates.global_norm`; block sums are added in float64."""
    if not arrays:
        raise ValueError("global_norm: got an empty list, expected at least one array")
    total = 0.0
    with np.errstate(over="ignore", invalid="ignore"):
        for array in arrays:
            for (block,) in blocks_of([], [array]):
                total += float(np.dot(block, block))
        return np.asarray(math.sqrt(total), dtype=arrays[0].dtype)


def clip_coefficient(
    norm: Array, max_norm: float | None, loss: Array | None = None
) -> tuple[Any, Array]:
    """See `rnn_xp.kernels.generic.updates.clip_coefficient`: the same bits, decided here."""
    finite = math.isfinite(norm)
    ok = np.bool_(finite and (loss is None or math.isfinite(loss)))
    if max_norm is None:
        return 1.0, ok
    rate = max_norm / (norm + 1e-6)
    return (rate if finite and rate < 1.0 else np.ones_like(rate)), ok


def sgd_update(
    p: Array, g: Array, *, lr: float, scale: Any = 1.0, ok: Any = True, weight_decay: float = 0.0
) -> None:
    """See `rnn_xp.kernels.generic.updates.sgd_update`."""
    if not ok:
        return
    rate, keep = lr * float(scale), 1.0 - lr * weight_decay
    (scratch,) = _scratch(p, 1)
    for p_, g_ in blocks_of([p], [g]):
        step = scratch[: p_.size]
        np.multiply(g_, rate, out=step)
        if weight_decay:
            np.multiply(p_, keep, out=p_)
        np.subtract(p_, step, out=p_)


def momentum_update(
    p: Array, g: Array, v: Array, *, lr: float, momentum: float, scale: Any = 1.0, ok: Any = True
) -> None:
    """See `rnn_xp.kernels.generic.updates.momentum_update`."""
    if not ok:
        return
    rate = lr * float(scale)
    (scratch,) = _scratch(p, 1)
    for p_, v_, g_ in blocks_of([p, v], [g]):
        step = scratch[: p_.size]
        np.multiply(g_, rate, out=step)
        np.multiply(v_, momentum, out=v_)
        np.subtract(v_, step, out=v_)
        np.add(p_, v_, out=p_)


def nesterov_update(
    p: Array, g: Array, v: Array, *, lr: float, momentum: float, scale: Any = 1.0, ok: Any = True
) -> None:
    """See `rnn_xp.kernels.generic.updates.nesterov_update`."""
    if not ok:
        return
    rate = lr * float(scale)
    (scratch,) = _scratch(p, 1)
    for p_, v_, g_ in blocks_of([p, v], [g]):
        step = scratch[: p_.size]
        np.multiply(g_, rate, out=step)
        np.subtract(p_, step, out=p_)
        np.multiply(v_, momentum, out=v_)
        np.subtract(v_, step, out=v_)
        np.multiply(v_, momentum, out=step)
        np.add(p_, step, out=p_)


def adagrad_update(
    p: Array, g: Array, h: Array, *, lr: float, eps: float = 1e-7, scale: Any = 1.0, ok: Any = True
) -> None:
    """See `rnn_xp.kernels.generic.updates.adagrad_update`."""
    _divided_by_root(p, g, h, 1.0, 1.0, lr, eps, scale, ok)


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
    _divided_by_root(p, g, h, decay, 1.0 - decay, lr, eps, scale, ok)


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
    rate = lr * root_c2 / c1
    floor = eps if eps_hat else eps * root_c2
    coupled = 0.0 if decoupled else weight_decay
    scale = float(scale)
    work, scaled = _scratch(p, 2)
    for p_, m_, v_, g_ in blocks_of([p, m, v], [g]):
        w = work[: p_.size]
        if scale != 1.0 or coupled:
            g_ = np.multiply(g_, scale, out=scaled[: p_.size])
        if coupled:
            np.add(g_, np.multiply(p_, coupled, out=w), out=g_)
        np.multiply(m_, beta1, out=m_)
        np.multiply(g_, 1.0 - beta1, out=w)
        np.add(m_, w, out=m_)
        np.multiply(g_, g_, out=w)
        np.multiply(w, 1.0 - beta2, out=w)
        np.multiply(v_, beta2, out=v_)
        np.add(v_, w, out=v_)
        np.sqrt(v_, out=w)
        np.add(w, floor, out=w)
        np.divide(m_, w, out=w)
        np.multiply(w, rate, out=w)
        if decoupled and weight_decay:
            np.multiply(p_, 1.0 - lr * weight_decay, out=p_)
        np.subtract(p_, w, out=p_)


def _divided_by_root(
    p: Array,
    g: Array,
    h: Array,
    old: float,
    new: float,
    lr: float,
    eps: float,
    scale: Any,
    ok: Any,
) -> None:
    """``h = old * h + new * g ** 2``, then ``p -= lr * g / (sqrt(h) + eps)``."""
    if not ok:
        return
    scale = float(scale)
    work, scaled = _scratch(p, 2)
    for p_, h_, g_ in blocks_of([p, h], [g]):
        w = work[: p_.size]
        if scale != 1.0:
            g_ = np.multiply(g_, scale, out=scaled[: p_.size])
        np.multiply(g_, g_, out=w)
        if new != 1.0:
            np.multiply(w, new, out=w)
        if old != 1.0:
            np.multiply(h_, old, out=h_)
        np.add(h_, w, out=h_)
        np.sqrt(h_, out=w)
        np.add(w, eps, out=w)
        np.divide(g_, w, out=w)
        np.multiply(w, lr, out=w)
        np.subtract(p_, w, out=p_)


def one_minus_power(beta: float, t: float) -> float:
    """``1 - beta ** t``, without cancellation."""
    return 1.0 if beta == 0.0 else -math.expm1(t * math.log(beta))


def _scratch(like: Array, count: int) -> list[Array]:
    return [np.empty(min(BLOCK, like.size), dtype=like.dtype) for _ in range(count)]


def blocks_of(written: list[Array], read: list[Array]) -> Iterator[tuple[Array, ...]]:
    """Matching one-dimensional blocks of arrays of one shape, those to be written first."""
    access: list[Any] = [["readwrite"]] * len(written) + [["readonly"]] * len(read)
    with np.nditer(
        [*written, *read],
        flags=["external_loop", "buffered", "zerosize_ok"],
        op_flags=access,
        buffersize=BLOCK,
    ) as blocks:
        for block in blocks:
            # With one operand nditer yields the block itself, not a tuple.
            yield block if isinstance(block, tuple) else (block,)


UPDATES = FastKernels(
    functions={
        "global_norm": global_norm,
        "clip_coefficient": clip_coefficient,
        "sgd_update": sgd_update,
        "momentum_update": momentum_update,
        "nesterov_update": nesterov_update,
        "adagrad_update": adagrad_update,
        "rmsprop_update": rmsprop_update,
        "adam_update": adam_update,
    },
    dtypes=frozenset({"float32", "float64"}),
)
