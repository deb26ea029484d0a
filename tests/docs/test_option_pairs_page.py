"""The page of option pairs is that of the rows of the proof grid."""

import subprocess
import sys

from code_blocks import ROOT


def test_the_page_is_what_the_code_gives():
    script = ROOT / "docs" / "option_pairs.py"
    printed = subprocess.run(
        [sys.executable, str(script)], capture_output=True, check=True, encoding="utf-8"
    ).stdout
    assert (ROOT / "docs" / "option_pairs.md").read_text("utf-8") == printed, (
        "run: python docs/option_pairs.py --write"
    )
