"""Runs in float16, on CuPy and its stand-in: the loss is scaled, and the run knows how."""

import io
from functools import partial

import numpy as np
import pytest
from runs import Notes, StopAt, assert_same_run
from standin import transfers

from rnn_xp.checkpoint import load_arrays, save_arrays
from rnn_xp.errors import CheckpointError, NonFiniteError
from rnn_xp.optim import LossScale
from rnn_xp.train import ProgressReporter, RunFolder, stepper, train
from rnn_xp.train.loop import Trainer
from rnn_xp.train.stepper import Stepper


@pytest.fixture
def half(small, cuda_be):
    """Function that makes settings of a run in float16."""
    return partial(
        small, backend="cupy", precision="float16", steps=14, bptt=4, valid="none", log_every=4
    )


@pytest.fixture
def scales(monkeypatch):
    """Function that sets how a scale begins and grows; by default so that both happen soon."""

    def choose(first=2.0**24, interval=3):
        chosen = partial(LossScale, first=first, interval=interval)
        monkeypatch.setattr(stepper, "LossScale", chosen)

    return choose


def last(path):
    return load_arrays(path / "last.safetensors")


def logged(path):
    rows = RunFolder.open(path).metrics()
    return [(row["step"], row["skipped"], row["loss_scale"]) for row in rows]


def test_a_run_logs_the_scale_and_saves_it(half, tmp_path):
    notes = Notes()
    result = train(half(), tmp_path / "run", reporter=notes)
    assert (result.stopped, result.skipped) == ("done", 0)
    assert logged(tmp_path / "run") == [(step, 0, 65536) for step in (1, 4, 8, 12, 14)]
    _, document = last(tmp_path / "run")
    assert document["loss_scale"] == {"scale": 65536, "good_steps": 14}


def test_other_precisions_have_none(half, tmp_path):
    train(half(precision="bfloat16", steps=1), tmp_path / "run")
    (row,) = RunFolder.open(tmp_path / "run").metrics()
    assert "loss_scale" not in row
    assert "loss_scale" not in last(tmp_path / "run")[1]


def test_finding_the_scale_is_no_failure(half, scales, tmp_path, monkeypatch):
    scales()
    refused = []
    real = Stepper.step

    def step(self, *args):
        with transfers.refused():
            record = real(self, *args)
        refused.append(record.step)
        return record

    monkeypatch.setattr(Stepper, "step", step)
    notes = Notes()
    result = train(half(log_every=1), tmp_path / "run", reporter=notes)
    assert refused == list(range(1, 15))
    assert result.stopped == "done"
    assert not [line for line in notes.lines if "warning" in line]
    rows = logged(tmp_path / "run")
    counts, used = [row[1] for row in rows], [row[2] for row in rows]
    assert 2 <= result.skipped == counts[-1] < 10
    assert (used[0], counts[0]) == (2.0**24, 1)
    # A row shows the scale that its step was made with: what the step before left.
    skipped = np.diff([0, *counts])
    changes = np.array(used[1:]) / used[:-1]
    assert set(skipped) == {0, 1}
    np.testing.assert_array_equal(changes[skipped[:-1] == 1], 0.5)
    assert 2 in changes
    assert np.isfinite(last(tmp_path / "run")[0]["parameters/output.W"]).all()


def test_the_display_tells_of_skipped_steps(half, scales, tmp_path):
    scales()
    stream = io.StringIO()
    train(half(steps=1), tmp_path / "run", reporter=ProgressReporter(stream, seconds=0.0))
    assert " tokens/s, 1 skipped, loss scale 16777216, " in stream.getvalue()


@pytest.mark.parametrize("stop", [2, 9])
def test_a_resume_goes_on_bit_for_bit(half, scales, tmp_path, stop):
    scales()
    train(half(dropout=0.2), tmp_path / "whole")
    out = tmp_path / "run"
    assert train(half(dropout=0.2), out, reporter=StopAt(stop)).step == stop
    assert last(out)[1]["loss_scale"]["scale"] != 2.0**24
    train(None, out, resume=True)
    assert_same_run(tmp_path / "whole", out)


@pytest.mark.parametrize("state", [None, {"scale": 3.0, "good_steps": 0}, {"scale": 2.0}])
def test_a_checkpoint_with_a_damaged_scale_is_refused(half, tmp_path, state):
    out = tmp_path / "run"
    train(half(steps=2), out)
    arrays, document = last(out)
    if state is None:
        del document["loss_scale"]
    else:
        document["loss_scale"] = state
    save_arrays(out / "last.safetensors", arrays, document)
    with pytest.raises(CheckpointError, match=r"last\.safetensors: damaged"):
        train(None, out, resume=True, changes={"steps": 4})


@pytest.fixture
def broken(monkeypatch):
    """Function that makes the gradient of each step from some step on infinite."""

    def install(at):
        real = Trainer._step

        def step(self):
            if self.progress.step + 1 == at:
                backward = self.model.backward

                def overflows(dout):
                    backward(dout)
                    self.model.named_gradients["layers.0.Wh"][0, 0] = np.inf

                self.model.backward = overflows
            real(self)

        monkeypatch.setattr(Trainer, "_step", step)

    return install


def test_at_the_least_scale_it_is_one(half, scales, broken, tmp_path):
    scales(first=8.0, interval=2000)
    broken(3)
    with pytest.raises(NonFiniteError, match=r"step 6: .*saved as of step 5"):
        train(half(steps=40), tmp_path / "run")
    _, document = last(tmp_path / "run")
    assert document["loss_scale"] == {"scale": 1, "good_steps": 0}
    assert document["progress"]["skipped"] == 3


def test_a_loss_that_is_not_finite_is_one_at_once(half, scales, tmp_path, monkeypatch):
    scales(first=8.0, interval=2000)
    real = Trainer._step

    def step(self):
        if self.progress.step + 1 == 6:
            states = self.stepper.states[0]
            states[0] = tuple(part * np.float32(np.nan) for part in states[0])
        real(self)

    monkeypatch.setattr(Trainer, "_step", step)
    with pytest.raises(NonFiniteError, match=r"step 6: .*first: the state that layers.0"):
        train(half(), tmp_path / "run")
    assert last(tmp_path / "run")[1]["loss_scale"] == {"scale": 8, "good_steps": 5}
