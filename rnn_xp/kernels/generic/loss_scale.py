"""What becomes of the loss scale after a step; why there is one: `rnn_xp.optim.LossScale`."""

from typing import Any

from rnn_xp._typing import Array
from rnn_xp.namespace import namespace_of


def loss_scale_update(
    scale: Array, good: Array, ok: Any, *, interval: int, least: float, most: float
) -> tuple[Array, Array]:
    """Half the scale after a step that is not `ok`, twice after `interval` good ones in a row.

    ::

        not ok:                    scale / 2     0
        ok, good + 1 < interval:   scale         good + 1
        ok, otherwise:             scale * 2     0

    Parameters
    ----------
    scale : array, shape ()
        A power of two from `least` to `most`, which it does not leave.
    good : array, shape ()
        Good steps in a row since the scale changed last; of the dtype of `scale`.
    ok : array of bool, shape ()
        Whether the step's loss and gradient were finite.
    interval : int
    least, most : float

    Returns
    -------
    scale, good : array, shape ()
        New ones, on the device; those that were given are as they were.
    """
    xp = namespace_of(scale)
    zero = xp.zeros_like(good)
    good = xp.where(ok, good + 1.0, zero)
    grown = good >= interval
    doubled = xp.where(grown & (scale < most), 2.0 * scale, scale)
    halved = xp.where(scale > least, 0.5 * scale, scale)
    return xp.where(ok, doubled, halved), xp.where(grown, zero, good)
