"""The page of options names what there is, and all of it."""

import re

from code_blocks import ROOT

from rnn_xp import cells, layers

PAGE = (ROOT / "docs" / "options.md").read_text("utf-8")
TABLE = [line for line in PAGE.splitlines() if line.startswith("| ")]
# Not options: the loss, the affine maps, the one-step layers, base classes and helpers.
OTHERS = {
    *("Layer", "TimeEmbedding", "TimeAffine", "TimeSoftmaxWithLoss", "TimeAffineSoftmaxWithLoss"),
    *("RNN", "LSTM", "GRU", "TimeRNN", "Activation", "Cell", "WrapperCell"),
}


def named():
    """Names of classes in the table's code."""
    code = " ".join(re.findall(r"`([^`]*)`", " ".join(TABLE)))
    return set(re.findall(r"\b[A-Z][a-z]*[A-Z]?\w*[a-z]\w*\b", code)) - {"Wh", "Wp", "True"}


def test_every_class_in_the_table_exists():
    for name in named():
        assert hasattr(layers, name) or hasattr(cells, name), name


def test_every_class_that_is_an_option_is_in_the_table():
    public = {
        name
        for room in (layers, cells)
        for name in room.__all__
        if isinstance(getattr(room, name), type)
    }
    assert public - named() - OTHERS == set()


def test_every_row_says_what_it_is_and_what_it_costs():
    head, *rows = ([cell.strip() for cell in line.strip("|").split("|")] for line in TABLE)
    assert head == ["option", "kind", "how", "fast kernels", "source"]
    for row in rows:
        assert row[1] in ("mask", "argument", "wrapper", "weights", "cell"), row
        assert row[3].partition(";")[0] == ("left" if row[1] == "cell" else "kept"), row
