"""Standard streams that are closed, full, or a pipe whose reader went away."""

import os
import shlex
import subprocess
import sys

import pytest
from cli_helpers import SMALL, environment

from rnn_xp.cli import main
from rnn_xp.train import RunFolder

pytestmark = pytest.mark.skipif(os.name != "posix", reason="needs a POSIX shell")

full = pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full")


@pytest.fixture
def shell(tmp_path):
    """Run a command in ``sh``: its own exit code, not that of the pipe, and what was written."""

    def call(redirection, *words):
        redirected, _, pipe = redirection.partition("|")
        command = shlex.join([sys.executable, "-m", "rnn_xp", *map(str, words)])
        code = tmp_path / "code"
        script = f"{{ {command} {redirected}; echo $? >{shlex.quote(str(code))}; }}"
        done = subprocess.run(
            ["sh", "-c", f"{script} | {pipe}" if pipe else script],
            env=environment(),
            capture_output=True,
            text=True,
            timeout=60,
        )
        return int(code.read_text()), done.stdout, done.stderr

    return call


@pytest.mark.parametrize(
    ("redirection", "code"),
    [
        ("2>&1 | head -n 1", 141),  # trained to its end; then nobody was there for the report
        pytest.param("2>/dev/full", 0, marks=full),
        pytest.param(">/dev/full", 1, marks=full),
        ("2>&-", 0),
        (">&-", 0),
        (">&- 2>&-", 0),
        ("<&- >&- 2>&-", 0),
    ],
)
def test_a_missing_or_broken_display_costs_no_training(
    shell, text_file, tmp_path, redirection, code
):
    run = tmp_path / "run"
    words = ["--data", text_file, "--out", run, *SMALL, "--steps", "40", "--validate-every", "2"]
    found, out, err = shell(redirection, "train", *words)
    assert found == code
    assert "Traceback" not in out + err
    assert "bug" not in out + err
    assert "Exception ignored" not in err
    assert RunFolder.open(run).summary()["step"] == 40


@pytest.mark.parametrize(
    ("redirection", "code"),
    [("| head -c 1", 141), (">&-", 0), ("2>&-", 0), pytest.param("2>/dev/full", 0, marks=full)],
)
def test_generate_without_a_reader(shell, char_run, redirection, code):
    length = "5000" if "|" in redirection else "50"
    found, _, err = shell(redirection, "generate", char_run, "--length", length)
    assert (found, err) == (code, "")


@full
@pytest.mark.parametrize("redirection", ["2>/dev/full", "2>&-"])
def test_an_error_that_cannot_be_told_has_its_code(shell, tmp_path, redirection):
    assert shell(redirection, "info", tmp_path / "none")[0] == 1
    assert shell(redirection, "train", "--lr", "-1", "--debug")[0] == 2


def test_the_streams_are_afterwards_as_before(char_run, monkeypatch):
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)
    assert main(["info", str(char_run)]) == 0
    assert main(["info", str(char_run / "none")]) == 1
    assert sys.stdout is None
    assert sys.stderr is None
