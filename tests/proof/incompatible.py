"""Options that cannot be had together, as data: why, and what the package says to it."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from proof.catalogue import BY_NAME

from rnn_xp.cells import LSTMCell, ResidualCell, StackedCell
from rnn_xp.errors import ShapeError
from rnn_xp.layers import Bidirectional, Residual, Stack, TimeCell, TimeLSTM, WeightDrop

# What two options cannot both set: there is one place for it, so no call could ask for both.
SETTINGS = {
    "merge": "a `Bidirectional` has one `merge`",
    "widths": "a `Stack` is of one width or of two",
    "between": "a `TimeDropout` is variational or it is not",
}


@dataclass(frozen=True, eq=False)
class Refusal:
    """Two options that the package refuses together.

    Attributes
    ----------
    pair : set of str
        Names of the options.
    reason : str
    attempt : callable
        Asks for both.
    error, message : type, str
        What it raises, and a regular expression for what that says.
    """

    pair: frozenset
    reason: str
    attempt: Callable
    error: type
    message: str


def weights(D, H):
    """Wx, Wh, b of an LSTM."""
    return np.ones((D, 4 * H)), np.ones((H, 4 * H)), np.zeros(4 * H)


def lengths_and_mask():
    xs, mask = np.ones((2, 3, 2)), np.ones((2, 3), dtype=bool)
    TimeLSTM(*weights(2, 3)).forward(xs, lengths=[3, 2], mask=mask)


def residual_cell_of_two_widths():
    Stack([TimeLSTM(*weights(3, 3)), TimeCell(ResidualCell(LSTMCell(*weights(3, 4))))])


def residual_of_two_outputs():
    layers = (TimeLSTM(*weights(2, 2)) for _ in range(2))
    Residual(Bidirectional(*layers, None)).forward(np.ones((2, 3, 2)))


def weight_drop_of_a_stacked_cell():
    WeightDrop(TimeCell(StackedCell([LSTMCell(*weights(2, 2)) for _ in range(2)])))


def refusal(a, b, reason, attempt, error, message):
    return Refusal(frozenset((a, b)), reason, attempt, error, message)


REFUSALS = (
    refusal(
        "lengths",
        "mask",
        "`lengths` are a mask: a call has one of them",
        lengths_and_mask,
        ValueError,
        "give lengths or mask, not both",
    ),
    refusal(
        "residual cell",
        "stack of two widths",
        "a residual connection needs an output as wide as the input",
        residual_cell_of_two_widths,
        ShapeError,
        "the input is 3 wide and the output 4, expected the same width",
    ),
    refusal(
        "residual",
        "bidirectional: none",
        "a residual connection needs one output to add to",
        residual_of_two_outputs,
        ShapeError,
        "the output of Bidirectional is a tuple, expected",
    ),
    refusal(
        "stacked cell",
        "weight drop",
        "weight drop is of one layer: a `Stack` of layers, each in its `WeightDrop`",
        weight_drop_of_a_stacked_cell,
        TypeError,
        "TimeCell runs a StackedCell; take a Stack of layers",
    ),
)
REFUSED = {refused.pair: refused for refused in REFUSALS}


# Wrappers that go around each other in one way only: why, and what the other way raises.
RESETS_INSIDE = (
    "resets go in from outside: `TimeReset` around the net",
    TypeError,
    r"forward\(\) got an unexpected keyword argument 'resets'",
)
ONE_WAY = {
    frozenset(("weight drop", "trainable initial state")): (
        "`TrainableState` has parameters of its own: it goes around",
        TypeError,
        "TrainableState has the parameters of several parts; wrap each of them",
    ),
    frozenset(("trainable initial state", "per-row reset")): (
        "a reset is to zeros: `TrainableState` goes around",
        ValueError,
        "expected it around: TrainableState",
    ),
    frozenset(("residual", "stack of two widths")): (
        "each layer's output would have to be as wide as its input",
        ShapeError,
        "is 3 wide and its output 4, expected the same width",
    ),
    **{
        frozenset(("per-row reset", other)): RESETS_INSIDE
        for other in (
            "reversed",
            *(name for name in BY_NAME if name.startswith("bidirectional")),
            "stack",
            "stack of two widths",
        )
    },
}


def contradiction(one, other):
    """The setting to which two options give two values, or None."""
    a, b = BY_NAME[one].sets, BY_NAME[other].sets
    return next((key for key in a if key in b and a[key] != b[key]), None)


def why_not(one, other):
    """Why two options, by name, cannot be had together; None if they can."""
    refused = REFUSED.get(frozenset((one, other)))
    if refused is not None:
        return refused.reason
    setting = contradiction(one, other)
    return None if setting is None else SETTINGS[setting]
