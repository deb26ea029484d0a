"""The options of the recurrent layers, alone and several together, as rows of the proof grid.

Adding an option to the grid, and to the table of the README, is adding a line to `SINGLE`.
All pairs of options are in `proof.pairs`; `TOGETHER` has examples of three and more.
"""

from proof.cells import CELL_KINDS
from proof.nets import NetCase
from proof.random_kinds import RANDOM_KINDS
from proof.sequences import KINDS, H
from proof.stateful import StatefulCase

N, T = 3, 4
LENGTHS = (4, 0, 2)  # full, empty, short
MASK = (  # True where a step counts
    (True, False, True, True),  # a hole
    (False, False, True, True),  # padding on the left
    (False, False, False, False),  # nothing
)
RESETS = (  # True where a row starts anew
    (False, True, False, True),  # three pieces
    (True, False, False, False),  # the kept state is not used
    (False, False, True, False),
)
WIDE = 4  # the width of the second layer where the layers differ

ONE, TWO, THREE = ("layer", 0), ("layer", 1), ("layer", 2)
BOTH = ("bidirectional", "concat", ONE, TWO)


def stateful(spec, kinds, label, **options):
    """Two calls of a stateful net."""
    first = NetCase(label, spec, kinds, N, T, tag="first", **options)
    second = NetCase(label, spec, kinds, N, T, tag="second", call=1, set_states=True, **options)
    return StatefulCase(first, second)


def same(*names):
    """Nets of one kind of layer each: as many layers as the net has."""
    return [[(ALL[name], H)] * 3 for name in names]


ALL = KINDS | CELL_KINDS | RANDOM_KINDS
EVERY = same("rnn", "lstm", "gru-after", "gru-before", "user")
THREE_KINDS = same("lstm", "gru-before", "user")
FAST = same("lstm", "gru-after")
LSTM = same("lstm")
MIXED = [[(KINDS["lstm"], H), (KINDS["gru-after"], WIDE), (KINDS["user"], H)]]
CELLS = same("layer-norm-lstm", "stacked-cell")
ZONEOUT = same("zoneout-lstm", "zoneout-gru")
DROPOUT = same("dropout-lstm", "dropout-gru")
NORMED = same("zoneout-layer-norm"), same("dropout-layer-norm")
PROJECTED = same("zoneout-lstmp"), same("dropout-lstmp")
# Layers of two widths.
WIDTHS = [
    [(KINDS["lstm"], H), (KINDS["lstm"], WIDE)],
    [(KINDS["rnn"], WIDE), (KINDS["gru-before"], H)],
]

# label, net, kinds of its layers, and how it is called
SINGLE = (
    ("weight drop", ("weight drop", ONE), EVERY, {}),
    ("trainable initial state", ("trainable", ONE), EVERY, {}),
    ("residual", ("residual", ONE), EVERY, {}),
    ("zoneout", ONE, ZONEOUT, {}),
    ("dropout of input, state and output", ONE, DROPOUT, {}),
    ("per-row reset", ("resets", ONE), EVERY, {"resets": RESETS}),
    ("reversed", ("reversed", ONE), EVERY, {}),
    ("bidirectional: concat, with states", BOTH, THREE_KINDS, {}),
    ("bidirectional: sum", ("bidirectional", "sum", ONE, TWO), LSTM, {}),
    ("bidirectional: mean", ("bidirectional", "mean", ONE, TWO), LSTM, {}),
    ("bidirectional: mul", ("bidirectional", "mul", ONE, TWO), THREE_KINDS, {}),
    ("bidirectional: none", ("bidirectional", None, ONE, TWO), LSTM, {}),
    ("stack, with states", ("stack", ONE, TWO), THREE_KINDS, {}),
    ("stack of two widths", ("stack", ONE, TWO), WIDTHS, {}),
    ("stack with dropout", ("stack", ONE, ("dropout", 5), TWO), FAST, {}),
    ("stack with variational dropout", ("stack", ONE, ("variational dropout", 5), TWO), LSTM, {}),
)

TOGETHER = (
    (
        "weight drop, bidirectional, lengths",
        ("bidirectional", "concat", ("weight drop", ONE), ("weight drop", TWO)),
        FAST,
        {"lengths": LENGTHS},
    ),
    (
        "weight drop, trainable state, mask",
        ("trainable", ("weight drop", ONE)),
        FAST,
        {"mask": MASK},
    ),
    (
        "weight drop, residual, time-major",
        ("weight drop", ("residual", ONE)),
        LSTM,
        {"time_major": True},
    ),
    (
        "trainable state, stacked, mask",
        ("trainable", ("stack", ONE, TWO)),
        THREE_KINDS,
        {"mask": MASK},
    ),
    (
        "trainable state, bidirectional, lengths",
        ("bidirectional", "concat", ("trainable", ONE), ("trainable", TWO)),
        FAST,
        {"lengths": LENGTHS},
    ),
    ("residual, zoneout, lengths", ("residual", ONE), ZONEOUT, {"lengths": LENGTHS}),
    ("layer norm, zoneout, mask", ONE, NORMED[0], {"mask": MASK}),
    ("layer norm, dropout in the cell, mask", ONE, NORMED[1], {"mask": MASK}),
    ("peepholes, projection and clip, zoneout, lengths", ONE, PROJECTED[0], {"lengths": LENGTHS}),
    (
        "peepholes, projection and clip, dropout in the cell, stateful",
        ONE,
        PROJECTED[1],
        {"stateful": True},
    ),
    ("dropout in the cell, stacked, lengths", ("stack", ONE, TWO), DROPOUT, {"lengths": LENGTHS}),
    (
        "dropout in the cell, trainable state, weight drop, mask",
        ("trainable", ("weight drop", ONE)),
        DROPOUT,
        {"mask": MASK},
    ),
    (
        "weight drop, zoneout, bidirectional, mask",
        ("bidirectional", "concat", ("weight drop", ONE), ("weight drop", TWO)),
        ZONEOUT,
        {"mask": MASK},
    ),
    (
        "weight drop, trainable state, layer norm",
        ("trainable", ("weight drop", ONE)),
        same("layer-norm-lstm"),
        {},
    ),
    (
        "per-row reset, cells, stateful",
        ("resets", ONE),
        CELLS,
        {"resets": RESETS, "stateful": True},
    ),
    (
        "residual, stacked, dropout, lengths",
        ("stack", ("residual", ONE), ("dropout", 5), ("residual", TWO)),
        FAST,
        {"lengths": LENGTHS},
    ),
    (
        "residual, bidirectional sum, time-major mask",
        ("residual", ("bidirectional", "sum", ONE, TWO)),
        LSTM,
        {"mask": MASK, "time_major": True},
    ),
    (
        "per-row reset, lengths, time-major",
        ("resets", ONE),
        LSTM,
        {"resets": RESETS, "lengths": LENGTHS, "time_major": True},
    ),
    (
        "per-row reset, stacked, stateful",
        ("resets", ("stack", ONE, TWO)),
        FAST,
        {"resets": RESETS, "stateful": True},
    ),
    (
        "per-row reset, bidirectional, mask",
        ("resets", BOTH),
        FAST,
        {"resets": RESETS, "mask": MASK, "set_states": False, "ends": False},
    ),
    (
        "reversed, residual, time-major mask",
        ("reversed", ("residual", ONE)),
        LSTM,
        {"mask": MASK, "time_major": True},
    ),
    ("bidirectional of two kinds and widths, lengths", BOTH, MIXED, {"lengths": LENGTHS}),
    (
        "bidirectional, stacked, dropout, mask",
        ("stack", BOTH, ("dropout", 5), THREE),
        FAST,
        {"mask": MASK},
    ),
    (
        "stack of two widths and kinds, stateful",
        ("stack", ONE, TWO),
        MIXED,
        {"stateful": True},
    ),
)


def rows(lines):
    """A case for each line and for each choice of kinds in it."""
    made = []
    for label, spec, choices, options in lines:
        options = dict(options)
        make = stateful if options.pop("stateful", False) else _once
        made += [make(spec, kinds, label, **options) for kinds in choices]
    return tuple(made)


def _once(spec, kinds, label, **options):
    return NetCase(label, spec, kinds, N, T, **options)


SINGLE_ROWS = rows(SINGLE)
TOGETHER_ROWS = rows(TOGETHER)
