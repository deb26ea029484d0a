"""Every Python block of the README and of docs/ runs as it is printed, and prints what it says.

A page may say in a comment before a block which packages it needs; without one of them the
block is skipped, unless ``RNN_XP_TEST_REQUIRE`` names it.
"""

import importlib.util

import backends
import numpy as np
import pytest
from code_blocks import PAGES, blocks, run

from rnn_xp import TimeLSTM

BLOCKS = [
    block
    for page in PAGES
    for block in blocks(page)
    if block.tag != "ten-lines"  # tests/test_readme.py
]


def given():
    """What the README's block about layers takes as given."""
    D, H = 3, 4
    Wx, Wh, b = (np.full(shape, 0.1) for shape in ((D, 4 * H), (H, 4 * H), (4 * H,)))
    return {
        "TimeLSTM": TimeLSTM,
        "Wx": Wx,
        "Wh": Wh,
        "b": b,
        "D": D,
        "H": H,
        "xs": np.ones((3, 35, D)),
        "dhs": np.ones((3, 35, H)),
    }


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.label)
# What the frameworks warn about while they are imported is not the pages' matter.
@pytest.mark.filterwarnings("default")
def test_a_block_runs_and_prints_what_it_says(block, capsys):
    for name in block.needs:
        if importlib.util.find_spec(name) is None:
            message = f"{block.label} needs {name}, which is not installed"
            if name in backends.required():
                pytest.fail(f"RNN_XP_TEST_REQUIRE: {message}")
            pytest.skip(message)
    run(block, given() if block.page == "README.md" else None)
    expected = block.printed()
    if expected is not None:
        assert capsys.readouterr().out.splitlines() == expected


def test_every_page_about_an_origin_has_code():
    for origin in ("keras", "tensorflow1", "pytorch", "dlfs2"):
        page = f"docs/coming_from_{origin}.md"
        assert page in PAGES
        assert blocks(page), f"{page} has no code"
