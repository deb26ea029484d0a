"""Cells with zoneout and dropout, as the tests of this folder make them."""

import numpy as np

from rnn_xp.cells import (
    DropoutCell,
    GRUCell,
    LayerNormGRUCell,
    LSTMCell,
    RNNCell,
    ZoneoutCell,
    random_cells,
)
from rnn_xp.layers import TimeCell

N, T, D, H = 3, 4, 2, 3
SEED = 11
LENGTHS = [4, 0, 2]
MASK = [[True, False, True, True], [False, False, True, True], [False] * 4]
USES = {"plain": {}, "lengths": {"lengths": LENGTHS}, "mask": {"mask": np.array(MASK)}}

EPS = 0.05  # of the layer norm: three numbers may have almost no variance


def layer_norm_gru(*params):
    return LayerNormGRUCell(*params, eps=EPS)


# The cell, the shapes of its parameters, the number of its state arrays.
CELLS = {
    "rnn": (RNNCell, [(D, H), (H, H), (H,)], 1),
    "lstm": (LSTMCell, [(D, 4 * H), (H, 4 * H), (4 * H,)], 2),
    "gru-after": (GRUCell, [(D, 3 * H), (H, 3 * H), (2, 3 * H)], 1),
    "gru-before": (GRUCell, [(D, 3 * H), (H, 3 * H), (3 * H,)], 1),
    "layer-norm-gru": (layer_norm_gru, [(D, 3 * H), (H, 3 * H), (2, 3 * H), (2, 3 * H)], 1),
    "layer-norm-gru-before": (
        layer_norm_gru,
        [(D, 3 * H), (H, 3 * H), (3 * H,), (2, 3 * H)],
        1,
    ),
}
# How it is wrapped: zoneout ratios, or dropout ratios (input, state, output, variational).
WRAPPERS = {
    **{f"zoneout {name}": (name, "zoneout", None) for name in CELLS},
    **{f"dropout {name}": (name, "dropout", (0.3, 0.4, 0.2, False)) for name in CELLS},
    **{f"variational {name}": (name, "dropout", (0.3, 0.4, 0.2, True)) for name in CELLS},
    "dropout of the input alone": ("lstm", "dropout", (0.5, 0.0, 0.0, False)),
    "dropout of the output alone": ("gru-after", "dropout", (0.0, 0.0, 0.5, False)),
    "zoneout of dropout": ("lstm", "both", (0.0, 0.4, 0.0, True)),
}
RATIOS = (0.3, 0.6)  # zoneout of h and c


def make(name, params):
    """The layer: a `TimeCell` of the wrapped cell."""
    kind, how, ratios = WRAPPERS[name]
    cls, _, states = CELLS[kind]
    cell = cls(*params)
    if how in ("dropout", "both"):
        cell = DropoutCell(cell, *ratios, seed=SEED, stream=5)
    if how in ("zoneout", "both"):
        ratio = RATIOS if states == 2 else RATIOS[0]
        cell = ZoneoutCell(cell, ratio, seed=SEED, stream=6)
    return TimeCell(cell, stateful=True)


def numbers(name):
    """Parameters, xs, states, and what comes from above: hs, states."""
    _, shapes, states = CELLS[WRAPPERS[name][0]]
    rng = np.random.default_rng(len(name))
    params = [0.6 * rng.standard_normal(s) for s in shapes]
    draw = [[rng.standard_normal((N, H)) for _ in range(states)] for _ in range(2)]
    return (
        params,
        rng.standard_normal((2, N, T, D)),
        draw[0],
        rng.standard_normal((N, T, H)),
        draw[1],
    )


def packed(parts):
    return tuple(parts) if len(parts) == 2 else parts[0]


def unpacked(state):
    return list(state) if isinstance(state, tuple) else [state]


def reset(layer, be, states, call):
    """Make the next call number `call`, from `states`."""
    for cell in random_cells(layer.cell):
        cell.counter = call
    layer.set_state(packed([be.asarray(s) for s in states]))
