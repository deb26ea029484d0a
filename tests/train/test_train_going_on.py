"""What a resume says and mends when a run cannot just go on."""

import json

import numpy as np
import pytest
from runs import Notes, StopAt

from rnn_xp.backend import to_host
from rnn_xp.checkpoint import load_arrays
from rnn_xp.errors import CheckpointError
from rnn_xp.train import Reporter, RunFolder, train


class Infos(Notes):
    """Remembers what was known at the start."""

    def started(self, info):
        self.info = info


@pytest.fixture
def worse(small):
    """Settings of a run that every validation but the first makes worse."""
    return small(optimizer="sgd", lr=1e-9, schedule="constant", validate_every=5, steps=200).replace


def settled(monkeypatch):
    """Let every validation have the same loss, so that none is better than the first."""
    from rnn_xp.train import Evaluation, loop

    monkeypatch.setattr(loop, "evaluate_batches", lambda *args: Evaluation(1.0, 1))


def test_an_end_by_patience_says_what_goes_on(worse, tmp_path, monkeypatch):
    settled(monkeypatch)
    out = tmp_path / "run"
    result = train(worse(patience=2), out)
    assert (result.stopped, result.step) == ("patience", 15)
    reporter = Infos()
    result = train(None, out, resume=True, changes={"steps": 300}, reporter=reporter)
    assert (result.stopped, result.step) == ("patience", 15)
    (line,) = reporter.info.notes
    assert line == (
        "nothing is left to do: --patience 2 ended the run, 2 validations were no better; "
        "--patience none goes on"
    )
    result = train(None, out, resume=True, changes={"patience": None, "steps": 30})
    assert (result.stopped, result.step) == ("done", 30)


def test_a_new_rate_is_not_divided(worse, tmp_path, monkeypatch):
    settled(monkeypatch)
    out = tmp_path / "run"
    settings = worse(schedule="divide-on-worse", lr=8.0, steps=21, log_every=1)
    train(settings, out)
    assert RunFolder.open(out).metrics()[-2]["lr"] == 8.0 / 4**3
    train(None, out, resume=True, changes={"lr": 1.0, "steps": 23})
    rates = {row["step"]: row["lr"] for row in RunFolder.open(out).metrics() if "lr" in row}
    assert (rates[22], rates[23]) == (1.0, 1.0)
    train(None, out, resume=True, changes={"steps": 27})
    rates = {row["step"]: row["lr"] for row in RunFolder.open(out).metrics() if "lr" in row}
    assert (rates[25], rates[27]) == (1.0, 0.25)


def test_a_new_rate_is_kept_by_a_kill_before_the_next_save(worse, tmp_path, monkeypatch):
    settled(monkeypatch)
    out = tmp_path / "run"
    train(worse(schedule="divide-on-worse", lr=8.0, steps=21), out)

    class Stop(Reporter):
        def stepped(self, step):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(None, out, resume=True, changes={"lr": 1.0, "steps": 25}, reporter=Stop())
    _, document = load_arrays(out / "last.safetensors")
    assert document["schedule"]["divisions"] == 0


@pytest.mark.parametrize("steps", [30, 40])
def test_a_missing_model_is_written_anew(small, tmp_path, steps):
    out = tmp_path / "run"
    train(small(), out)
    (out / "model.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"model.safetensors: no such file; .*--resume"):
        RunFolder.open(out).load_model()
    last = RunFolder.open(out).load_model(which="last")
    reporter = Infos()
    train(None, out, resume=True, changes={"steps": steps}, reporter=reporter)
    assert "model.safetensors was missing: it has the last weights now" in reporter.info.notes
    model = RunFolder.open(out).load_model()
    if steps == 30:
        np.testing.assert_array_equal(to_host(model.flat_params), to_host(last.flat_params))


def test_the_best_of_a_lost_model_is_forgotten(worse, tmp_path, monkeypatch):
    settled(monkeypatch)
    out = tmp_path / "run"
    assert train(worse(steps=12), out).best_step == 5
    (out / "model.safetensors").unlink()
    result = train(None, out, resume=True)
    assert (result.best, result.best_step) == (None, None)
    assert train(None, out, resume=True, changes={"steps": 20}).best_step == 15


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"steps": 5}, "--steps 5: the run has 30 steps behind it already"),
        ({"epochs": 2}, r"--epochs 2: the run has 3\.75 epochs behind it"),
        ({"minutes": 1e-9}, "--minutes 1e-09: the run has"),
    ],
)
def test_a_limit_behind_the_run_is_refused(small, tmp_path, changes, message):
    out = tmp_path / "run"
    train(small(schedule="constant", batch=16, bptt=64), out)
    before = (out / "config.json").read_bytes()
    with pytest.raises(ValueError, match=message):
        train(None, out, resume=True, changes=changes)
    assert (out / "config.json").read_bytes() == before
    assert train(None, out, resume=True, changes={"steps": 30}).stopped == "done"


def test_the_same_limit_once_more_is_not_refused(small, tmp_path):
    out = tmp_path / "run"
    train(small(steps=None, minutes=1e-4, schedule="constant"), out)
    assert train(None, out, resume=True, changes={"minutes": 1e-4}).stopped == "minutes"


def test_metrics_that_were_cut_short_lose_the_half_line(small, tmp_path):
    out = tmp_path / "run"
    train(small(), out, reporter=StopAt(15))
    metrics = out / "metrics.jsonl"
    rows = metrics.read_bytes().splitlines(keepends=True)
    metrics.write_bytes(b"".join(rows)[:-10])
    train(None, out, resume=True)
    found = metrics.read_bytes().splitlines(keepends=True)
    assert found[: len(rows) - 1] == rows[:-1]
    assert json.loads(found[len(rows) - 1])["step"] > json.loads(rows[-1])["step"]
    assert RunFolder.open(out).metrics()[-1]["step"] == 30


@pytest.mark.parametrize("changes", [{"hidden": 9}, {"seed": 1}, {"layers": 2}])
def test_the_model_of_another_run_is_refused(small, tmp_path, changes):
    train(small(steps=2), tmp_path / "run")
    train(small(steps=2, **changes), tmp_path / "other")
    (tmp_path / "other" / "model.safetensors").replace(tmp_path / "run" / "model.safetensors")
    ((name, value),) = changes.items()
    with pytest.raises(
        CheckpointError, match=f"model.safetensors: is the model of another run, .*{name} {value} "
    ):
        RunFolder.open(tmp_path / "run").load_model(dtype="float64")
