"""k steps, a stop, and k steps more are 2k steps, bit for bit."""

import os
import random
import signal
import subprocess
import sys
import time

import pytest
from runs import Notes, StopAt, assert_same_run

from rnn_xp.errors import CheckpointError
from rnn_xp.train import RunFolder, train

CONFIGS = {
    "lstm adamw cosine": {},
    "dropout": {"layers": 2, "dropout": 0.4, "optimizer": "adam", "schedule": "constant"},
    "variational gru": {"cell": "gru", "dropout": 0.3, "variational": True, "optimizer": "rmsprop"},
    "accumulate": {"accumulate": 2, "dropout": 0.2, "optimizer": "momentum", "clip": 0.5},
    "tied rnn": {"cell": "rnn", "tied": True, "embed": 8, "optimizer": "sgd", "lr": 0.5},
    "divide on worse": {
        "optimizer": "sgd",
        "lr": 30.0,
        "schedule": "divide-on-worse",
        "validate_every": 5,
    },
    "decay after": {"bptt": 50, "schedule": "decay-after", "decay_after": 1, "batch": 8},
    "dlfs2": {
        "batching": "dlfs2",
        "batch": 20,
        "bptt": 35,
        "level": "word",
        "optimizer": "adagrad",
    },
    "char-rnn": {
        "batching": "char-rnn",
        "one_hot": True,
        "clip_values": 0.01,
        "sum_over_time": True,
        "optimizer": "nesterov",
    },
    "float64 before reset": {"dtype": "float64", "cell": "gru", "reset_after": False},
    "no validation": {"valid": "none"},
    "cell options": {
        **{"layers": 2, "layer_norm": True, "peepholes": True, "projection": 6},
        **{"cell_clip": 1.0, "zoneout": 0.2},
        **{"recurrent_dropout": 0.2, "trainable_state": True, "accumulate": 2},
    },
    "layer norm, weight drop": {
        **{"cell": "gru", "reset_after": False, "layer_norm": True},
        **{"weight_drop": 0.3, "residual": True},
        **{"hidden": 8, "embed": 8, "dropout": 0.2},
    },
}


@pytest.mark.parametrize("name", CONFIGS)
def test_a_resumed_run_equals_an_uninterrupted_one(name, small, tmp_path):
    settings = small(**CONFIGS[name])
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    assert train(settings, whole).stopped == "done"
    # After a step between logs, at a validation step, in the middle of a validation, at a log.
    stops = [StopAt(3), StopAt(11), StopAt(validation=2), StopAt(21, number=signal.SIGTERM)]
    if settings.valid == "none":
        del stops[2]
    result = train(settings, parts, reporter=stops[0])
    assert result.interrupted
    assert result.step == 3
    for stop in stops[1:]:
        result = train(None, parts, resume=True, reporter=stop)
        assert result.interrupted
    result = train(None, parts, resume=True)
    assert result.stopped == "done"
    assert result.step == 30
    assert_same_run(whole, parts)


def test_frequent_saves_change_nothing(small, tmp_path):
    train(small(), tmp_path / "a")
    train(small(save_every=1e-9), tmp_path / "b")
    assert_same_run(tmp_path / "a", tmp_path / "b")


SCRIPT = """
import sys
from pathlib import Path
from rnn_xp.train import make_settings, train
out = Path(sys.argv[1])
if (out / "config.json").exists():
    train(None, out, resume=True)
else:
    train(make_settings(data=sys.argv[2], embed=6, hidden=8, batch=4, bptt=16, steps=400,
                        layers=2, dropout=0.2, log_every=7, validate_every=40,
                        save_every=0.01, backend="numpy"), out, overwrite=True)
"""


@pytest.mark.slow
def test_kill_at_any_moment(text, tmp_path):
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "1"}

    def start(out):
        return subprocess.Popen(
            [sys.executable, "-c", SCRIPT, str(out), str(text)], env=environment
        )

    whole = tmp_path / "whole"
    began = time.monotonic()
    assert start(whole).wait() == 0
    duration, kills = time.monotonic() - began, 0
    # One run, or some more if the machine has become faster and they end before they are killed.
    for number in range(10):
        killed = tmp_path / f"killed-{number}"
        kills += kill_until_done(start, killed, duration, random.Random(number))
        assert_same_run(whole, killed)
        if kills >= 3:
            return
    pytest.fail(f"10 runs were killed {kills} times in all")


def kill_until_done(start, out, duration, draw):
    """Kill a run again and again; how many times, until it came to its end."""
    for kills in range(200):
        process = start(out)
        # Waiting for the first sign of life spares kills that would only hit the imports.
        while process.poll() is None and not out.exists():
            time.sleep(0.005)
        try:
            assert process.wait(timeout=draw.uniform(0.1, duration)) == 0
            return kills
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if (out / "last.safetensors").exists():
            folder = RunFolder.open(out)
            folder.load_model()
            folder.load_model(which="last")
            folder.tokenizer()
    return pytest.fail("the run came to no end in 200 starts")


def test_resume_may_extend_and_speed_up_nothing_else(small, tmp_path):
    out = tmp_path / "run"
    train(small(schedule="constant"), out)
    with pytest.raises(ValueError, match=r"--hidden 8, a resume cannot change it to 16 .*--steps"):
        train(None, out, resume=True, changes={"hidden": 16})
    with pytest.raises(ValueError, match="unknown training option --hiden"):
        train(None, out, resume=True, changes={"hiden": 16})
    result = train(None, out, resume=True, changes={"steps": 40, "hidden": 8})
    assert result.step == 40
    assert RunFolder.open(out).config.settings.steps == 40


def test_a_finished_run_has_nothing_left_to_do(small, tmp_path):
    train(small(), tmp_path / "run")
    before = RunFolder.open(tmp_path / "run").metrics()
    result = train(None, tmp_path / "run", resume=True)
    assert (result.stopped, result.step) == ("done", 30)
    assert RunFolder.open(tmp_path / "run").metrics() == before


def test_another_text_is_refused_and_a_moved_one_is_not(small, text, tmp_path):
    out = tmp_path / "run"
    train(small(), out, reporter=StopAt(5))
    moved = text.rename(tmp_path / "moved.txt")
    with pytest.raises(Exception, match="neither a file nor a known corpus"):
        train(None, out, resume=True)
    assert train(None, out, resume=True, changes={"data": str(moved)}, reporter=StopAt(6)).step == 6
    moved.write_text(moved.read_text() + "more")
    with pytest.raises(CheckpointError, match="training text is not the one"):
        train(None, out, resume=True)


def test_relative_paths_survive_a_change_of_folder(small, text, tmp_path, monkeypatch):
    monkeypatch.chdir(text.parent)
    train(small(data="text.txt"), tmp_path / "run", reporter=StopAt(5))
    monkeypatch.chdir("/")
    assert train(None, tmp_path / "run", resume=True).step == 30


def test_the_metrics_are_cut_back_to_the_checkpoint(small, tmp_path):
    out = tmp_path / "run"
    train(small(), out, reporter=StopAt(12))
    rows = (out / "metrics.jsonl").read_bytes()
    with (out / "metrics.jsonl").open("ab") as file:
        file.write(b'{"step": 14, "train_loss": 1.0}\n{"step": 15, "tra')
    train(None, out, resume=True, reporter=StopAt(13))
    assert (out / "metrics.jsonl").read_bytes() == rows


def test_handlers_come_back_and_a_second_signal_ends_at_once(small, tmp_path):
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    train(small(), tmp_path / "run", reporter=StopAt(5))
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before

    class Twice(Notes):
        def stepped(self, step):
            if step == 8:
                os.kill(os.getpid(), signal.SIGINT)
                os.kill(os.getpid(), signal.SIGINT)

    reporter = Twice()
    with pytest.raises(KeyboardInterrupt):
        train(None, tmp_path / "run", resume=True, reporter=reporter)
    assert reporter.ended == 1
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before
    assert train(None, tmp_path / "run", resume=True, reporter=StopAt(6)).step == 6


@pytest.mark.parametrize("spec", ["torch", "array_api_strict:device1"])
def test_a_run_goes_on_on_another_backend(spec, small, tmp_path):
    pytest.importorskip(spec.partition(":")[0])
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    best = train(small(dtype="float64"), whole).best
    train(small(dtype="float64", dropout=0.0), parts, reporter=StopAt(13))
    result = train(None, parts, resume=True, changes={"backend": spec})
    assert result.best == pytest.approx(best, rel=1e-9)
    RunFolder.open(parts).load_model(backend="numpy")
