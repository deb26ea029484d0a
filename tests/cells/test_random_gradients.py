"""`ZoneoutCell` and `DropoutCell` while training: their gradients.

The masks are known (`rnn_xp.rng.draw_dropout_mask` is their definition), so that what is
random is a function like any other, and is proved like one: by central differences, and by a
program in torch that shares nothing with the cells.
"""

import numpy as np
import pytest
from random_kinds import (
    EPS,
    LENGTHS,
    MASK,
    RATIOS,
    SEED,
    USES,
    WRAPPERS,
    D,
    H,
    N,
    T,
    make,
    numbers,
    packed,
    reset,
    unpacked,
)

from rnn_xp.backend import to_host
from rnn_xp.cells import random_cells
from rnn_xp.rng import DropoutKey, draw_dropout_mask
from rnn_xp.testing import check_gradients

wrappers = pytest.mark.parametrize("name", WRAPPERS)
uses = pytest.mark.parametrize("use", USES)


@wrappers
@uses
def test_gradients_match_central_differences(name, use, be):
    params, xs, states, _, _ = numbers(name)
    layer = make(name, [be.asarray(p) for p in params])
    check_gradients(
        layer, be.asarray(xs[0]), reset=lambda: reset(layer, be, states, 3), **USES[use]
    )


# ---- the same in torch


def drawn(torch, shape, ratio, stream, counter):
    mask = draw_dropout_mask(shape, ratio, DropoutKey(SEED, stream, counter))
    return torch.tensor(mask, dtype=torch.float64)


def one_step(torch, kind, params, x, state, seen):
    """The cell's equations; `seen` is what the products see in place of h."""
    Wx, Wh, b = params[:3]
    if kind == "rnn":
        return [torch.tanh(x @ Wx + seen @ Wh + b)]
    if kind == "lstm":
        i, f, g, o = (x @ Wx + seen @ Wh + b).chunk(4, dim=1)
        c = torch.sigmoid(f) * state[1] + torch.sigmoid(i) * torch.tanh(g)
        return [torch.sigmoid(o) * torch.tanh(c), c]
    (h,) = state
    if kind == "gru-before":
        xr, xz, xn = (x @ Wx + b).chunk(3, dim=1)
        Ur, Uz, Un = Wh.chunk(3, dim=1)
        r, z = torch.sigmoid(xr + seen @ Ur), torch.sigmoid(xz + seen @ Uz)
        return [(1 - z) * torch.tanh(xn + (r * seen) @ Un) + z * h]
    norm = torch.nn.functional.layer_norm
    if kind == "layer-norm-gru-before":
        gains = (params[3][0], params[3][1, : 2 * H], params[3][1, 2 * H :])
        xr, xz, xn = (norm(x @ Wx, (3 * H,), gains[0], eps=EPS) + b).chunk(3, dim=1)
        hr, hz = norm(seen @ Wh[:, : 2 * H], (2 * H,), gains[1], eps=EPS).chunk(2, dim=1)
        r, z = torch.sigmoid(xr + hr), torch.sigmoid(xz + hz)
        hn = norm((r * seen) @ Wh[:, 2 * H :], (H,), gains[2], eps=EPS)
        return [(1 - z) * torch.tanh(xn + hn) + z * h]
    ax, ah = x @ Wx, seen @ Wh
    if kind == "layer-norm-gru":
        ax, ah = (
            norm(a, (3 * H,), gamma, eps=EPS) for a, gamma in zip((ax, ah), params[3], strict=True)
        )
    xr, xz, xn = (ax + b[0]).chunk(3, dim=1)
    hr, hz, hn = (ah + b[1]).chunk(3, dim=1)
    r, z = torch.sigmoid(xr + hr), torch.sigmoid(xz + hz)
    return [(1 - z) * torch.tanh(xn + r * hn) + z * h]


def oracle(torch, name, params, xs, states, valid, call):
    """``(hs, final states)`` of training call number `call`."""
    kind, how, ratios = WRAPPERS[name]
    ones = torch.ones(T, 1, 1, dtype=torch.float64)
    on_input, on_state, on_output = ones, ones, ones
    if how in ("dropout", "both"):
        steps = 1 if ratios[3] else T
        masks = [
            drawn(torch, (steps, N, width), ratio, 5, 3 * call + k).expand(T, N, width)
            for k, (width, ratio) in enumerate(zip((D, H, H), ratios, strict=False))
        ]
        on_input, on_state, on_output = masks
    updates = [ones] * len(states)
    if how in ("zoneout", "both"):
        updates = [
            (drawn(torch, (T, N, H), RATIOS[k], 6, len(states) * call + k) > 0).double()
            for k in range(len(states))
        ]
    outputs = []
    for t in range(T):
        x = xs[:, t] * on_input[t]
        new = one_step(torch, kind, params, x, states, states[0] * on_state[t])
        new = [u[t] * a + (1 - u[t]) * s for u, a, s in zip(updates, new, states, strict=True)]
        output = new[0] * on_output[t]
        row = valid[:, t, None]
        outputs.append(torch.where(row, output, 0.0 * output))
        states = [torch.where(row, a, s) for a, s in zip(new, states, strict=True)]
    return torch.stack(outputs, dim=1), states


@wrappers
@uses
def test_two_stateful_calls_match_torch(name, use, be, torch_backend):
    """Two calls: the counter goes on, the state is carried, the gradient stops between them."""
    import torch

    valid = np.array(MASK) if use == "mask" else np.ones((N, T), bool)
    if use == "lengths":
        valid = np.arange(T)[None, :] < np.array(LENGTHS)[:, None]
    params, xs, states, dhs, dstates = numbers(name)
    layer = make(name, [be.asarray(p) for p in params])
    reset(layer, be, states, 0)
    tensor = lambda a: torch.tensor(a, requires_grad=True)  # noqa: E731
    for call in range(2):
        hs = layer.forward(be.asarray(xs[call]), **USES[use])
        finals = [to_host(s) for s in unpacked(layer.state)]
        dxs = layer.backward(be.asarray(dhs), packed([be.asarray(d) for d in dstates]))
        given = [dxs, *unpacked(layer.dstate), *layer.grads]

        leaves = [tensor(xs[call]), *map(tensor, states), *map(tensor, params)]
        own = leaves[1 : 1 + len(states)]
        ref, ends = oracle(
            torch, name, leaves[1 + len(states) :], leaves[0], own, torch.tensor(valid), call
        )
        loss = (ref * torch.tensor(dhs)).sum()
        loss = loss + sum((e * torch.tensor(d)).sum() for e, d in zip(ends, dstates, strict=True))
        expected = torch.autograd.grad(loss, leaves)
        np.testing.assert_allclose(to_host(hs), ref.detach().numpy(), atol=1e-12, rtol=0)
        for a, b in zip(finals, ends, strict=True):
            np.testing.assert_allclose(a, b.detach().numpy(), atol=1e-12, rtol=0)
        for a, b in zip(given, expected, strict=True):
            np.testing.assert_allclose(to_host(a), b.numpy(), atol=1e-11, rtol=0)
        states = finals
    assert {cell.counter for cell in random_cells(layer.cell)} == {2}
