"""Global norm, clipping, and optimiser updates over one array of parameters.

``scale`` multiplies the gradient (clipping); ``ok`` is False when the gradient is not
finite, and then nothing changes. Both may be 0-d arrays on the device, so that a training
step never waits for the host. Parameters and state are written as ``a[...] = value``,
gradients are only read.

In the equations ``g`` is the gradient after scaling, and everything is per element.
Costs are in elements of the parameters read and written by a kernel that does it all in one
pass; this one makes a temporary array for each operation.
"""

import math
from typing import Any

from rnn_xp._typing import Array, Namespace
from rnn_xp.namespace import namespace_of


def global_norm(arrays: list[Array]) -> Array:
    """Euclidean norm of all elements of all arrays, ``sqrt(sum(a ** 2))``.

    Parameters
    ----------
    arrays : list of array
        At least one, all on one device and of one dtype.

    Returns
    -------
    array, shape ()
        On the device. Infinite where the sum of squares overflows (in float32 from a norm
        of 1.8e19), NaN if an element is NaN.
    """
    if not arrays:
        raise ValueError("global_norm: got an empty list, expected at least one array")
    xp = namespace_of(arrays[0])
    total = xp.sum(arrays[0] * arrays[0])
    for array in arrays[1:]:
        total = total + xp.sum(array * array)
    return xp.sqrt(total)


def clip_coefficient(
    norm: Array, max_norm: float | None, loss: Array | None = None
) -> tuple[Any, Array]:
    """Factor that clips gradients of this norm, and whether they may be used at all.

    Parameters
    ----------
    norm : array, shape ()
        See `global_norm`.
    max_norm : float or None
        Above 0; None for no clipping.
    loss : array, shape (), or None
        Of the dtype of `norm`.

    Returns
    -------
    scale : float or array of shape ()
        ``min(1, max_norm / (norm + 1e-6))``, 1 where the norm is not finite.
    ok : array of bool, shape ()
        Whether norm and loss are finite.
    """
    xp = namespace_of(norm)
    finite = xp.isfinite(norm)
    ok = finite if loss is None else finite & xp.isfinite(loss)
    if max_norm is None:
        return 1.0, ok
    rate = max_norm / (norm + 1e-6)
    return xp.where(finite & (rate < 1.0), rate, xp.ones_like(rate)), ok


def sgd_update(
    p: Array, g: Array, *, lr: float, scale: Any = 1.0, ok: Any = True, weight_decay: float = 0.0
) -> None:
    """Gradient descent, ``p -= lr * (g + weight_decay * p)``. Reads 2, writes 1.

    Parameters
    ----------
    p, g : array, equal shapes
        Parameters (written) and gradient.
    lr : float
    scale : float or 0-d array
    ok : bool or 0-d array of bool
    weight_decay : float
        Factor of the L2 term; it is not clipped.
    """
    xp = namespace_of(p)
    g = _gradient(xp, p, g, scale, ok, weight_decay)
    _write(xp, p, p - lr * g, ok)


def momentum_update(
    p: Array, g: Array, v: Array, *, lr: float, momentum: float, scale: Any = 1.0, ok: Any = True
) -> None:
    """Classical momentum in the form of DLFS2 (common/optimizer.py). Reads 3, writes 2.

    ::

        v = momentum * v - lr * g
        p = p + v
    """
    xp = namespace_of(p)
    g = _gradient(xp, p, g, scale, ok)
    velocity = momentum * v - lr * g
    _write(xp, p, p + velocity, ok)
    _write(xp, v, velocity, ok)


def nesterov_update(
    p: Array, g: Array, v: Array, *, lr: float, momentum: float, scale: Any = 1.0, ok: Any = True
) -> None:
    """Nesterov's momentum with the gradient taken at `p`. Reads 3, writes 2.

    The simplified form of Bengio, Boulanger-Lewandowski and Pascanu, arXiv 1212.0901
    section 3.5, whose parameters are the ones looked ahead to::

        p = p + momentum ** 2 * v - (1 + momentum) * lr * g        (v of before)
        v = momentum * v - lr * g

    computed as ``p + momentum * v_new - lr * g``, which is the same.
    """
    xp = namespace_of(p)
    g = _gradient(xp, p, g, scale, ok)
    step = lr * g
    velocity = momentum * v - step
    _write(xp, p, p + (momentum * velocity - step), ok)
    _write(xp, v, velocity, ok)


def adagrad_update(
    p: Array, g: Array, h: Array, *, lr: float, eps: float = 1e-7, scale: Any = 1.0, ok: Any = True
) -> None:
    """AdaGrad (Duchi, Hazan and Singer 2011, diagonal form). Reads 3, writes 2.

    ::

        h = h + g ** 2
        p = p - lr * g / (sqrt(h) + eps)
    """
    xp = namespace_of(p)
    g = _gradient(xp, p, g, scale, ok)
    squares = h + g * g
    _write(xp, p, p - lr * g / (xp.sqrt(squares) + eps), ok)
    _write(xp, h, squares, ok)


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
    """RMSprop (Hinton's lecture 6e, 2012). Reads 3, writes 2.

    ::

        h = decay * h + (1 - decay) * g ** 2
        p = p - lr * g / (sqrt(h) + eps)
    """
    xp = namespace_of(p)
    g = _gradient(xp, p, g, scale, ok)
    squares = decay * h + (1.0 - decay) * (g * g)
    _write(xp, p, p - lr * g / (xp.sqrt(squares) + eps), ok)
    _write(xp, h, squares, ok)


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
    """Adam (Kingma and Ba, arXiv 1412.6980) and AdamW. Reads 4, writes 3.

    ::

        t = t + 1
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * g ** 2
        c1 = 1 - beta1 ** t        c2 = 1 - beta2 ** t
        p = p - lr * sqrt(c2) / c1 * m / (sqrt(v) + e)

    with ``e = eps`` if `eps_hat` (the end of the paper's section 2; DLFS2 and Keras), else
    ``e = eps * sqrt(c2)``, which makes it ``lr * m_hat / (sqrt(v_hat) + eps)`` (the paper's
    algorithm 1; PyTorch). c1 and c2 are computed with ``expm1``: for beta2 near 1 nothing
    cancels.

    Parameters
    ----------
    p, g, m, v : array, equal shapes
        Parameters, gradient, and the running means of gradient and squared gradient.
    t : array, shape (), dtype of `p`
        How many steps were applied. (float32 counts exactly to 16.7 million; there c1 and
        c2 have long been 1.)
    lr, beta1, beta2, eps : float
    eps_hat : bool
    weight_decay : float
    decoupled : bool
        False: ``g`` includes ``weight_decay * p``. True: ``p`` is first multiplied by
        ``1 - lr * weight_decay`` (Loshchilov and Hutter, arXiv 1711.05101).
    scale : float or 0-d array
    ok : bool or 0-d array of bool
    """
    xp = namespace_of(p)
    g = _gradient(xp, p, g, scale, ok, 0.0 if decoupled else weight_decay)
    step = t + 1.0
    mean = beta1 * m + (1.0 - beta1) * g
    squares = beta2 * v + (1.0 - beta2) * (g * g)
    c1 = _one_minus_power(xp, beta1, step)
    root_c2 = xp.sqrt(_one_minus_power(xp, beta2, step))
    floor = eps if eps_hat else eps * root_c2
    start = p * (1.0 - lr * weight_decay) if decoupled else p
    _write(xp, p, start - (lr * root_c2 / c1) * mean / (xp.sqrt(squares) + floor), ok)
    _write(xp, m, mean, ok)
    _write(xp, v, squares, ok)
    _write(xp, t, step, ok)


def _one_minus_power(xp: Namespace, beta: float, t: Array) -> Array:
    """``1 - beta ** t``, shape ()."""
    if beta == 0.0:
        return xp.ones_like(t)
    return -xp.expm1(t * math.log(beta))


def _gradient(
    xp: Namespace, p: Array, g: Array, scale: Any, ok: Any, weight_decay: float = 0.0
) -> Array:
    """Scaled gradient with the L2 term; zeros if not `ok`.

    What is not finite is taken out before it is computed with: NumPy would warn of
    ``inf - inf`` in a result that `_write` then drops.
    """
    if ok is not True:
        g = xp.where(_condition(xp, p, ok), g, xp.zeros_like(g))
    if not (isinstance(scale, float | int) and scale == 1):
        g = g * scale
    return g + weight_decay * p if weight_decay else g


def _write(xp: Namespace, array: Array, value: Array, ok: Any) -> None:
    """``array[...] = value`` if `ok`, decided on the device."""
    array[...] = value if ok is True else xp.where(_condition(xp, array, ok), value, array)


def _condition(xp: Namespace, like: Array, ok: Any) -> Array:
    return xp.asarray(ok, device=like.device) if isinstance(ok, bool) else ok
