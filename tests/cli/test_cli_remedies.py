"""Easy slips: an empty variable, a file for a folder, a digit too many; each says what to do."""

import pytest
from cli_helpers import SMALL


@pytest.mark.parametrize("option", ["--out", "--resume"])
def test_a_shell_variable_that_is_not_set(cli, option):
    result = cli("train", option, "")
    assert result.code == 2
    assert f"{option} '': expected the path of a run folder" in result.error


@pytest.mark.parametrize("words", [["train", "--resume"], ["info"]])
def test_a_file_where_a_run_folder_belongs(cli, text_file, words):
    result = cli(*words, text_file)
    assert result.code == 1
    assert f"{text_file}: is a file, expected the folder that rnn-xp train wrote" in result.error


def test_a_file_that_is_no_model(cli, text_file):
    result = cli("evaluate", text_file, "--data", text_file)
    assert result.code == 1
    assert result.error.endswith("a run folder or a .pkl file of Deep Learning from Scratch 2")


def test_rows_are_not_ignored(cli, char_run, text_file):
    words = ["evaluate", char_run, "--data", text_file, "--protocol", "dlfs2"]
    assert cli(*words).code == 0
    result = cli(*words, "--rows", "4")
    assert result.code == 2
    assert "--rows 4: is for --protocol exact; dlfs2 has its own" in result.error


def test_a_model_that_no_machine_can_hold(cli, text_file, tmp_path):
    size = ["--hidden", "99999999"]
    result = cli("train", "--data", text_file, "--out", tmp_path / "run", *SMALL, *size)
    assert result.code == 1
    assert "out of memory (a model of 4.0e+16 parameters needs" in result.error
    assert result.error.endswith("try a smaller --batch, --bptt or --hidden")
    assert not (tmp_path / "run").exists()
