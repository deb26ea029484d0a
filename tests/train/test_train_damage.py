"""Damaged run folders: one clear line each, and no run that ends because of a picture."""

import json
import shutil

import pytest
from runs import Notes, StopAt

from rnn_xp.checkpoint import load_arrays, save_arrays
from rnn_xp.errors import CheckpointError
from rnn_xp.train import RunFolder, draw_curve, train


@pytest.fixture
def stopped(small, tmp_path):
    path = tmp_path / "run"
    train(small(layers=2), path, reporter=StopAt(12))
    return path


@pytest.mark.parametrize("data", [{}, {"name": "x", "train_tokens": "many"}])
def test_a_configuration_without_the_data(stopped, data):
    file = stopped / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"data": data}))
    with pytest.raises(CheckpointError, match=r"config.json: damaged \(.*\); restore it"):
        RunFolder.open(stopped)


def test_a_checkpoint_that_is_a_copy_of_the_model(stopped):
    shutil.copy(stopped / "model.safetensors", stopped / "last.safetensors")
    line = r"last.safetensors: is not the checkpoint of a run \('progress' is missing\); restore"
    with pytest.raises(CheckpointError, match=line):
        RunFolder.open(stopped).summary()
    with pytest.raises(CheckpointError, match=line):
        train(None, stopped, resume=True)


@pytest.mark.parametrize("name", ["state/0/0/1", "state/0/1/0"])
def test_a_checkpoint_without_a_state(stopped, name):
    file = stopped / "last.safetensors"
    arrays, document = load_arrays(file)
    del arrays[name]
    save_arrays(file, arrays, document)
    with pytest.raises(CheckpointError, match=f"last.safetensors: damaged .*{name}.*; restore it"):
        train(None, stopped, resume=True)


@pytest.mark.parametrize("line", [b"{oops\n", b"5\n", b"\xff\n", b'{"train_loss": 1}\n'])
def test_damaged_metrics_do_not_end_a_run(stopped, line, monkeypatch):
    pytest.importorskip("matplotlib")
    monkeypatch.setattr("rnn_xp.train.loop.draw_curve", draw_curve)
    rows = (stopped / "metrics.jsonl").read_bytes().splitlines(keepends=True)
    # Of the length that the checkpoint remembers.
    rows[0] = line[:-1] + b" " * (len(rows[0]) - len(line)) + b"\n"
    (stopped / "metrics.jsonl").write_bytes(b"".join(rows))
    reporter = Notes()
    assert train(None, stopped, resume=True, reporter=reporter).step == 30
    assert "metrics.jsonl: line 1 is damaged" in reporter.lines[-1]


@pytest.mark.parametrize("level", [None, "letter", 5, [], {}])
def test_a_configuration_with_another_level(stopped, level):
    file = stopped / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"level": level}))
    with pytest.raises(CheckpointError, match=r"config.json: damaged \(level is .*\); restore it"):
        RunFolder.open(stopped)


@pytest.mark.parametrize("place", [0.3, 0.6, 0.9999])
@pytest.mark.parametrize("name", ["last.safetensors", "model.safetensors"])
def test_one_wrong_bit_among_the_weights_is_seen(stopped, name, place):
    file = stopped / name
    data = bytearray(file.read_bytes())
    header = 8 + int.from_bytes(data[:8], "little")
    data[header + int(place * (len(data) - header))] ^= 16
    file.write_bytes(data)
    which = "best" if name.startswith("model") else "last"
    with pytest.raises(CheckpointError, match=rf"{name}: damaged \(.*checksum.*\); restore it"):
        RunFolder.open(stopped).load_model(which=which)


def test_a_checkpoint_of_before_has_no_checksum(stopped):
    file = stopped / "last.safetensors"
    data = file.read_bytes()
    at = data.index(b'"crc32"')
    file.write_bytes(data.replace(b'"crc32"', b'"other"', 1))  # of the same length
    assert at < int.from_bytes(data[:8], "little")
    assert train(None, stopped, resume=True).step == 30


def test_a_backend_that_no_release_knows(stopped):
    file = stopped / "config.json"
    document = json.loads(file.read_text())
    document["settings"]["backend"] = "abacus"
    file.write_text(json.dumps(document))
    with pytest.raises(ValueError, match=r"^--backend of the run .*: unknown backend 'abacus'"):
        train(None, stopped, resume=True)
    assert train(None, stopped, resume=True, changes={"backend": "numpy"}).step == 30
