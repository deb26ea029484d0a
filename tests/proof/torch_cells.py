"""One step of each cell of `proof.cells`, by torch and from the papers' equations.

Nothing here is shared with the package but the ratios and limits of the rows.
"""

import math

import torch
from proof.cells import CELL_CLIP, EPS, PROJECTION_CLIP, ZONEOUT
from torch.nn import functional as F


def hard_sigmoid(a):
    return (a / 6 + 0.5).clamp(0, 1)  # torch's own has a slope that is rounded to float32


def lstm(params, x, state, act=torch.tanh, gate=torch.sigmoid):
    Wx, Wh, b = params
    i, f, g, o = (x @ Wx + state[0] @ Wh + b).chunk(4, dim=1)
    c = gate(f) * state[1] + gate(i) * act(g)
    h = gate(o) * act(c)
    return h, [h, c]


def gru_after(params, x, state, act=torch.tanh, gate=torch.sigmoid, seen=None):
    """`seen` is h as the recurrent product sees it."""
    Wx, Wh, b = params
    (h,) = state
    xr, xz, xn = (x @ Wx + b[0]).chunk(3, dim=1)
    hr, hz, hn = ((h if seen is None else seen) @ Wh + b[1]).chunk(3, dim=1)
    r, z = gate(xr + hr), gate(xz + hz)
    new = (1 - z) * act(xn + r * hn) + z * h
    return new, [new]


def gru_before(params, x, state, act=torch.tanh, gate=torch.sigmoid, seen=None):
    Wx, Wh, b = params
    (h,) = state
    seen = h if seen is None else seen
    xr, xz, xn = (x @ Wx + b).chunk(3, dim=1)
    Ur, Uz, Un = Wh.chunk(3, dim=1)
    r, z = gate(xr + seen @ Ur), gate(xz + seen @ Uz)
    new = (1 - z) * act(xn + (r * seen) @ Un) + z * h
    return new, [new]


def lstmp(
    peepholes=False,
    projection=False,
    clip=None,
    projection_clip=None,
    act=torch.tanh,
    gate=torch.sigmoid,
):
    def step(params, x, state):
        Wx, Wh, b = params[:3]
        h, c = state
        i, f, g, o = (x @ Wx + h @ Wh + b).chunk(4, dim=1)
        w_i, w_f, w_o = params[3] if peepholes else (0.0, 0.0, 0.0)
        c = gate(f + w_f * c) * c + gate(i + w_i * c) * act(g)
        if clip is not None:
            c = c.clamp(-clip, clip)
        h = gate(o + w_o * c) * act(c)
        if projection:
            h = h @ params[-1]
        if projection_clip is not None:
            h = h.clamp(-projection_clip, projection_clip)
        return h, [h, c]

    return step


def layer_norm_rnn(act):
    def step(params, x, state):
        Wx, Wh, b, gamma = params
        h = act(F.layer_norm(x @ Wx + state[0] @ Wh, b.shape, gamma, b, EPS))
        return h, [h]

    return step


def layer_norm_lstm(params, x, state, act=torch.tanh, gate=torch.sigmoid):
    Wx, Wh, b, gamma, gamma_c, beta_c = params
    h, c = state
    ax = F.layer_norm(x @ Wx, b.shape, gamma[0], eps=EPS)
    ah = F.layer_norm(h @ Wh, b.shape, gamma[1], b, EPS)
    i, f, g, o = (ax + ah).chunk(4, dim=1)
    c = gate(f) * c + gate(i) * act(g)
    h = gate(o) * act(F.layer_norm(c, beta_c.shape, gamma_c, beta_c, EPS))
    return h, [h, c]


def layer_norm_lstmp(
    peepholes=False,
    projection=False,
    clip=math.inf,
    projection_clip=math.inf,
    act=torch.tanh,
    gate=torch.sigmoid,
):
    def step(params, x, state):
        Wx, Wh, b, gamma, gamma_c, beta_c = params[:6]
        h, c = state
        ax = F.layer_norm(x @ Wx, b.shape, gamma[0], eps=EPS)
        ah = F.layer_norm(h @ Wh, b.shape, gamma[1], eps=EPS)
        i, f, g, o = (ax + ah + b).chunk(4, dim=1)
        w_i, w_f, w_o = params[6] if peepholes else (0.0, 0.0, 0.0)
        c = gate(f + w_f * c) * c + gate(i + w_i * c) * act(g)
        c = c.clamp(-clip, clip)
        h = act(F.layer_norm(c, beta_c.shape, gamma_c, beta_c, EPS))
        h = gate(o + w_o * c) * h
        h = (h @ params[-1] if projection else h).clamp(-projection_clip, projection_clip)
        return h, [h, c]

    return step


def layer_norm_gru(params, x, state, act=torch.tanh, gate=torch.sigmoid, seen=None):
    Wx, Wh, b, gamma = params
    (h,) = state
    seen = h if seen is None else seen
    xr, xz, xn = F.layer_norm(x @ Wx, b[0].shape, gamma[0], b[0], EPS).chunk(3, dim=1)
    hr, hz, hn = F.layer_norm(seen @ Wh, b[1].shape, gamma[1], b[1], EPS).chunk(3, dim=1)
    z = gate(xz + hz)
    new = (1 - z) * act(xn + gate(xr + hr) * hn) + z * h
    return new, [new]


def layer_norm_gru_before(params, x, state, act=torch.tanh, gate=torch.sigmoid, seen=None):
    Wx, Wh, b, gamma = params
    (h,) = state
    seen = h if seen is None else seen
    H = h.shape[1]
    xr, xz, xn = F.layer_norm(x @ Wx, b.shape, gamma[0], b, EPS).chunk(3, dim=1)
    gates = F.layer_norm(seen @ Wh[:, : 2 * H], (2 * H,), gamma[1, : 2 * H], eps=EPS)
    r, z = gate(torch.cat([xr, xz], dim=1) + gates).chunk(2, dim=1)
    candidate = F.layer_norm((r * seen) @ Wh[:, 2 * H :], (H,), gamma[1, 2 * H :], eps=EPS)
    new = (1 - z) * act(xn + candidate) + z * h
    return new, [new]


def zoneout(params, x, state):
    _, new = lstm(params, x, state)
    new = [(1 - p) * b + p * a for p, a, b in zip(ZONEOUT, state, new, strict=True)]
    return new[0], new


def residual(params, x, state):
    W, U, P = params
    a = torch.tanh(x @ W + state[0] @ U)
    s = 0.75 * state[1] + 0.25 * a
    return x + (a * s) @ P, [a, s]


def states_as_output(params, x, state):
    _, new = lstm(params, x, state)
    return torch.cat(new, dim=1), new


def stacked(params, x, state):
    below = torch.tanh(x @ params[0] + state[0] @ params[1] + params[2])
    above, _ = gru_after(params[3:], below, state[1:])
    return above, [below, above]


def with_activations(step, act, gate):
    return lambda params, x, state: step(params, x, state, act, gate)


CELL_STEPS = {
    "lstm-activations": with_activations(lstm, F.silu, hard_sigmoid),
    "gru-after-activations": with_activations(gru_after, F.gelu, hard_sigmoid),
    "gru-before-activations": with_activations(gru_before, F.mish, F.softsign),
    "lstmp": lstmp(),
    "lstmp-peepholes": lstmp(peepholes=True),
    "lstmp-projection": lstmp(projection=True),
    "lstmp-clip": lstmp(clip=CELL_CLIP),
    "lstmp-all": lstmp(True, True, CELL_CLIP, PROJECTION_CLIP, torch.relu),
    "layer-norm-rnn": layer_norm_rnn(torch.tanh),
    "layer-norm-lstm": layer_norm_lstm,
    "layer-norm-peepholes": layer_norm_lstmp(peepholes=True),
    "layer-norm-projection": layer_norm_lstmp(projection=True),
    "layer-norm-clip": layer_norm_lstmp(clip=CELL_CLIP),
    "layer-norm-lstmp-all": layer_norm_lstmp(True, True, CELL_CLIP, PROJECTION_CLIP),
    "layer-norm-gru": layer_norm_gru,
    "layer-norm-gru-before": layer_norm_gru_before,
    "zoneout": zoneout,
    "residual-cell": residual,
    "states-as-output": states_as_output,
    "stacked-cell": stacked,
}
