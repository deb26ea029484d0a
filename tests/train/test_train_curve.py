import sys

import pytest
from runs import Notes

from rnn_xp.train import RunFolder, draw_curve, train


@pytest.mark.parametrize("changes", [{}, {"level": "word", "batch": 2, "bptt": 8}])
def test_a_picture_without_global_state(changes, small, tmp_path):
    pytest.importorskip("matplotlib")
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
