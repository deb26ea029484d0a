"""``rnn-xp train``: its options, what it says, and that a stopped run goes on."""

import json
import signal
import struct
import sys
import time
from dataclasses import fields

import numpy as np
import pytest
from cli_helpers import SMALL, process, start, train

from rnn_xp.checkpoint import load_arrays
from rnn_xp.cli import train_options
from rnn_xp.cli.main import main
from rnn_xp.optim import OPTIMIZERS, SCHEDULES
from rnn_xp.train import PRESETS, RunFolder, TrainSettings


def test_every_setting_has_an_option():
    named = [name for entries in train_options.GROUPS.values() for name in entries]
    assert len(named) == len(set(named))
    assert {entry.name for entry in fields(TrainSettings)} - set(named) == {"preset"}


def test_the_names_in_the_help_are_those_that_exist(cli):
    shown = " ".join(cli("train", "--help").out.split())
    for name in (*OPTIMIZERS, *SCHEDULES, *PRESETS):
        assert name in shown
    for preset in PRESETS.values():
        assert preset.reports.split()[0] in shown


def test_only_what_is_given_overrides():
    import argparse

    parser = argparse.ArgumentParser()
    train_options.add_settings(parser)
    assert train_options.given_settings(parser.parse_args([])) == {}
    given = parser.parse_args(
        ["--hidden", "9", "--lr=.5", "--clip=none", "--tied", "--no-reset-after", "--epochs=None"]
    )
    assert train_options.given_settings(given) == {
        "hidden": 9,
        "lr": 0.5,
        "clip": None,
        "tied": True,
        "reset_after": False,
        "epochs": None,
    }


def test_a_first_run_says_what_it_uses_and_what_it_wrote(cli, text_file, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = cli("train", "--data", text_file, *SMALL, "--steps", "6", "--lr", "0.004")
    assert result.code == 0
    said = result.err.splitlines()
    assert said[0].startswith("LSTM 1 x 8 on ")
    assert "backend numpy" in said[0]
    assert "parameters" in said[0]
    assert said[1].startswith("data: 4,")
    assert said[2] == (
        "plan: 6 steps, 4 streams x 16 characters a step, adamw, learning rate 0.004 (cosine)"
    )
    assert said[3] == "run folder: runs/cats-1 (Ctrl-C saves and stops)"
    assert "best validation: " in result.out
    assert "bits per character (step " in result.out
    assert "runs/cats-1/model.safetensors" in result.out
    assert "rnn-xp generate runs/cats-1 --prompt TEXT" in result.out
    assert "rnn-xp train --resume runs/cats-1 --steps 12" in result.out
    sample = result.out.partition("a sample (temperature 0.8):\n")[2].partition("\n\nwrote")[0]
    assert len(sample) > 100
    assert cli("train", "--data", text_file, *SMALL, "--steps", "1").code == 0
    assert sorted(path.name for path in (tmp_path / "runs").iterdir()) == ["cats-1", "cats-2"]


def test_a_resumed_run_equals_an_uninterrupted_one(cli, text_file, tmp_path):
    options = ["--dropout", "0.2", "--schedule", "constant", "--layers", "2"]
    whole = train(tmp_path / "whole", text_file, *options, "--steps", "9")
    parts = train(tmp_path / "parts", text_file, *options, "--steps", "4")
    assert cli("train", "--resume", parts, "--steps", "9").code == 0
    a, _ = load_arrays(whole / "last.safetensors")
    b, _ = load_arrays(parts / "last.safetensors")
    assert a.keys() == b.keys()
    for name, array in a.items():
        np.testing.assert_array_equal(array, b[name], err_msg=name)


def test_a_preset_names_its_source_and_options_go_over_it(cli, text_file, tmp_path):
    words = ["--preset", "char-rnn", "--data", text_file, "--hidden", "8", "--batch", "4"]
    out = tmp_path / "run"
    result = cli("train", *words, "--bptt", "16", "--steps", "3", "--threads", "1", "--out", out)
    assert result.code == 0
    assert f"preset char-rnn: {PRESETS['char-rnn'].reports}" in result.err
    assert f"preset char-rnn: {PRESETS['char-rnn'].reports}" in result.out
    settings = json.loads((out / "config.json").read_text())["settings"]
    assert (settings["hidden"], settings["layers"], settings["clip"]) == (8, 2, None)


def test_without_validation_the_training_loss_is_shown(cli, tmp_path):
    text = tmp_path / "words.txt"
    text.write_text("the cat sat on the mat\nand the dog sat\n" * 40)
    words = ["--level", "word", "--valid", "none", "--epochs", "2", "--out", tmp_path / "run"]
    result = cli("train", "--data", text, *SMALL, *words)
    assert result.code == 0
    assert "training, last epoch: perplexity" in result.out
    assert "--epochs 4" in result.out


def test_an_end_by_patience_is_named_and_what_goes_on(cli, text_file, tmp_path):
    words = ["--optimizer", "sgd", "--lr", "1e-30", "--schedule", "constant", "--patience", "1"]
    run = tmp_path / "run"
    steps = ["--steps", "100", "--validate-every", "2", "--out", run]
    result = cli("train", "--data", text_file, *SMALL, *words, *steps)
    assert result.code == 0
    assert "ended by --patience 1: as many validations were no better\n" in result.out
    advice = f"rnn-xp train --resume {run} --patience none"
    assert advice in result.out
    result = cli("train", "--resume", run, "--steps", "200")
    assert "nothing is left to do: --patience 1 ended the run" in result.err
    assert "ended by --patience 1" in result.out
    result = cli(*advice.split()[1:], "--steps", "8")
    assert json.loads(cli("info", run, "--json").out)["step"] == 8


def test_names_of_new_runs_come_from_the_data(tmp_path, monkeypatch):
    from rnn_xp.cli.train import _fresh_folder

    monkeypatch.chdir(tmp_path)
    names = {
        None: "runs/kjv-1",
        "ptb:/x/ptb/": "runs/ptb-1",
        "/a/b/my text.v2.txt": "runs/my text-1",
        ".hidden": "runs/run-1",
    }
    for data, folder in names.items():
        assert _fresh_folder(TrainSettings(data=data)).as_posix() == folder
    assert _fresh_folder(TrainSettings(preset="char-rnn")).as_posix() == "runs/char-rnn-1"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals to send")
class TestStopping:
    endless = (*SMALL, "--steps", "1000000", "--schedule", "constant", "--valid", "none")

    def begin(self, path, text_file, *more):
        return start("train", "--data", text_file, "--out", path, *self.endless, *more)

    @staticmethod
    def wait_for_steps(path, rows=2):
        metrics = path / "metrics.jsonl"
        for _ in range(600):
            if metrics.exists() and metrics.read_bytes().count(b"\n") >= rows:
                return
            time.sleep(0.05)
        raise AssertionError("no training step in 30 seconds")

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    def test_ctrl_c_and_sigterm_save_and_say_how_to_go_on(self, cli, text_file, tmp_path, number):
        run = tmp_path / "run"
        with self.begin(run, text_file) as running:
            self.wait_for_steps(run)
            running.send_signal(number)
            out, err = running.communicate(timeout=30)
        assert running.returncode == 130
        assert "Traceback" not in err
        assert f"go on with: rnn-xp train --resume {run}" in out
        done = json.loads(cli("info", run, "--json").out)["step"]
        assert f"stopped at step {done:,}, saved in {run}" in out
        resumed = cli("train", "--resume", run, "--steps", done + 2)
        assert resumed.code == 0
        assert f"from step {done:,} on" in resumed.err
        assert json.loads(cli("info", run, "--json").out)["step"] == done + 2

    def test_a_kill_loses_only_what_came_after_the_last_save(self, cli, text_file, tmp_path):
        run = tmp_path / "run"
        with self.begin(run, text_file, "--save-every", "0.05") as running:
            self.wait_for_steps(run)
            while RunFolder.open(run).summary()["step"] == 0:
                time.sleep(0.05)
            running.kill()
            running.communicate(timeout=30)
        done = json.loads(cli("info", run, "--json").out)["step"]
        assert done > 0
        assert cli("train", "--resume", run, "--steps", done + 2).code == 0
        rows = [json.loads(row) for row in (run / "metrics.jsonl").read_text().splitlines()]
        steps = [row["step"] for row in rows if "train_loss" in row]
        assert steps == sorted(set(steps))
        assert steps[-1] == done + 2
        assert not [path for path in run.iterdir() if path.name.startswith(".")]

    def test_a_full_disk_is_one_line_and_the_run_goes_on_later(self, cli, text_file, tmp_path):
        resource = pytest.importorskip("resource")
        run = train(tmp_path / "run", text_file)
        before = {path.name: path.read_bytes() for path in run.iterdir()}

        def nearly_full():
            resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000))

        result = process("train", "--resume", run, "--steps", "8", preexec_fn=nearly_full)
        assert result.code == 1
        line = result.err.splitlines()[-1]
        assert line.startswith(f"rnn-xp: error: {run}/")
        assert "cannot be written: File too large" in line
        for name in ("model.safetensors", "last.safetensors", "vocab.json"):
            assert (run / name).read_bytes() == before[name]
        assert cli("train", "--resume", run, "--steps", "8").code == 0


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
def test_a_terminal_gets_a_progress_bar(text_file, tmp_path):
    import fcntl
    import os
    import pty
    import termios

    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 100, 0, 0))
    words = ["train", "--data", text_file, "--out", tmp_path / "run", *SMALL, "--steps", "200"]
    with start(*words, stderr=theirs) as running:
        os.close(theirs)
        shown = b""
        while True:
            try:
                piece = os.read(ours, 4096)
            except OSError:  # how Linux tells that the other end was closed
                break
            if not piece:
                break
            shown += piece
        running.communicate(timeout=30)
    os.close(ours)
    assert running.returncode == 0
    text = shown.decode()
    assert "100%" in text
    assert "200/200" in text
    assert "bits/char" in text


def test_a_loss_that_is_not_finite_is_one_line(cli, text_file, tmp_path):
    words = ["--steps", "60", "--lr", "1e30", "--clip", "none", "--optimizer", "sgd"]
    result = cli("train", "--data", text_file, *SMALL, *words, "--out", tmp_path / "run")
    assert result.code == 1
    last = result.err.splitlines()[-1]
    assert last.startswith("rnn-xp: error: step ")
    assert "--resume" in last


def test_main_is_what_the_script_runs():
    from importlib.metadata import entry_points

    scripts = [e for e in entry_points(group="console_scripts") if e.name == "rnn-xp"]
    assert all(script.load() is main for script in scripts)
