"""Cells that draw masks, as layers of the proof grid's nets, and one step of each by torch.

The masks are the only thing shared with the package: mask `k` of step `t` in call number
`c` is step `t` of what `rnn_xp.rng.draw_dropout_mask` gives for the counter
``c * masks + k``, as `rnn_xp.cells` says.
"""

from functools import partial

from proof.cells import (
    CELL_CLIP,
    CELL_KINDS,
    ZONEOUT,
    CellKind,
    gated,
    lstmp,
    peepholes_and_projection,
)

from rnn_xp.cells import DropoutCell, GRUCell, LSTMCell, ZoneoutCell
from rnn_xp.rng import DropoutKey, draw_dropout_mask

SEED, STREAM, ZONEOUT_STREAM = 7, 11, 12
DROPOUTS = (0.3, 0.4, 0.25)  # of input, state and output
STATE_ONLY = (0.0, 0.4, 0.0)
LAYER_NORM = CELL_KINDS["layer-norm-lstm"]

# The cells inside: shapes of the parameters, how the cell is made of them, number of states.
INNER = {
    "lstm": (gated(4), lambda p: LSTMCell(*p), 2),
    "gru": (gated(3, 2), lambda p: GRUCell(*p), 1),
    "lstmp": (peepholes_and_projection, lstmp(True, True, cell_clip=CELL_CLIP), 2),
    "layer-norm": (LAYER_NORM.weights, LAYER_NORM.make_cell, 2),
}
# The cell inside, its dropout ratios and whether they are variational, the ratios of zoneout
# around that.
MADE = {
    "zoneout-lstm": ("lstm", None, False, ZONEOUT),
    "zoneout-gru": ("gru", None, False, ZONEOUT[1:]),
    "zoneout-lstmp": ("lstmp", None, False, ZONEOUT),
    "zoneout-layer-norm": ("layer-norm", None, False, ZONEOUT),
    "dropout-lstm": ("lstm", DROPOUTS, True, None),
    "dropout-gru": ("gru", DROPOUTS, False, None),
    "dropout-lstmp": ("lstmp", DROPOUTS, True, None),
    "dropout-layer-norm": ("layer-norm", DROPOUTS, True, None),
    "zoneout-dropout-lstm": ("lstm", STATE_ONLY, True, ZONEOUT),
}


def make_cell(name, params):
    inner, ratios, variational, zoneout = MADE[name]
    cell = INNER[inner][1](params)
    if ratios is not None:
        cell = DropoutCell(cell, *ratios, variational=variational, seed=SEED, stream=STREAM)
    if zoneout is not None:
        cell = ZoneoutCell(cell, zoneout, seed=SEED, stream=ZONEOUT_STREAM)
    return cell


RANDOM_KINDS = {
    name: CellKind(
        name, "", INNER[inner][0], partial(make_cell, name), INNER[inner][2], random=True
    )
    for name, (inner, _, _, _) in MADE.items()
}


class StepMasks:
    """The masks of row `n` at step `t` of a call, as tensors (1, width)."""

    def __init__(self, call, N, T, n, t):
        self.call, self.N, self.T, self.n, self.t = call, N, T, n, t

    def __call__(self, ratios, k, width, *, stream, variational=False):
        import torch

        key = DropoutKey(SEED, stream, self.call * len(ratios) + k)
        shape = (1 if variational else self.T, self.N, width)
        mask = draw_dropout_mask(shape, ratios[k], key)
        return torch.tensor(mask[0 if variational else self.t, self.n])[None, :]


def random_step(kind, params, x, state, masks):
    """One step: ``(output, new state)``."""
    import torch

    inner, ratios, variational, zoneout = MADE[kind]

    def drop(k, a):
        if ratios is None or ratios[k] == 0.0:
            return a
        shape = {"stream": STREAM, "variational": variational}
        return a * masks(ratios, k, a.shape[1], **shape)

    output, new = inner_step(inner, params, drop(0, x), state, drop(1, state[0]))
    if zoneout is None:
        return drop(2, output), new
    taken = [
        masks(zoneout, k, part.shape[1], stream=ZONEOUT_STREAM) > 0 for k, part in enumerate(new)
    ]
    new = [torch.where(m, a, b) for m, a, b in zip(taken, new, state, strict=True)]
    return new[0], new


def inner_step(inner, params, x, state, seen):
    """One step of the cell inside; `seen` is h as the recurrent product sees it."""
    import torch
    from proof.torch_cells import layer_norm_lstm, lstm
    from proof.torch_cells import lstmp as lstmp_step

    if inner == "gru":  # also carries h on past its gates
        Wx, Wh, b = params
        xr, xz, xn = (x @ Wx + b[0]).chunk(3, dim=1)
        hr, hz, hn = (seen @ Wh + b[1]).chunk(3, dim=1)
        z = torch.sigmoid(xz + hz)
        h = (1 - z) * torch.tanh(xn + torch.sigmoid(xr + hr) * hn) + z * state[0]
        return h, [h]
    steps = {
        "lstm": lstm,
        "layer-norm": layer_norm_lstm,
        "lstmp": lstmp_step(peepholes=True, projection=True, clip=CELL_CLIP),
    }
    return steps[inner](params, x, [seen, *state[1:]])
