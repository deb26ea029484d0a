"""One process at a time in a run folder, and runs that ended before they began."""

import json
import os
import subprocess
import sys

import pytest
from runs import StopAt, assert_same_run

from rnn_xp.data import CharTokenizer, write_token_file
from rnn_xp.errors import CheckpointError, DataError
from rnn_xp.train import Reporter, RunFolder, dataset, start, train
from rnn_xp.train.lock import LOCK, locked

HOLD = """
import sys
from pathlib import Path
from rnn_xp.train.lock import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def hold(path):
    """A process that holds the lock until it is killed."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdout.readline() == b"held\n"
    return process


def test_two_processes_cannot_train_in_one_folder(small, tmp_path):
    out = tmp_path / "run"
    train(small(), out, reporter=StopAt(5))
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    going_on = out / f".last.safetensors.{os.getpid() + 1}.tmp"
    going_on.write_bytes(b"half of it")
    with hold(out) as other:
        try:
            for words in ({"resume": True}, {"overwrite": True}):
                with pytest.raises(CheckpointError, match=f"another process is training in {out}"):
                    train(small(), out, **words)
            assert going_on.exists()
        finally:
            other.kill()
    assert {p.name: p.read_bytes() for p in out.iterdir() if p.name in before} == before
    # A killed process leaves the file, but no lock.
    assert (out / LOCK).exists()
    assert train(None, out, resume=True).step == 30
    assert not [path for path in out.iterdir() if path.name.startswith(".")]


def test_a_new_folder_is_locked_too(small, tmp_path):
    out = tmp_path / "run"
    out.mkdir()
    with hold(out) as other:
        try:
            with pytest.raises(CheckpointError, match="another process is training"):
                train(small(), out)
        finally:
            other.kill()
    assert train(small(steps=1), out).step == 1


def test_the_lock_comes_back_after_an_error(tmp_path):
    lock = locked(tmp_path)
    lock.__enter__()
    assert (tmp_path / LOCK).exists()
    assert not lock.__exit__(RuntimeError, RuntimeError("inside"), None)
    assert not list(tmp_path.iterdir())
    with locked(tmp_path), pytest.raises(CheckpointError, match="another process"):
        locked(tmp_path).__enter__()


class Killed(BaseException):
    """Stands for a kill, which no handler sees."""


@pytest.mark.parametrize("moment", ["vocab.json", "model.safetensors", "last.safetensors"])
def test_a_run_stopped_before_its_first_checkpoint_goes_on(moment, small, tmp_path):
    whole, out = tmp_path / "whole", tmp_path / "run"
    train(small(), whole)

    class Stop(Reporter):
        def started(self, info):
            raise Killed

    with pytest.raises(Killed):
        train(small(), out, reporter=Stop())
    # What a kill before the moment would have left.
    order = ("vocab.json", "metrics.jsonl", "model.safetensors", "last.safetensors")
    for name in order[order.index(moment) :]:
        (out / name).unlink()
    with pytest.raises(CheckpointError, match=f"{moment}: no such file|no such file; .*--resume"):
        RunFolder.open(out).summary()
    assert train(None, out, resume=True).stopped == "done"
    assert_same_run(whole, out)


def test_a_run_that_lost_its_checkpoint_does_not_start_over(small, tmp_path):
    out = tmp_path / "run"
    train(small(), out)
    (out / "last.safetensors").unlink()
    for harm in (lambda: None, (out / "metrics.jsonl").unlink):
        harm()
        with pytest.raises(CheckpointError, match=r"last.safetensors: no such file"):
            train(None, out, resume=True)


def test_encoded_texts_that_a_kill_left_do_not_block_the_folder(small, tmp_path):
    out = tmp_path / "run"
    out.mkdir()
    write_token_file(out / "train.tokens", [], CharTokenizer("ab"), source_digest="other")
    (out / ".valid.tokens.123.tmp").write_bytes(b"half")
    assert train(small(steps=1), out).step == 1
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "train.tokens").write_text("my own file")
    for overwrite in (False, True):
        with pytest.raises(CheckpointError, match=r"train\.tokens"):
            train(small(steps=1), tmp_path / "mine", overwrite=overwrite)
    assert (tmp_path / "mine" / "train.tokens").read_text() == "my own file"


@pytest.mark.parametrize("error", [KeyboardInterrupt, DataError])
def test_a_run_that_fails_before_it_begins_leaves_nothing(small, tmp_path, monkeypatch, error):
    def fail(settings, path):
        write_token_file(path / "train.tokens", [], CharTokenizer("ab"))
        raise error("no")

    monkeypatch.setattr(start, "prepare_data", fail)
    with pytest.raises(error):
        train(small(), tmp_path / "runs" / "more" / "run")
    assert not (tmp_path / "runs").exists()


def test_the_name_of_a_corpus_wins_over_a_folder(small, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pydoc").mkdir()
    assert dataset.absolute_data(small(data="pydoc")).data == "pydoc"
    assert dataset.absolute_data(small(data="./pydoc")).data == str(tmp_path / "pydoc")
    settings = small(data="pydoc", level="byte", max_tokens=3000, steps=2)
    (tmp_path / "pydoc").rmdir()
    train(settings, "pydoc")
    assert train(None, "pydoc", resume=True, changes={"steps": 3}).step == 3
    assert json.loads((tmp_path / "pydoc" / "config.json").read_text())["data"]["name"] == "pydoc"
