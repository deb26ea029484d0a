"""``--precision``: where it is refused, where it is kept, what is said of it."""

import importlib
import json

import numpy as np
import pytest
from cli_helpers import SMALL
from standin import transfers

from rnn_xp.train import RunFolder, loop
from rnn_xp.train.settings import TrainSettings
from rnn_xp.train.stepper import Stepper

PRECISIONS = ("tf32", "float16", "bfloat16")


@pytest.fixture(autouse=True)
def without_transfers(monkeypatch):
    """No training step waits for the device."""
    real = Stepper.step

    def step(*args):
        with transfers.refused():
            return real(*args)

    monkeypatch.setattr(Stepper, "step", step)


@pytest.fixture(autouse=True)
def short(monkeypatch):
    """No curves, and samples of two tokens: on the stand-in a token takes milliseconds."""
    monkeypatch.setattr(loop, "draw_curve", lambda folder: None)
    monkeypatch.setattr(importlib.import_module("rnn_xp.cli.train"), "SAMPLE", {"char": 2})


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def trained(cli, tmp_path, text_file):
    """Function that trains a run; returns its folder and what was said."""

    def make(*more):
        run = tmp_path / "-".join(("run", *more))
        result = cli("train", "--data", text_file, "--out", run, *SMALL, "--steps", 6, *more)
        assert result.code == 0
        return run, result.err

    return make


@pytest.mark.parametrize("precision", PRECISIONS)
def test_numpy_refuses_and_writes_nothing(cli, tmp_path, text_file, precision):
    out = tmp_path / "runs" / "new"
    result = cli("train", "--data", text_file, "--out", out, *SMALL, "--precision", precision)
    assert result.code == 1
    assert result.error == (
        f"precision {precision} needs the fast kernels of the backend cupy; numpy computes in "
        "float32"
    )
    assert not out.parent.exists()


def test_the_run_that_was_to_be_replaced_stays(cli, trained, text_file):
    run, _ = trained()
    before = contents(run)
    words = ["--data", text_file, "--out", run, "--overwrite", *SMALL, "--precision", "tf32"]
    assert cli("train", *words).code == 1
    assert contents(run) == before


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (["tf16"], "--precision tf16: expected one of float32, tf32, float16, bfloat16"),
        (
            ["tf32", "--dtype", "float64"],
            "--precision tf32 needs --dtype float32, got float64",
        ),
        (
            ["float16", "--layer-norm"],
            "--precision float16 needs the fast kernels, and --layer-norm has none; leave one of "
            "the two out",
        ),
    ],
)
def test_bad_usage(cli, tmp_path, text_file, words, error):
    out = tmp_path / "run"
    result = cli("train", "--data", text_file, "--out", out, "--precision", *words)
    assert (result.code, result.error) == (2, error)
    assert not out.exists()


def test_generic_kernels_refuse(cli, cuda_be, monkeypatch, tmp_path, text_file):
    monkeypatch.setenv("RNN_XP_KERNELS", "generic")
    out = tmp_path / "run"
    words = ["--data", text_file, "--out", out, "--backend", "cupy", "--precision", "tf32"]
    result = cli("train", *words)
    assert result.code == 1
    assert "cupy computes in float32 (RNN_XP_KERNELS=generic)" in result.error
    assert not out.exists()


def test_a_run_of_before_there_was_a_choice_is_float32(cli, trained):
    run, _ = trained()
    document = json.loads((run / "config.json").read_text())
    assert document["settings"].pop("precision") == "float32"
    (run / "config.json").write_text(json.dumps(document))
    assert RunFolder.open(run).config.settings.precision == "float32"
    assert "  precision   float32\n" in cli("info", run).out
    assert cli("train", "--resume", run, "--steps", 8, "--precision", "float32").code == 0
    assert json.loads((run / "config.json").read_text())["settings"]["precision"] == "float32"


def test_a_resume_cannot_change_it(cli, trained):
    run, _ = trained()
    before = contents(run)
    result = cli("train", "--resume", run, "--precision", "tf32", "--steps", 8)
    assert result.code == 2
    assert "the run has --precision float32, a resume cannot change it to tf32" in result.error
    assert contents(run) == before


@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_run_on_cupy(cli, cuda_be, trained, text_file, precision):
    run, said = trained("--backend", "cupy", "--precision", precision)
    assert f"backend cupy:0, precision {precision}\n" in said
    shown = cli("info", run).out
    assert f"  precision   float32, matrix products of training in {precision}\n" in shown
    assert f"--precision {precision}" in shown
    assert json.loads(cli("info", run, "--json").out)["settings"]["precision"] == precision
    # Elsewhere its weights are weights like others; training goes on only where it began.
    assert cli("evaluate", run, "--data", text_file, "--backend", "numpy").code == 0
    assert cli("generate", run, "--length", 5, "--backend", "numpy").code == 0
    before = contents(run)
    refused = cli("train", "--resume", run, "--backend", "numpy", "--steps", 8)
    assert refused.code == 1
    assert refused.error == (
        f"--resume {run}: a resume keeps the run's precision, but precision {precision} needs the "
        "fast kernels of the backend cupy; numpy computes in float32"
    )
    assert contents(run) == before
    resumed = cli("train", "--resume", run, "--steps", 8)
    assert resumed.code == 0
    assert f"precision {precision}" in resumed.err


def test_the_precision_reaches_the_products(cuda_be, trained):
    """Initial weights are the same, those that are trained are not; nor is anything far away."""
    weights = {}
    for precision in ("float32", *PRECISIONS):
        more = ["--backend", "cupy", "--optimizer", "sgd", "--precision", precision]
        run = RunFolder.open(trained(*more)[0])
        weights[precision] = run.load_model("numpy", which="last").flat_params
    for precision in PRECISIONS:
        assert 0 < np.abs(weights[precision] - weights["float32"]).max() < 0.02


def test_the_default_is_float32():
    assert TrainSettings().precision == "float32"
