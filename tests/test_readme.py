"""The README's Python runs as it is printed."""

import re
from pathlib import Path

README = Path(__file__).parents[1] / "README.md"


def test_ten_lines_train_and_sample(capsys):
    text = README.read_text("utf-8")
    match = re.search(r"<!-- ten-lines -->\n```python\n(.*?)```", text, re.DOTALL)
    assert match is not None
    exec(compile(match[1], str(README), "exec"), {})
    loss, _, sample = capsys.readouterr().out.partition(" ")
    assert float(loss) < 0.5
    assert sample.startswith("the ")
