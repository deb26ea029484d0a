"""Limits and texts that a resume may change, and what is said of the time left."""

import io

import pytest
from runs import StopAt

from rnn_xp.errors import CheckpointError
from rnn_xp.train import ProgressReporter, RunFolder, RunInfo, train
from rnn_xp.train.dataset import prepare_data
from rnn_xp.train.start import changed


def limits(settings):
    return settings.steps, settings.epochs, settings.minutes


@pytest.mark.parametrize(
    ("recorded", "changes", "expected"),
    [
        ({"steps": 30}, {"epochs": 9}, (None, 9, None)),
        ({"steps": 30}, {"steps": 40}, (40, None, None)),
        ({"steps": 30, "minutes": 1.0}, {"steps": 40}, (40, None, None)),
        ({"steps": 30, "schedule": "constant"}, {"minutes": 2.0}, (None, None, 2.0)),
        ({"steps": 30}, {"minutes": 2.0}, (30, None, 2.0)),  # cosine needs the steps
        ({"steps": 30}, {"steps": 40, "minutes": 2.0}, (40, None, 2.0)),
        ({"steps": 30, "minutes": 1.0}, {"minutes": None}, (30, None, None)),
        ({"steps": 30, "minutes": 1.0}, {"patience": 3}, (30, None, 1.0)),
    ],
)
def test_a_new_limit_replaces_the_recorded_ones(recorded, changes, expected, small, tmp_path):
    settings = small(**{"schedule": "cosine", **recorded})
    assert limits(changed(settings, changes, tmp_path)) == expected


def test_a_run_of_steps_goes_on_for_epochs(small, tmp_path):
    out = tmp_path / "run"
    train(small(steps=3), out)
    per_epoch = prepare_data(RunFolder.open(out).config.settings, out).batches.steps_per_epoch
    assert train(None, out, resume=True, changes={"epochs": 1}).step == per_epoch > 3


def test_a_resume_without_a_limit_is_refused(small, tmp_path):
    with pytest.raises(ValueError, match="no limit is left; give --steps, --epochs or --minutes"):
        changed(small(schedule="constant"), {"steps": None}, tmp_path)


def test_a_resume_cannot_change_what_validates(small, text, tmp_path):
    other = tmp_path / "other.txt"
    other.write_text(text.read_text()[:2000])
    held, own = tmp_path / "held", tmp_path / "own"
    train(small(), held, reporter=StopAt(3))
    with pytest.raises(CheckpointError, match=r"no validation text of its own.*leave --valid out"):
        train(None, held, resume=True, changes={"valid": str(other)})
    with pytest.raises(ValueError, match="the run has a validation, a resume cannot change that"):
        train(None, held, resume=True, changes={"valid": "none"})
    train(small(valid=str(other)), own, reporter=StopAt(3))
    with pytest.raises(CheckpointError, match=r"a validation text of its own.*leave --valid out"):
        train(None, own, resume=True, changes={"valid": None})


def info(total, minutes):
    return RunInfo("run", "a model", "char", total, 0, 10, minutes=minutes)


@pytest.mark.parametrize(
    ("total", "minutes", "left"),
    [(None, 2.0, "1:00"), (400, None, "0:30"), (400, 2.0, "0:30"), (4000, 2.0, "1:00")],
)
def test_the_time_left(total, minutes, left):
    stream = io.StringIO()
    reporter = ProgressReporter(stream, seconds=0.0)
    reporter.started(info(total, minutes))
    row = {"step": 100, "epoch": 1.0, "seconds": 60.0, "train_loss": 1.0}
    reporter.logged({**row, "tokens_per_second": 100.0})
    assert stream.getvalue().endswith(f", {left} left\n")


def test_the_bar_forgets_the_validation(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    stream = Terminal()
    reporter = ProgressReporter(stream)
    reporter.started(info(None, 2.0))
    row = {"step": 100, "epoch": 1.0, "seconds": 60.0, "train_loss": 1.0}
    reporter.logged({**row, "tokens_per_second": 100.0})
    reporter.validating(5, 5)
    reporter.validated({**row, "valid_loss": 1.0, "best": True})
    reporter.finished()
    shown = stream.getvalue()
    assert "validating 100%" in shown
    last = shown.rpartition("\r")[2]
    assert "1:00 left" in last
    assert "validating" not in last
