"""The short examples print what their docstrings show."""

import ast
import runpy
import textwrap
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
PROGRAMS = ("keras_two_steps", "unrolled_two_steps", "tf1_lstm", "numpy_cell")


def shown(path):
    """The indented lines after ``prints::`` in the docstring."""
    doc = ast.get_docstring(ast.parse(path.read_text("utf-8")))
    _, found, block = doc.partition("prints::\n\n")
    assert found, f"{path.name}: its docstring shows no output"
    return textwrap.dedent(block)


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_prints_what_its_docstring_shows(name, capsys):
    path = EXAMPLES / f"{name}.py"
    runpy.run_path(str(path), run_name="__main__")
    assert capsys.readouterr().out.rstrip() == shown(path).rstrip()


def test_every_example_is_tested():
    others = {"book_rnnlm", "tang_poems"}  # tested below, and in test_tang_poems.py
    assert {path.stem for path in EXAMPLES.glob("*.py")} == {*PROGRAMS, *others}


def test_the_training_loop_of_the_book_learns_its_sentences(capsys, monkeypatch):
    monkeypatch.setattr("sys.argv", ["book_rnnlm.py"])
    runpy.run_path(str(EXAMPLES / "book_rnnlm.py"), run_name="__main__")
    *_, last = capsys.readouterr().out.splitlines()
    assert float(last.rpartition(" ")[2]) < 1.6
