"""A run knows its own checkpoints, and takes no other run's, however alike the two are."""

import json
import re
import shutil

import pytest
from runs import StopAt, assert_same_run

from rnn_xp.checkpoint import load_arrays, save_arrays
from rnn_xp.errors import CheckpointError
from rnn_xp.train import RunFolder, train

CHECKPOINTS = ("last.safetensors", "model.safetensors")


@pytest.fixture
def two(small, tmp_path):
    """Two runs that differ in their learning rate only, stopped on the way."""
    train(small(lr=0.01), tmp_path / "one", reporter=StopAt(12))
    train(small(lr=0.02), tmp_path / "two", reporter=StopAt(12))
    return tmp_path / "one", tmp_path / "two"


def line_about(path, own):
    ids = [RunFolder.open(folder).config.run_id for folder in own]
    return re.escape(
        f"{path}: is of run {ids[1]}, but {own[0] / 'config.json'} of run {ids[0]}; "
        "restore the one that is not of this run from a copy"
    )


def test_a_state_of_another_run_is_refused(two):
    one, other = two
    path = one / "last.safetensors"
    shutil.copy(other / path.name, path)
    before = {file.name: file.read_bytes() for file in one.iterdir()}
    for call in (
        lambda: train(None, one, resume=True),
        lambda: RunFolder.open(one).summary(),
        lambda: RunFolder.open(one).load_model(which="last"),
    ):
        with pytest.raises(CheckpointError, match=f"^{line_about(path, two)}$"):
            call()
    assert {file.name: file.read_bytes() for file in one.iterdir()} == before


def test_a_configuration_of_another_run_is_refused(two):
    one, other = two
    shutil.copy(other / "config.json", one / "config.json")
    with pytest.raises(CheckpointError, match=r"last\.safetensors: is of run .*, but .*config\.js"):
        train(None, one, resume=True)


def test_a_model_of_another_run_is_refused(two):
    one, other = two
    path = one / "model.safetensors"
    shutil.copy(other / path.name, path)
    with pytest.raises(CheckpointError, match=f"^{line_about(path, two)}$"):
        RunFolder.open(one).load_model()


def test_every_run_has_a_name_of_its_own_and_keeps_it(small, tmp_path):
    ids = []
    for overwrite in (False, True):
        train(small(), tmp_path / "run", overwrite=overwrite, reporter=StopAt(12))
        ids.append(RunFolder.open(tmp_path / "run").config.run_id)
        train(None, tmp_path / "run", resume=True, changes={"steps": 40})
        assert RunFolder.open(tmp_path / "run").config.run_id == ids[-1]
        for name in CHECKPOINTS:
            assert load_arrays(tmp_path / "run" / name)[1]["run_id"] == ids[-1]
    assert len(set(ids)) == 2
    assert all(re.fullmatch("[0-9a-f]{16}", one) for one in ids)


def as_before_there_were_names(folder, names):
    for name in names:
        path = folder / name
        if name == "config.json":
            document = json.loads(path.read_text())
            del document["run_id"]
            path.write_text(json.dumps(document))
        else:
            arrays, document = load_arrays(path)
            del document["run_id"]
            save_arrays(path, arrays, document)


@pytest.mark.parametrize("names", [("config.json", *CHECKPOINTS), CHECKPOINTS])
def test_files_of_before_are_taken(small, tmp_path, names):
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    train(small(), whole)
    train(small(), stopped, reporter=StopAt(12))
    as_before_there_were_names(stopped, names)
    RunFolder.open(stopped).load_model()
    assert train(None, stopped, resume=True).step == 30
    assert_same_run(stopped, whole)


def test_a_run_of_before_does_not_take_a_named_state(two):
    one, other = two
    as_before_there_were_names(one, ("config.json", *CHECKPOINTS))
    shutil.copy(other / "last.safetensors", one / "last.safetensors")
    with pytest.raises(
        CheckpointError, match=r"but .*config\.json of a run without run_id; restore"
    ):
        train(None, one, resume=True)


def test_a_damaged_name_is_named(two):
    file = two[0] / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"run_id": 5}))
    with pytest.raises(CheckpointError, match=r"config\.json: damaged \(run_id is 5\)"):
        RunFolder.open(two[0])


def reordered(folder):
    file = folder / "vocab.json"
    document = json.loads(file.read_text())
    document["symbols"].reverse()
    file.write_text(json.dumps(document))


def test_a_vocabulary_of_the_same_size_is_refused(two):
    one, _ = two
    reordered(one)
    before = {file.name: file.read_bytes() for file in one.iterdir()}
    line = r"vocab\.json: is not the vocabulary of this run, .* restore it from a copy$"
    for call in (lambda: train(None, one, resume=True), RunFolder.open(one).tokenizer):
        with pytest.raises(CheckpointError, match=line):
            call()
    assert {file.name: file.read_bytes() for file in one.iterdir()} == before


def test_a_run_of_before_has_no_digest_of_its_vocabulary(two):
    one, _ = two
    size = RunFolder.open(one).tokenizer().size
    document = json.loads((one / "config.json").read_text())
    del document["data"]["vocab_digest"]
    (one / "config.json").write_text(json.dumps(document))
    assert RunFolder.open(one).tokenizer().size == size
    assert train(None, one, resume=True).step == 30


@pytest.mark.parametrize("how", ["other", "damaged"])
def test_a_resume_looks_at_the_model_that_it_would_keep(two, how):
    one, other = two
    path = one / "model.safetensors"
    data = bytearray((other if how == "other" else one).joinpath(path.name).read_bytes())
    if how == "damaged":
        data[-1] ^= 1
    path.write_bytes(data)
    before = {file.name: file.read_bytes() for file in one.iterdir()}
    what = "is of run" if how == "other" else "damaged"
    with pytest.raises(
        CheckpointError, match=rf"model\.safetensors: {what} .*, or remove it: a re"
    ):
        train(None, one, resume=True)
    assert {file.name: file.read_bytes() for file in one.iterdir()} == before
    path.unlink()
    assert train(None, one, resume=True).step == 30
    RunFolder.open(one).load_model()
