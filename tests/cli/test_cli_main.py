"""The frame around the commands: help, versions, errors, signals, threads."""

import json
import os
import signal
import subprocess
import sys
import threading

import pytest
from cli_helpers import environment, process, start

import rnn_xp
from rnn_xp.cli import errors, threads
from rnn_xp.cli.main import COMMANDS
from rnn_xp.errors import DataError


def test_version_and_help(cli):
    assert cli("--version").out == f"rnn-xp {rnn_xp.__version__}\n"
    shown = cli("--help")
    assert shown.code == 0
    assert all(name in shown.out for name in COMMANDS)
    assert " minutes" not in shown.out  # nobody measured this machine


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_is_explained_with_its_default(cli, command):
    shown = cli(command, "--help")
    assert (shown.code, shown.err) == (0, "")
    options = shown.out.partition("options:\n")[2].partition("presets:")[0]
    entries = [e for e in (" " + options).split("\n  -")[1:] if not e.startswith("h,")]
    assert entries
    for entry in entries:
        words = " ".join(entry.split())
        if not words.startswith(("-debug", "-json", "-data FILE the")):
            assert "(default:" in words, entry


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "required: COMMAND; see rnn-xp --help"),
        (["paint"], "invalid choice: 'paint'"),
        (
            ["info", "--jsn"],
            "unknown argument --jsn (did you mean --json?); see rnn-xp info --help",
        ),
        (["train", "--hiden=3"], "unknown argument --hiden=3 (did you mean --hidden?)"),
        (["train", "--hidden"], "expected one argument; see rnn-xp train --help"),
        (["train", "--hidden", "many"], "argument --hidden: 'many': expected an integer"),
        (["generate"], "required: RUN; see rnn-xp generate --help"),
        (["evaluate", "run"], "required: --data; see rnn-xp evaluate --help"),
    ],
)
def test_bad_usage_is_one_line_and_code_2(cli, words, message):
    result = cli(*words)
    assert (result.code, result.out) == (2, "")
    assert message in result.error


def test_module_and_script_are_the_same():
    shown = process("--version")
    assert shown.out == f"rnn-xp {rnn_xp.__version__}\n"
    assert process("train", "--preset", "nothing").code == 2


def raising(error):
    def command():
        raise error

    return command


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (DataError("a text\nis bad"), 1, "error: a text is bad"),
        (errors.UsageError("--lr 0: expected more"), 2, "error: --lr 0: expected more"),
        (FileNotFoundError(2, "No such file", "x.txt"), 1, "error: x.txt: No such file"),
        (OSError(28, "No space left on device"), 1, "error: cannot write: No space left on device"),
        (MemoryError("cannot allocate 1 TiB"), 1, "error: out of memory (cannot allocate 1 TiB)"),
        (KeyError("h"), 1, "error: unexpected KeyError: 'h'; this is a bug"),
        (KeyboardInterrupt(), 130, "interrupted"),
    ],
)
def test_each_failure_is_one_line_with_its_exit_code(capsys, error, code, line):
    assert errors.guarded(raising(error), debug=False) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"rnn-xp: {line}")
    assert err.count("\n") == 1


def test_debug_shows_the_traceback(capsys):
    assert errors.guarded(raising(DataError("bad")), debug=True) == 1
    err = capsys.readouterr().err
    assert err.startswith("Traceback")
    assert err.endswith("rnn-xp: error: bad\n")
    assert "Traceback" in process("--debug", "info", "nowhere").err
    assert "Traceback" in process("info", "nowhere", "--debug").err


def test_a_value_error_is_bad_usage_only_where_an_option_is_to_blame():
    with pytest.raises(errors.UsageError), errors.bad_usage():
        raise ValueError("temperature is -1")
    with pytest.raises(DataError), errors.bad_usage():
        raise DataError("a failure, though a ValueError too")
    with pytest.raises(errors.UsageError), errors.bad_usage(named=True):
        raise ValueError("--lr 0: expected more")
    with pytest.raises(ValueError, match="broadcast"), errors.bad_usage(named=True):
        raise ValueError("operands could not be broadcast")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM to send")
def test_sigterm_acts_as_ctrl_c_and_the_old_handler_comes_back(capsys):
    before = signal.getsignal(signal.SIGTERM)
    assert errors.guarded(lambda: os.kill(os.getpid(), signal.SIGTERM) or 0, False) == 130
    assert capsys.readouterr().err == "rnn-xp: interrupted\n"
    assert signal.getsignal(signal.SIGTERM) is before


def test_main_works_outside_the_main_thread(capsys):
    codes = []
    worker = threading.Thread(target=lambda: codes.append(errors.guarded(lambda: 0, False)))
    worker.start()
    worker.join()
    assert codes == [0]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full")
def test_a_full_disk_behind_standard_output_is_one_line():
    with open("/dev/full", "w") as full:
        result = process("info", "--json", stdout=full)
    assert result.code == 1
    assert result.error == "cannot write: No space left on device"


def test_a_reader_that_goes_away_is_no_error(char_run):
    with start("generate", char_run, "--length", "100000") as running:
        running.stdout.read(20)
        running.stdout.close()
        assert running.stderr.read() == ""
    assert running.returncode == 141


def test_importing_the_command_line_does_not_import_numpy():
    code = "import sys, rnn_xp.cli; sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], env=environment()).returncode == 0


class TestThreads:
    def test_they_are_found_before_parsing(self, tmp_path):
        assert threads.requested_threads(["train", "--threads", "3"]) == 3
        assert threads.requested_threads(["--threads=2", "--threads=5"]) == 5
        assert threads.requested_threads(["train"]) is None
        for wrong in ("0", "-1", "x", "1.5"):
            assert threads.requested_threads(["--threads", wrong]) is None
        assert threads.requested_threads(["--threads"]) is None

    def test_a_resumed_run_takes_the_threads_of_the_run(self, char_run, tmp_path):
        assert threads.requested_threads(["train", "--resume", str(char_run)]) == 1
        assert threads.requested_threads(["--resume", str(char_run), "--threads", "2"]) == 2
        assert threads.requested_threads(["--resume", str(tmp_path)]) is None
        (tmp_path / "config.json").write_text("[]")
        assert threads.requested_threads(["--resume", str(tmp_path)]) is None

    def test_they_take_effect(self):
        """Seen where it matters: in the environment in which BLAS was loaded."""
        code = (
            "import os, sys; from rnn_xp.cli import main; main(['train', '--threads', '3',"
            " '--lr', '-1']); print('numpy' in sys.modules, os.environ['OPENBLAS_NUM_THREADS'])"
        )
        done = subprocess.run(
            [sys.executable, "-c", code], env=environment(), capture_output=True, text=True
        )
        assert done.stdout == "True 3\n"

    def test_too_late_is_said(self, capsys, monkeypatch):
        for name in threads.VARIABLES:
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setitem(sys.modules, "threadpoolctl", None)
        threads.use_threads(2)
        assert "--threads 2 has no effect" in capsys.readouterr().err

    def test_a_library_that_can_change_them_later_is_used(self, monkeypatch):
        class Fake:
            limits = None

            def threadpool_limits(self, limits):
                Fake.limits = limits

        monkeypatch.setitem(sys.modules, "threadpoolctl", Fake())
        monkeypatch.setenv("OMP_NUM_THREADS", "1")
        threads.use_threads(2)
        assert Fake.limits == 2

    @pytest.mark.parametrize("wrong", ["0", "-2", "two"])
    def test_a_bad_number_is_bad_usage(self, cli, wrong):
        result = cli("train", "--threads", wrong)
        assert result.code == 2
        assert "--threads" in result.error


def test_warnings_are_one_line(capsys):
    import warnings

    def command():
        warnings.warn("take\ncare", UserWarning, stacklevel=1)
        return 0

    with warnings.catch_warnings():
        warnings.simplefilter("always")
        assert errors.guarded(command, False) == 0
    assert capsys.readouterr().err == "rnn-xp: warning: take care\n"


def test_json_of_info_is_one_object(cli):
    assert json.loads(cli("info", "--json").out)["rnn_xp"] == rnn_xp.__version__
