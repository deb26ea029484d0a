"""Run folders: what may be written where, and what happens when one is damaged."""

import json
import os
import sys
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from runs import StopAt, assert_same_run

from rnn_xp import files
from rnn_xp.backend import to_host
from rnn_xp.data import CharTokenizer, write_token_file
from rnn_xp.errors import CheckpointError, DataError
from rnn_xp.train import Reporter, RunFolder, train

NAMES = {"config.json", "vocab.json", "model.safetensors", "last.safetensors", "metrics.jsonl"}


@pytest.fixture
def run(small, tmp_path):
    train(small(), tmp_path / "run")
    return tmp_path / "run"


def test_what_a_run_leaves(run, be):
    assert NAMES <= {path.name for path in run.iterdir()} <= NAMES | {"curve.png"}
    folder = RunFolder.open(run)
    assert folder.config.level == "char"
    assert folder.config.settings.steps == 30
    assert folder.config.data["train_tokens"] > 7000
    assert len(folder.config.data["digests"]["train"]) == 64
    model, last = folder.load_model(be), folder.load_model(be, which="last")
    assert model.backend == be
    assert model.config == last.config == folder.config.model
    summary = folder.summary()
    json.dumps(summary)
    assert summary["step"] == 30
    assert summary["best"] == min(
        row["valid_bits_per_char"] for row in folder.metrics() if "valid_bits_per_char" in row
    )
    assert folder.load_model("numpy", dtype="float64").config.dtype == "float64"
    with pytest.raises(ValueError, match="expected best or last"):
        folder.load_model(which="worst")


def test_the_best_weights_are_kept(small, tmp_path):
    # From the second epoch on the rate ruins what was learned.
    settings = small(optimizer="sgd", lr=0.5, schedule="decay-after", decay_after=1)
    result = train(settings.replace(decay_factor=1e3, batch=16, steps=60), tmp_path / "run")
    assert result.best_step < 60
    folder = RunFolder.open(tmp_path / "run")
    best = to_host(folder.load_model("numpy").flat_params)
    last = to_host(folder.load_model("numpy", which="last").flat_params)
    assert not np.array_equal(best, last)


def test_metrics_rows(run):
    rows = RunFolder.open(run).metrics()
    train_rows = [row for row in rows if "train_loss" in row]
    keys = {"step", "epoch", "tokens", "train_loss", "lr", "grad_norm", "tokens_per_second"}
    assert all(keys | {"seconds", "skipped"} <= set(row) for row in train_rows)
    assert [row["step"] for row in train_rows] == [1, 7, 14, 21, 28, 30]
    assert [row["step"] for row in rows if "valid_loss" in row] == [11, 22, 30]
    assert rows[-1]["tokens"] == 30 * 4 * 16


def test_an_existing_run_is_refused(run, small):
    with pytest.raises(CheckpointError, match=r"already holds .*--resume .*--overwrite"):
        train(small(), run)


def test_overwrite_deletes_what_a_run_owns_and_nothing_else(run, small, tmp_path):
    (run / "notes.txt").write_text("mine")
    (run / ".last.safetensors.123.tmp").write_text("left by a kill")
    train(small(hidden=5), run, overwrite=True)
    assert (run / "notes.txt").read_text() == "mine"
    assert not (run / ".last.safetensors.123.tmp").exists()
    train(small(hidden=5), tmp_path / "fresh")
    assert_same_run(run, tmp_path / "fresh")


def test_overwrite_leaves_the_files_of_others_alone(small, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    (other / "config.json").write_text('{"model_type": "llama"}')
    (other / "model.safetensors").write_text("precious")
    with pytest.raises(CheckpointError, match="not a run folder: choose another --out"):
        train(small(), other)
    with pytest.raises(CheckpointError, match="--overwrite leaves such files alone"):
        train(small(), other, overwrite=True)
    assert (other / "model.safetensors").read_text() == "precious"


@pytest.mark.parametrize("name", ["thesis.tex", "metrics.jsonl"])
def test_overwrite_is_for_run_folders_only(small, tmp_path, name):
    other = tmp_path / "other"
    other.mkdir()
    (other / name).write_text("precious")
    with pytest.raises(CheckpointError, match=f"holds {name}, but no run of rnn_xp"):
        train(small(steps=1), other, overwrite=True)
    assert [path.name for path in other.iterdir()] == [name]


def test_overwrite_leaves_no_encoded_texts_of_the_old_run(run, small):
    for name in ("train.tokens", "valid.tokens"):
        write_token_file(run / name, [], CharTokenizer("ab"), source_digest="of before")
    train(small(steps=1), run, overwrite=True)
    assert not list(run.glob("*.tokens"))


def test_a_folder_where_a_token_file_belongs(run, small):
    (run / "train.tokens").mkdir()
    for words in ({"resume": True}, {"overwrite": True}):
        with pytest.raises(CheckpointError, match=r"train.tokens: cannot be replaced by a file"):
            train(small(steps=1), run, **words)
    (run / "train.tokens").rmdir()
    assert train(None, run, resume=True).step == 30


def test_a_wrong_kernel_mode_does_not_cost_the_old_run(run, small, tmp_path, monkeypatch):
    before = {path.name: path.read_bytes() for path in run.iterdir()}
    monkeypatch.setenv("RNN_XP_KERNELS", "fats")
    for words in ({"resume": True}, {"overwrite": True}):
        with pytest.raises(ValueError, match="RNN_XP_KERNELS='fats', expected one of auto"):
            train(small(), run, **words)
    with pytest.raises(ValueError, match="RNN_XP_KERNELS='fats'"):
        train(small(), tmp_path / "new")
    assert {path.name: path.read_bytes() for path in run.iterdir()} == before
    assert not (tmp_path / "new").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere file names are Unicode")
def test_a_name_that_is_not_utf_8(small, text, tmp_path):
    path = text.rename(tmp_path / os.fsdecode(b"d\xff.txt"))
    train(small(data=str(path), steps=2), tmp_path / "run")
    assert RunFolder.open(tmp_path / "run").config.settings.data == str(path)
    assert train(None, tmp_path / "run", resume=True, changes={"steps": 3}).step == 3


@pytest.mark.parametrize("batching", ["streams", "char-rnn", "dlfs2"])
@pytest.mark.parametrize("length", [1, 30])
def test_a_text_that_is_too_short_is_named(small, text, tmp_path, batching, length):
    (tmp_path / "short.txt").write_text("a" * length)
    with pytest.raises(DataError, match=r"^\S*short.txt: the text has \d+ tokens"):
        train(small(data=str(tmp_path / "short.txt"), batching=batching), tmp_path / "run")
    (tmp_path / "short.txt").write_text("a")
    with pytest.raises(DataError, match=r"^validation: \S*short.txt: the text has 1 tokens"):
        train(small(valid=str(tmp_path / "short.txt"), batching=batching), tmp_path / "run")


def test_an_empty_folder_is_free(small, tmp_path):
    (tmp_path / "run").mkdir()
    assert train(small(steps=2), tmp_path / "run").step == 2


def test_a_bad_text_neither_costs_the_old_run_nor_leaves_a_folder(run, small, text, tmp_path):
    before = {path.name: path.read_bytes() for path in run.iterdir()}
    with pytest.raises(DataError, match="neither a file nor a known corpus"):
        train(small(data=str(tmp_path / "absent.txt")), run, overwrite=True)
    assert before == {path.name: path.read_bytes() for path in run.iterdir()}
    text.write_text("too short for a batch")
    with pytest.raises(DataError, match="one batch"):
        train(small(), tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_an_out_that_cannot_be_made(small, text, tmp_path):
    with pytest.raises(CheckpointError, match=r"is a file, expected a new folder"):
        train(small(), text)
    with pytest.raises(CheckpointError, match=r"cannot be made: .*choose another folder"):
        train(small(), text / "below")


@pytest.mark.parametrize("name", sorted(NAMES - {"metrics.jsonl"}))
@pytest.mark.parametrize("damage", ["missing", "truncated", "garbage", "empty"])
def test_a_damaged_folder_is_one_clear_line(run, name, damage):
    path = run / name
    data = path.read_bytes()
    if damage == "missing":
        path.unlink()
    else:
        kept = {"truncated": data[: len(data) // 2], "garbage": b"\x93\xff" * 99, "empty": b""}
        path.write_bytes(kept[damage])
    with pytest.raises(CheckpointError) as caught:  # noqa: PT012 - whichever of these reads it
        folder = RunFolder.open(run)
        folder.tokenizer()
        folder.load_model()
        train(None, run, resume=True, changes={"steps": 40})
    message = str(caught.value)
    assert "\n" not in message
    assert str(run) in message


def test_a_missing_folder(tmp_path):
    with pytest.raises(CheckpointError, match="no such run folder"):
        RunFolder.open(tmp_path / "absent")
    with pytest.raises(CheckpointError, match="no such run folder"):
        train(None, tmp_path / "absent", resume=True)
    with pytest.raises(CheckpointError, match=r"holds no config.json"):
        RunFolder.open(tmp_path)


def test_other_formats_are_refused(run):
    path = run / "config.json"
    document = json.loads(path.read_text())
    path.write_text(json.dumps(document | {"format_version": 99}))
    with pytest.raises(CheckpointError, match="format version 99, this release reads 1"):
        RunFolder.open(run)
    path.write_text(json.dumps(document | {"settings": {"hidden": 0}}))
    with pytest.raises(CheckpointError, match=r"damaged .*--hidden 0"):
        RunFolder.open(run)
    path.write_text("[]")
    with pytest.raises(CheckpointError, match="not the configuration of an rnn_xp run"):
        RunFolder.open(run)


def test_a_vocabulary_of_another_size_is_refused(run, small, tmp_path):
    vocabulary = json.loads((run / "vocab.json").read_text())
    vocabulary["symbols"] = vocabulary["symbols"][:-1]
    (run / "vocab.json").write_text(json.dumps(vocabulary))
    with pytest.raises(CheckpointError, match="symbols, but the model has"):
        RunFolder.open(run).tokenizer()


@contextmanager
def full_disk(monkeypatch):
    create = files.open_temporary
    with monkeypatch.context() as patch:
        patch.setattr(files, "open_temporary", lambda path: create(Path("/dev/full")))
        yield


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_full_disk_leaves_the_last_checkpoint(small, tmp_path, monkeypatch):
    class FillsUp(Reporter):
        def stepped(self, step):
            if step == 15:
                self.disk = full_disk(monkeypatch)
                self.disk.__enter__()

    out, reporter = tmp_path / "run", FillsUp()
    with pytest.raises(CheckpointError, match=r"No space left on device.*free some space"):
        train(small(), out, reporter=reporter)
    reporter.disk.__exit__(None, None, None)
    assert not [path for path in out.iterdir() if path.name.startswith(".")]
    assert train(None, out, resume=True, reporter=StopAt(12)).step == 12
    train(None, out, resume=True)
    train(small(), tmp_path / "whole")
    assert_same_run(tmp_path / "whole", out)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_full_disk_for_the_metrics(tmp_path):
    from rnn_xp.train.metrics import MetricsFile

    metrics = MetricsFile(tmp_path / "metrics.jsonl")
    metrics.close()
    with (
        open("/dev/full", "ab", buffering=0) as metrics._file,
        pytest.raises(CheckpointError, match=r"metrics.jsonl: No space left on device"),
    ):
        metrics.append({"step": 1})
