"""What people and disks do wrong: each is one line that names the cause, and nothing is lost."""

import shutil

import pytest
from cli_helpers import SMALL, TEXT, process

from rnn_xp.kernels.choice import KERNEL_MODES


@pytest.fixture
def text(tmp_path):
    """Write a file and return its path."""

    def write(content, name="text.txt"):
        path = tmp_path / name
        path.write_bytes(content)
        return path

    return write


def training(cli, data, out, *more):
    return cli("train", "--data", data, "--out", out, *SMALL, "--steps", "3", *more)


@pytest.mark.parametrize("command", ["train", "evaluate"])
def test_missing_and_empty_files(cli, char_run, text, tmp_path, command):
    words = {"train": ["--out", tmp_path / "run"], "evaluate": [char_run]}[command]
    result = cli(command, *words, "--data", tmp_path / "nowhere.txt")
    assert result.code == 1
    assert f"{tmp_path / 'nowhere.txt'}: n" in result.error
    result = cli(command, *words, "--data", text(b""))
    assert result.code == 1
    assert "text.txt: the file is empty" in result.error
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("command", ["train", "evaluate", "generate"])
def test_invalid_utf8_names_line_and_offset(cli, char_run, text, tmp_path, command):
    bad = text(b"a good line\nand a b\xe4d one\n")
    words = {
        "train": ["--out", tmp_path / "run", "--data", bad],
        "evaluate": [char_run, "--data", bad],
        "generate": [char_run, "--prompt-file", bad],
    }[command]
    result = cli(command, *words)
    assert result.code == 1
    assert "not valid UTF-8 at line 2, byte offset 19" in result.error


def test_a_text_shorter_than_one_batch(cli, text, tmp_path):
    result = training(cli, text(b"too short\n" * 5), tmp_path / "run")
    assert result.code == 1
    assert "one batch of N = 4 streams of T = 16 tokens needs 65" in result.error
    assert not (tmp_path / "run").exists()


def test_a_text_with_other_characters_cannot_be_measured(cli, char_run, text):
    result = cli("evaluate", char_run, "--data", text("the cat säß\n".encode()))
    assert result.code == 1
    assert "not in the vocabulary: 'ä' (U+00E4), 'ß' (U+00DF)" in result.error


def test_an_existing_run_is_kept(cli, text_file, tmp_path):
    run = tmp_path / "run"
    assert training(cli, text_file, run).code == 0
    before = (run / "model.safetensors").read_bytes()
    result = training(cli, text_file, run)
    assert result.code == 1
    assert f"rnn-xp train --resume {run}" in result.error
    assert "--overwrite" in result.error
    assert (run / "model.safetensors").read_bytes() == before
    assert training(cli, text_file, run, "--overwrite", "--seed", "1").code == 0
    assert (run / "model.safetensors").read_bytes() != before


def test_a_folder_that_is_not_a_run_is_kept(cli, text_file, tmp_path):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter1.tex").write_text("years of work")
    result = training(cli, text_file, tmp_path / "thesis")
    assert result.code == 1
    assert "not a run folder" in result.error
    assert (tmp_path / "thesis" / "chapter1.tex").read_text() == "years of work"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--lr", "-1"], "--lr -1.0: expected a finite number above 0"),
        (["--lr", "nan"], "argument --lr: 'nan': expected a number"),
        (["--dropout", "1.5"], "--dropout 1.5: expected a number from 0 and below 1"),
        (["--dropout", "0.9999999"], "--dropout 0.9999999: expected a number from 0 and below 1"),
        (["--zoneout", "0.999999"], "--zoneout 0.999999: expected a number from 0 and below 1"),
        (["--recurrent-dropout", "0.999999"], "--recurrent-dropout 0.999999: expected a number"),
        (["--weight-drop", "0.999999"], "--weight-drop 0.999999: expected a number from 0"),
        (["--batch", "0"], "--batch 0: expected an integer of at least 1"),
        (["--hidden", "2.5"], "argument --hidden: '2.5': expected an integer"),
        (["--cell", "transformer"], "--cell transformer: expected one of rnn, lstm, gru"),
        (["--optimizer", "magic"], "--optimizer magic: expected one of sgd"),
        (["--schedule", "magic"], "--schedule magic: expected one of constant"),
        (["--level", "line"], "--level line: expected one of char, word, byte"),
        (["--preset", "magic"], "--preset magic: expected one of dlfs2-simple-rnnlm"),
        (["--preset", "dlfs2-rnnlm"], "--preset dlfs2-rnnlm needs --data ptb:FOLDER"),
        (["--backend", "jax"], "unknown backend 'jax', expected one of auto, numpy, cupy"),
        (["--backend", "numpy:7"], "NumPy has no device but cpu"),
        (
            ["--tied", "--hidden", "9"],
            "--tied needs --embed and --hidden of one size, got 64 and 9",
        ),
        (["--optimizer", "sgd", "--eps", "1"], "--eps 1: --optimizer sgd has no such setting"),
        (["--overwrite"], "--overwrite needs --out RUN"),
        (["--resume", "x", "--out", "y"], "--out is for a new run"),
        (["--resume", "x", "--preset", "y"], "--preset is for a new run"),
    ],
)
def test_bad_options_are_refused_before_anything_is_written(
    cli, tmp_path, monkeypatch, words, message
):
    monkeypatch.chdir(tmp_path)
    result = cli("train", *words)
    assert (result.code, result.out) == (2, "")
    assert message in result.error
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "command", ["train", "overwrite", "resume", "evaluate", "generate", "info"]
)
def test_an_unknown_kernel_mode_is_bad_usage(
    cli, char_run, text_file, tmp_path, monkeypatch, command
):
    run = tmp_path / "run"
    shutil.copytree(char_run, run)
    before = {path.name: path.read_bytes() for path in run.iterdir()}
    monkeypatch.setenv("RNN_XP_KERNELS", "fats")
    words = {
        "train": ["train", "--data", text_file, "--out", tmp_path / "new", *SMALL],
        "overwrite": ["train", "--data", text_file, "--out", run, "--overwrite", *SMALL],
        "resume": ["train", "--resume", run, "--steps", "9"],
        "evaluate": ["evaluate", run, "--data", text_file],
        "generate": ["generate", run],
        "info": ["info"],
    }[command]
    result = cli(*words)
    assert (result.code, result.out) == (2, "")
    assert result.error == f"RNN_XP_KERNELS='fats', expected one of {', '.join(KERNEL_MODES)}"
    assert {path.name: path.read_bytes() for path in run.iterdir()} == before
    assert not (tmp_path / "new").exists()


def test_an_unknown_corpus_lists_the_known_ones(cli, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = cli("train", "--data", "wikipedia")
    assert result.code == 1
    assert "wikipedia: neither a file nor a known corpus; known: kjv" in result.error
    assert not list(tmp_path.glob("runs/*"))


def test_a_resumed_run_keeps_its_options(cli, char_run):
    result = cli("train", "--resume", char_run, "--hidden", "9")
    assert result.code == 2
    assert "the run has --hidden 8, a resume cannot change it to 9" in result.error


def test_a_limit_behind_the_run_is_bad_usage(cli, char_run):
    result = cli("train", "--resume", char_run, "--steps", "5")
    assert result.code == 2
    assert result.error == "--steps 5: the run has 6 steps behind it already; give more to go on"


def test_the_model_of_another_run(cli, char_run, text_file, tmp_path):
    shutil.copytree(char_run, tmp_path / "run")
    assert training(cli, text_file, tmp_path / "other", "--seed", "1").code == 0
    shutil.copy(tmp_path / "other" / "model.safetensors", tmp_path / "run")
    for words in (["evaluate", "--data", text_file], ["generate"], ["info"]):
        result = cli(words[0], tmp_path / "run", *words[1:])
        assert result.code == 1
        assert "is the model of another run, it has seed 1 and not 0" in result.error


def test_a_text_too_short_to_measure_is_named(cli, char_run, text):
    short = text(b"t", "short.txt")
    for protocol in ("exact", "dlfs2"):
        result = cli("evaluate", char_run, "--data", short, "--protocol", protocol)
        assert result.code == 1
        assert result.error.startswith(f"{short}: the text has 1 tokens")


@pytest.mark.parametrize("command", ["train", "evaluate", "generate", "info"])
def test_a_missing_run_folder(cli, text_file, tmp_path, command):
    words = {
        "train": ["--resume", tmp_path / "none"],
        "evaluate": [tmp_path / "none", "--data", text_file],
        "generate": [tmp_path / "none"],
        "info": [tmp_path / "none"],
    }[command]
    result = cli(command, *words)
    assert result.code == 1
    assert f"{tmp_path / 'none'}: no such run folder" in result.error


def truncate(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def scramble(path):
    path.write_bytes(bytes(255 - b for b in path.read_bytes()))


@pytest.mark.parametrize("harm", [truncate, scramble, lambda path: path.unlink()])
@pytest.mark.parametrize("name", ["config.json", "vocab.json", "model.safetensors"])
def test_a_damaged_run_folder_names_the_file(cli, char_run, text_file, tmp_path, name, harm):
    run = tmp_path / "run"
    shutil.copytree(char_run, run)
    harm(run / name)
    for words in (["evaluate", run, "--data", text_file], ["generate", run]):
        result = cli(*words)
        assert (result.code, result.out) == (1, "")
        assert name in result.error
        assert str(run) in result.error


@pytest.mark.parametrize("harm", [truncate, scramble, lambda path: path.unlink()])
def test_a_damaged_checkpoint_cannot_be_resumed(cli, char_run, tmp_path, harm):
    run = tmp_path / "run"
    shutil.copytree(char_run, run)
    harm(run / "last.safetensors")
    for words in (["train", "--resume", run, "--steps", "9"], ["info", run]):
        result = cli(*words)
        assert result.code == 1
        assert "last.safetensors" in result.error


def test_a_text_that_changed_cannot_be_resumed(cli, text, tmp_path):
    data = text(TEXT.encode())
    assert training(cli, data, tmp_path / "run").code == 0
    data.write_text(TEXT.replace("cats", "cows"))
    result = cli("train", "--resume", tmp_path / "run", "--steps", "9")
    assert result.code == 1
    assert "is not the one that this run was started with" in result.error


def test_a_pickle_that_could_run_code_is_refused(cli, text_file, tmp_path):
    import os
    import pickle

    class Evil:
        def __reduce__(self):
            return os.system, (f"touch {tmp_path}/owned",)

    (tmp_path / "evil.pkl").write_bytes(pickle.dumps([Evil()]))
    result = cli("evaluate", tmp_path / "evil.pkl", "--data", text_file)
    assert result.code == 1
    assert "evil.pkl" in result.error
    assert not (tmp_path / "owned").exists()


def test_no_traceback_in_a_process_of_its_own(tmp_path):
    result = process("train", "--data", tmp_path / "nowhere.txt")
    assert (result.code, result.out) == (1, "")
    assert "nowhere.txt" in result.error
    result = process("train", "--dropout", "2")
    assert result.code == 2
    assert "--dropout" in result.error


@pytest.mark.parametrize("name", ["model.safetensors", "last.safetensors", "vocab.json"])
def test_a_file_of_a_run_folder_is_not_the_run(cli, char_run, name):
    result = cli("generate", char_run / name)
    assert result.code == 2
    assert f"{name}: is a file of a run folder; give the folder, {char_run} " in result.error


def test_an_unknown_character_can_be_measured_if_the_vocabulary_has_one(
    cli, text, text_file, tmp_path
):
    assert training(cli, text_file, tmp_path / "run", "--unknown").code == 0
    other = text("the cat säß\n".encode())
    assert cli("evaluate", tmp_path / "run", "--data", other).code == 0
    result = training(cli, text_file, tmp_path / "words", "--unknown", "--level", "word")
    assert result.code == 2
    assert "--unknown is for characters, it needs --level char, not word" in result.error
