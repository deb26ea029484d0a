"""What a recurrent layer puts out at masked steps, and the way back.

Keras repeats the output of the step before; at a first step that is masked its TensorFlow
and torch backends put out zeros (its NumPy and JAX backends: the initial state). The core's
layers put out zeros at every masked step, so the repetition is done here.

Shapes: ``hs (T, N, H)``, ``valid (T, N)``.
"""

from typing import Any

from rnn_xp._typing import Array, Namespace
from rnn_xp.compat.keras.constant_initializers import HOST
from rnn_xp.compat.keras.nest import is_nested
from rnn_xp.errors import DTypeError, ShapeError
from rnn_xp.host import is_host, time_mask
from rnn_xp.namespace import namespace_of


def hold_last(hs: Array, valid: Array, xp: Namespace) -> Array:
    """`hs` with the output of each row's last valid step at the steps that are masked."""
    held = [xp.where(valid[0, :, None], hs[0, :, :], xp.zeros_like(hs[0, :, :]))]
    for t in range(1, hs.shape[0]):
        held.append(xp.where(valid[t, :, None], hs[t, :, :], held[-1]))
    return xp.stack(held, axis=0)


def hold_last_backward(dheld: Array, valid: Array, xp: Namespace) -> Array:
    """Gradient of `hold_last`: what reaches masked steps goes to the valid one before them."""
    dhs = []
    carried = xp.zeros_like(dheld[0, :, :])
    for t in reversed(range(dheld.shape[0])):
        total, row = dheld[t, :, :] + carried, valid[t, :, None]
        zeros = xp.zeros_like(total)
        dhs.append(xp.where(row, total, zeros))
        carried = xp.where(row, zeros, total)
    dhs.reverse()
    return xp.stack(dhs, axis=0)


def last_steps(valid: Array, xp: Namespace) -> Array:
    """(T, N), True at each row's last valid step; rows that are all masked have none."""
    T = valid.shape[0]
    numbers = xp.arange(1, T + 1, dtype=xp.int64, device=valid.device)[:, None]
    marked = xp.where(valid, numbers, xp.zeros_like(numbers))
    return valid & (marked == xp.max(marked, axis=0, keepdims=True))


def pick(hs: Array, chosen: Array, xp: Namespace) -> Array:
    """(N, H): the one step of each row where `chosen` (T, N); zeros where there is none."""
    return xp.sum(xp.where(chosen[:, :, None], hs, xp.zeros_like(hs)), axis=0, dtype=hs.dtype)


def pick_backward(dpicked: Array, chosen: Array, xp: Namespace) -> Array:
    """Gradient of `pick`."""
    whole = xp.broadcast_to(dpicked, (*chosen.shape, dpicked.shape[-1]))
    return xp.where(chosen[:, :, None], whole, xp.zeros_like(whole))


def valid_steps(mask: Any, N: int, T: int, like: Array, where: str) -> Array | None:
    """Boolean (T, N) on the device from a mask (N, T) of bool or of numbers, or None."""
    mask = mask_array(mask, where)
    if mask is None:
        return None
    dtype = getattr(mask, "dtype", None)
    if dtype is not None and dtype != (bool if is_host(mask) else namespace_of(mask).bool):
        mask = mask != 0
    return time_mask(None, mask, N, T, like, False, where)


def mask_array(mask: Any, where: str) -> Any:
    """A mask given as lists of bool or of numbers as an array; another one as it is.

    Raises
    ------
    ShapeError
        If the rows are of different lengths.
    DTypeError
        If they hold something else.
    """
    if not is_nested(mask):
        return mask
    try:
        made = HOST.asarray(mask)
    except ValueError as error:
        raise ShapeError(f"{where}: mask is a list of unequal rows, expected (N, T)") from error
    if not HOST.isdtype(made.dtype, ("bool", "numeric")):
        raise DTypeError(f"{where}: mask is a list of {made.dtype}, expected bool or numbers")
    return made


def layer_output(hs: Array, valid: Array | None, sequences: bool, zeros: bool) -> Array:
    """What a layer returns.

    Parameters
    ----------
    hs : array, shape (T, N, H)
        The core's outputs: zero at masked steps.
    valid : array of bool, shape (T, N), or None
    sequences : bool
        Whether every step is returned, or the last.
    zeros : bool
        Whether masked steps are zero, instead of repeating the step before.

    Returns
    -------
    output : array, shape (N, T, H) or (N, H)
    """
    xp = namespace_of(hs)
    hold = valid is not None and not zeros
    if sequences:
        return xp.permute_dims(hold_last(hs, valid, xp) if hold else hs, (1, 0, 2))
    if hold:
        return pick(hs, last_steps(valid, xp), xp)
    # A copy, so that the caller does not keep the outputs of all steps alive.
    return xp.asarray(hs[-1, :, :], copy=True, device=hs.device)


def layer_output_shape(shape: tuple[int, int, int], sequences: bool) -> tuple[int, ...]:
    """Shape of what `layer_output` gives for outputs of `shape` (T, N, H)."""
    T, N, H = shape
    return (N, T, H) if sequences else (N, H)


def layer_output_backward(
    doutput: Array, valid: Array | None, T: int, sequences: bool, zeros: bool
) -> Array:
    """Gradient of `layer_output`, shape (T, N, H); the core ignores it at masked steps."""
    xp = namespace_of(doutput)
    hold = valid is not None and not zeros
    if sequences:
        d = xp.permute_dims(doutput, (1, 0, 2))
        return hold_last_backward(d, valid, xp) if hold else d
    if hold:
        return pick_backward(doutput, last_steps(valid, xp), xp)
    before = xp.zeros((T - 1, *doutput.shape), dtype=doutput.dtype, device=doutput.device)
    return xp.concat([before, doutput[None, :, :]], axis=0)
