"""Cells that draw masks, as layers of the proof grid's nets, and one step of each by torch.

The masks are the only thing shared with the package: mask `k` of step `t` in call number
`c` is step `t` of what `rnn_xp.rng.draw_dropout_mask` gives for the counter
``c * masks + k``, as `rnn_xp.cells` says.
"""

from proof.cells import ZONEOUT, CellKind, gated

from rnn_xp.cells import DropoutCell, GRUCell, LSTMCell, ZoneoutCell
from rnn_xp.rng import DropoutKey, draw_dropout_mask

SEED, STREAM = 7, 11
DROPOUTS = {"input": 0.3, "state": 0.4, "output": 0.25}


def zoneout(params):
    return ZoneoutCell(LSTMCell(*params), ZONEOUT, seed=SEED, stream=STREAM)


def dropout(cls, variational):
    return lambda params: DropoutCell(
        cls(*params), **DROPOUTS, variational=variational, seed=SEED, stream=STREAM
    )


RANDOM_KINDS = {
    kind.name: kind
    for kind in (
        CellKind("zoneout-lstm", "", gated(4), zoneout, 2, random=True),
        CellKind("dropout-lstm", "", gated(4), dropout(LSTMCell, True), 2, random=True),
        CellKind("dropout-gru", "", gated(3, 2), dropout(GRUCell, False), random=True),
    )
}


class StepMasks:
    """The masks of row `n` at step `t` of a call, as tensors (1, width)."""

    def __init__(self, kind, call, N, T, n, t):
        self.ratios = ZONEOUT if "zoneout" in kind else tuple(DROPOUTS.values())
        self.variational = kind == "dropout-lstm"
        self.call, self.N, self.T, self.n, self.t = call, N, T, n, t

    def __call__(self, k, width):
        import torch

        key = DropoutKey(SEED, STREAM, self.call * len(self.ratios) + k)
        shape = (1 if self.variational else self.T, self.N, width)
        mask = draw_dropout_mask(shape, self.ratios[k], key)
        return torch.tensor(mask[0 if self.variational else self.t, self.n])[None, :]


def random_step(kind, params, x, state, masks):
    """One step: ``(output, new state)``."""
    import torch
    from proof.torch_cells import lstm

    if kind == "zoneout-lstm":
        _, new = lstm(params, x, state)
        kept = [masks(k, part.shape[1]) > 0 for k, part in enumerate(new)]
        new = [torch.where(m, a, b) for m, a, b in zip(kept, new, state, strict=True)]
        return new[0], new
    x = x * masks(0, x.shape[1])
    seen = state[0] * masks(1, state[0].shape[1])
    if kind == "dropout-lstm":
        h, new = lstm(params, x, [seen, state[1]])
    else:
        Wx, Wh, b = params
        xr, xz, xn = (x @ Wx + b[0]).chunk(3, dim=1)
        hr, hz, hn = (seen @ Wh + b[1]).chunk(3, dim=1)
        z = torch.sigmoid(xz + hz)
        h = (1 - z) * torch.tanh(xn + torch.sigmoid(xr + hr) * hn) + z * state[0]
        new = [h]
    return h * masks(2, h.shape[1]), new
