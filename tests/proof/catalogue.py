"""Every option of the recurrent layers, as data.

The pairs of the proof grid are made of this list (`proof.pairs`): adding an option to all of
them, and to the page ``docs/option_pairs.md``, is adding an `Option` here.
"""

from dataclasses import dataclass

H, WIDE = 3, 4
N, T = 4, 3
LENGTHS = (3, 0, 2, 1)  # full, empty, short
MASK = (  # True where a step counts
    (True, False, True),  # a hole
    (False, True, True),  # padding on the left
    (True, True, False),  # padding on the right
    (False, False, False),  # nothing
)
RESETS = (  # True where a row starts anew
    (False, True, False),  # two pieces
    (True, False, False),  # the kept state is not used
    (False, True, True),  # three pieces
    (False, False, False),
)

KINDS = {
    "lstm": "LSTM",
    "rnn": "RNN",
    "gru-after": "GRU, reset after",
    "gru-before": "GRU, reset before",
    "user": "a user's own cell",
}
EVERY = tuple(KINDS)
BUILT_IN = ("lstm", "rnn", "gru-after", "gru-before")
LSTM = ("lstm",)


@dataclass(frozen=True, eq=False)
class Option:
    """An option, what it sets, and what it goes with.

    Two options that set one thing to two values cannot be had together; `SETTINGS` says why.

    Attributes
    ----------
    name : str
        A row and a column of the page.
    sets : dict
        What of the cell, of the net or of the call it sets, and to what.
    kinds : tuple of str
        Of `KINDS`, those that have it.
    because : str
        Why the others do not.
    """

    name: str
    sets: dict
    kinds: tuple = EVERY
    because: str = ""


LSTM_ONLY = "it is part of an LSTM's step"

OPTIONS = (
    # The cell.
    Option("forget bias", {"forget bias": True}, LSTM, "the others have no forget gate"),
    Option(
        "activations",
        {"activations": True},
        BUILT_IN,
        "a user's cell has those that it is written with",
    ),
    Option(
        "layer norm",
        {"layer norm": True},
        BUILT_IN,
        "a user's cell has the norms that it is written with",
    ),
    Option("peepholes", {"LSTMP": True, "peepholes": True}, LSTM, LSTM_ONLY),
    Option("projection", {"LSTMP": True, "projection": True}, LSTM, LSTM_ONLY),
    Option("cell clipping", {"LSTMP": True, "cell clip": True}, LSTM, LSTM_ONLY),
    Option("projection clipping", {"LSTMP": True, "projection clip": True}, LSTM, LSTM_ONLY),
    Option("zoneout", {"zoneout": True}),
    Option("dropout of the cell's input", {"input": True}),
    Option("dropout of the state", {"state": True}),
    Option("dropout of the cell's output", {"output": True}),
    Option("variational dropout in the cell", {"variational": True}),
    Option("residual cell", {"residual cell": True}),
    Option("states as output", {"states": True}),
    Option("stacked cell", {"stacked cell": True}),
    # The layer, and layers of layers.
    Option("weight drop", {"weight drop": True}),
    Option("trainable initial state", {"trainable": True}),
    Option("residual", {"residual": True}),
    Option("per-row reset", {"resets": RESETS}),
    Option("reversed", {"reversed": True}),
    Option("bidirectional: concat", {"merge": "concat"}),
    Option("bidirectional: sum", {"merge": "sum"}),
    Option("bidirectional: mean", {"merge": "mean"}),
    Option("bidirectional: mul", {"merge": "mul"}),
    Option("bidirectional: none", {"merge": None}),
    Option("stack", {"widths": (H, H)}),
    Option("stack of two widths", {"widths": (H, WIDE)}),
    Option("dropout between layers", {"between": "dropout"}),
    Option("variational dropout between layers", {"between": "variational dropout"}),
    # The call.
    Option("lengths", {"lengths": LENGTHS}),
    Option("mask", {"mask": MASK}),
    Option("stateful", {"stateful": True}),
    Option("time-major", {"time_major": True}),
)
BY_NAME = {option.name: option for option in OPTIONS}
