import sys
import warnings

import pytest
from runs import Notes, words_text

from rnn_xp.train import RunFolder, curve, draw_curve, train


@pytest.mark.parametrize("changes", [{}, {"level": "word", "batch": 2, "bptt": 8}])
def test_a_picture_without_global_state(changes, small, tmp_path, monkeypatch):
    pytest.importorskip("matplotlib")
    # Another test's library may have imported it.
    monkeypatch.delitem(sys.modules, "matplotlib.pyplot", raising=False)
    train(small(**changes), tmp_path / "run")
    picture = (tmp_path / "run" / "curve.png").read_bytes()
    assert picture.startswith(b"\x89PNG")
    assert "matplotlib.pyplot" not in sys.modules


def test_without_matplotlib_one_line_says_so(small, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    monkeypatch.setitem(sys.modules, "matplotlib.backends.backend_agg", None)
    notes = Notes()
    result = train(small(), tmp_path / "run", reporter=notes)
    assert [line for line in notes.lines if "curve" in line] == notes.lines
    assert len(notes.lines) == 1
    assert "pip install matplotlib" in notes.lines[0]
    assert "curve.png" not in result.files


def test_a_run_without_rows_has_no_picture(small, tmp_path):
    pytest.importorskip("matplotlib")
    train(small(steps=1), tmp_path / "run")
    (tmp_path / "run" / "curve.png").unlink()
    (tmp_path / "run" / "metrics.jsonl").write_text("")
    assert draw_curve(RunFolder.open(tmp_path / "run")) is None
    assert not (tmp_path / "run" / "curve.png").exists()


@pytest.mark.parametrize(
    "name", ["data$^$.txt", "$\\frac{$.txt", "中文的文件名.txt", "d\udcff.txt"]
)
def test_any_name_of_a_text_is_a_title(name, small, tmp_path):
    """Warnings are errors here: one for each character that the font lacks would be seen."""
    pytest.importorskip("matplotlib")
    text = tmp_path / name
    text.write_text(words_text(260), encoding="utf-8")
    notes = Notes()
    result = train(
        small(data=str(text), validate_every=5, log_every=2), tmp_path / "run", reporter=notes
    )
    assert (result.stopped, notes.lines) == ("done", [])
    assert "curve.png" in result.files


def test_a_text_of_one_symbol_has_a_picture(small, tmp_path):
    pytest.importorskip("matplotlib")
    (tmp_path / "a.txt").write_text("a" * 9000)
    notes = Notes()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = train(small(data=str(tmp_path / "a.txt")), tmp_path / "run", reporter=notes)
    assert (result.best, notes.lines, caught) == (0.0, [], [])
    with warnings.catch_warnings():  # not hidden either
        warnings.simplefilter("error")
        curve._draw(RunFolder.open(tmp_path / "run"))


def test_a_picture_that_fails_costs_one_line_and_no_step(small, tmp_path, monkeypatch):
    pytest.importorskip("matplotlib")

    def fail(*args):
        raise ArithmeticError("no\nfont")

    monkeypatch.setattr(curve, "_label", fail)
    notes = Notes()
    result = train(small(), tmp_path / "run", reporter=notes)
    assert (result.stopped, result.step) == ("done", 30)
    assert notes.lines == ["no new curve.png: ArithmeticError: no font"]


def test_a_picture_that_cannot_be_written(small, tmp_path):
    pytest.importorskip("matplotlib")
    (tmp_path / "run").mkdir()

    class Takes(Notes):
        def started(self, info):
            (tmp_path / "run" / "curve.png").mkdir()

    notes = Takes()
    assert train(small(), tmp_path / "run", reporter=notes).stopped == "done"
    (line,) = notes.lines
    assert line.startswith("no new curve.png: CheckpointError: ")
