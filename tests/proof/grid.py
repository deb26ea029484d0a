"""The proof grid as data: every layer, with every option, that must match every oracle.

Both the tests in this folder and ``docs/proof_table.py``, which prints the table of the
README, run these rows. Adding a layer to the grid is adding a line here. Pairs of options
have a list of their own, `proof.catalogue`.

The numbers are small on purpose (N = 3 rows, T = 4 steps, D = 2, H = 3): central
differences cost two forward passes for every input element.
"""

from dataclasses import dataclass

from proof.cells import CELL_KINDS
from proof.options import LENGTHS, MASK, SINGLE_ROWS, TOGETHER_ROWS, N, T
from proof.parts import PARTS
from proof.sequences import KINDS, SequenceCase
from proof.stateful import StatefulCase


@dataclass(frozen=True)
class Option:
    """How a layer is used; `column` is where its error is shown in the README's table."""

    name: str
    column: str
    net: str = "single"
    lengths: tuple | None = None
    mask: tuple | None = None
    stateful: bool = False
    time_major: bool = False


OPTIONS = (
    Option("plain", "plain"),
    Option("time-major", "plain", time_major=True),
    Option("lengths", "lengths", lengths=LENGTHS),
    Option("mask", "mask", mask=MASK),
    Option("time-major mask", "mask", mask=MASK, time_major=True),
    Option("stateful", "stateful", stateful=True),
    Option("stateful mask", "stateful", mask=MASK, stateful=True),
    Option("bidirectional", "bidirectional", net="bidirectional"),
    Option("bidirectional lengths", "bidirectional", net="bidirectional", lengths=LENGTHS),
    Option("bidirectional mask", "bidirectional", net="bidirectional", mask=MASK),
    Option("stacked", "stacked", net="stacked"),
    Option("stacked lengths", "stacked", net="stacked", lengths=LENGTHS),
)
COLUMNS = tuple(dict.fromkeys(o.column for o in OPTIONS))

# A cell's own step is what is in question; that `TimeCell` drives it is proved by the kinds above.
CELL_OPTIONS = tuple(
    option
    for option in OPTIONS
    if option.name in ("plain", "lengths", "stateful mask", "bidirectional mask", "stacked")
)


def cases(kind, options):
    """A layer with every one of the options."""
    for option in options:
        if option.stateful:
            calls = (SequenceCase(kind, option, N, T, tag) for tag in ("first", "second"))
            yield StatefulCase(*calls)
        else:
            yield SequenceCase(kind, option, N, T)


SEQUENCES = tuple(case for kind in KINDS.values() for case in cases(kind, OPTIONS))
CELLS = tuple(case for kind in CELL_KINDS.values() for case in cases(kind, CELL_OPTIONS))
NETS = (*SINGLE_ROWS, *TOGETHER_ROWS)
ROWS = (*SEQUENCES, *CELLS, *NETS, *PARTS)
