"""Whole-sequence kernels as plain loops over `rnn_xp.cells`: the specification.

Array API only: nothing hoisted, no ``out=``, nothing modified but the gradients. Every
fast kernel is checked against these, and any array library runs on them.

Shapes: inside the package sequences are time-major, ``x (T, N, D)``, ``hs (T, N, H)``.
A mask is a boolean array ``(T, N)``, True where a step counts. At a masked step the state
is copied through, the output is zero, and the input is never looked at.
"""

from typing import Any

from rnn_xp._typing import Array, State
from rnn_xp.cells import GRUCell, LSTMCell, RNNCell
from rnn_xp.cells.base import Cell
from rnn_xp.kernels.generic.states import (
    add_states,
    copy_states,
    select_states,
    zero_where_not,
)
from rnn_xp.namespace import namespace_of


def sequence_forward(
    cell: Cell, x: Array, state: State, mask: Array | None, *, keep: bool
) -> tuple[Array, State, Any]:
    """Run any cell over a sequence.

    Parameters
    ----------
    cell : Cell
    x : array, shape (T, N, D)
    state : array or (nested) tuple of array
        Initial state, each part (N, its width).
    mask : array of bool, shape (T, N), or None
    keep : bool
        Whether to keep the caches that `sequence_backward` needs.

    Returns
    -------
    outputs : array, shape (T, N, output_size)
        Zero at masked steps.
    state : like `state`
        After the last valid step of each row.
    cache : tuple or None
    """
    xp = namespace_of(x)
    outputs, caches = [], []
    for t in range(x.shape[0]):
        x_t = x[t, :, :]
        if mask is None:
            output, state, cache = cell.forward(x_t, state)
        else:
            valid = mask[t, :]
            x_t = zero_where_not(valid, x_t, xp)
            output, new_state, cache = cell.forward(x_t, state)
            output = zero_where_not(valid, output, xp)
            state = select_states(valid, new_state, state, xp)
        outputs.append(output)
        if keep:
            caches.append(cache)
    # A copy, because cells keep arrays of their state and the final one is the caller's.
    return xp.stack(outputs, axis=0), copy_states(state), (cell, caches, mask, x) if keep else None


def sequence_backward(
    doutputs: Array | None, dstate: State | None, cache: Any
) -> tuple[Array, State]:
    """Gradient of `sequence_forward`; adds into the cell's grads.

    Parameters
    ----------
    doutputs : array, shape (T, N, output_size), or None
        Gradient with respect to the outputs; None stands for zeros.
    dstate : like the state, or None
        Gradient with respect to the final state; None stands for zeros.
    cache : tuple
        What `sequence_forward` returned.

    Returns
    -------
    dx : array, shape (T, N, D)
    dstate : like the state
        Gradient with respect to the initial state.
    """
    cell, caches, mask, x = cache
    xp = namespace_of(x)
    T, N = x.shape[:2]
    if doutputs is None:
        zeros = xp.zeros((N, cell.output_size), dtype=x.dtype, device=x.device)
    dxs: list[Array] = []
    for t in reversed(range(T)):
        doutput = zeros if doutputs is None else doutputs[t, :, :]
        if mask is None:
            dx, dstate = cell.backward(doutput, dstate, caches[t])
        else:
            valid = mask[t, :]
            doutput = zero_where_not(valid, doutput, xp)
            through = None if dstate is None else select_states(valid, None, dstate, xp)
            dstate = None if dstate is None else select_states(valid, dstate, None, xp)
            dx, dstate = cell.backward(doutput, dstate, caches[t])
            if through is not None:
                dstate = add_states(dstate, through)
        dxs.append(dx)
    dxs.reverse()
    return xp.stack(dxs, axis=0), dstate


def _backward_into(
    cell: Cell, grads: list[Array], doutputs: Array | None, dstate: State | None, cache: Any
) -> tuple[Array, State]:
    xp = namespace_of(grads[0])
    for own in cell.grads:
        own[...] = xp.zeros_like(own)
    dx, dstate = sequence_backward(doutputs, dstate, cache)
    for grad, own in zip(grads, cell.grads, strict=True):
        grad[...] = own
    return dx, dstate


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
) -> tuple[Array, Array, Any]:
    """Simple tanh recurrent layer: ``(hs, hT, cache)``. Shapes as in `lstm_forward`."""
    return sequence_forward(RNNCell(Wx, Wh, b), x, h0, mask, keep=keep)


def rnn_backward(
    dhs: Array | None,
    dhT: Array | None,
    cache: Any,
    grads: list[Array],
    *,
    workspace: Any = None,
) -> tuple[Array, Array]:
    """Gradient of `rnn_forward`: ``(dx, dh0)``; overwrites `grads`."""
    return _backward_into(cache[0], grads, dhs, dhT, cache)


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
) -> tuple[Array, Array, Array, Any]:
    """LSTM layer, gate blocks i, f, g, o.

    Parameters
    ----------
    x : array, shape (T, N, D)
    Wx, Wh, b : array, shapes (D, 4H), (H, 4H), (4H,)
    h0, c0 : array, shape (N, H)
    mask : array of bool, shape (T, N), or None
    keep : bool
        Whether `lstm_backward` will follow.
    workspace : Workspace, optional
        The layer's reusable buffers; the generic kernels need none.

    Returns
    -------
    hs : array, shape (T, N, H)
        A new array; zero at masked steps.
    hT, cT : array, shape (N, H)
        State after each row's last valid step.
    cache : object
        For one call of `lstm_backward`; None if not `keep`.
    """
    hs, (hT, cT), cache = sequence_forward(LSTMCell(Wx, Wh, b), x, (h0, c0), mask, keep=keep)
    return hs, hT, cT, cache


def lstm_backward(
    dhs: Array | None,
    dhT: Array | None,
    dcT: Array | None,
    cache: Any,
    grads: list[Array],
    *,
    workspace: Any = None,
) -> tuple[Array, Array, Array]:
    """Gradient of `lstm_forward`: ``(dx, dh0, dc0)``; overwrites `grads` (dWx, dWh, db).

    Each of `dhs` (T, N, H), `dhT` and `dcT` (N, H) may be None, which stands for zeros.
    """
    dstate = None
    if dhT is not None or dcT is not None:
        given = dhT if dhT is not None else dcT
        zeros = namespace_of(given).zeros_like(given)
        dstate = (zeros if dhT is None else dhT, zeros if dcT is None else dcT)
    dx, (dh0, dc0) = _backward_into(cache[0], grads, dhs, dstate, cache)
    return dx, dh0, dc0


def gru_forward(
    x: Array,
    Wx: Array,
    Wh: Array,
    b: Array,
    h0: Array,
    mask: Array | None,
    *,
    keep: bool,
    workspace: Any = None,
) -> tuple[Array, Array, Any]:
    """GRU layer, gate blocks r, z, n; the shape of `b` names the variant: ``(hs, hT, cache)``."""
    return sequence_forward(GRUCell(Wx, Wh, b), x, h0, mask, keep=keep)


def gru_backward(
    dhs: Array | None,
    dhT: Array | None,
    cache: Any,
    grads: list[Array],
    *,
    workspace: Any = None,
) -> tuple[Array, Array]:
    """Gradient of `gru_forward`: ``(dx, dh0)``; overwrites `grads`."""
    return _backward_into(cache[0], grads, dhs, dhT, cache)
