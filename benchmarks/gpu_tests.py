"""The tests on CuPy, in a process group of their own with a time limit."""

import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from importlib.util import find_spec
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
# The kernels first: what else fails, fails because of them.
FIRST = ("tests/kernels", "tests/optim", "tests/test_cupy_probe.py", "tests/test_rng.py")
# The grid last: it has more tests than all others.
REST = (
    "tests/layers",
    "tests/models",
    "tests/train",
    "tests/cells",
    *(f"tests/test_{name}.py" for name in ("backend", "backend_arrays", "generate", "host")),
    *(f"tests/test_{name}.py" for name in ("gradient_check", "seeds", "testing")),
    "tests/cli",
    "tests/interop",
    "tests/compat",
    "tests/proof",
)
REHEARSED = ("tests/test_cupy_probe.py",)
# What names CuPy, and what compares the stand-in's cuBLAS with the real one.
CHOSEN = "cupy or standin_names"
WORKERS = 8
MESSAGES = 60  # failures whose message is kept

_OUTCOME = "PASSED|FAILED|ERROR|SKIPPED|XFAIL|XPASS"
# pytest -v writes "tests/x.py::test OUTCOME"; pytest-xdist "[gw0] [ 5%] OUTCOME tests/x.py::test".
_ALONE = re.compile(rf"^(tests/\S+::.+?) ({_OUTCOME})(?: .*)?$")
_SHARED = re.compile(rf"^\[gw\d+\] \[ *\d+%\] ({_OUTCOME}) (tests/.+?) *$")
_SUMMARY = re.compile(r"^(?:FAILED|ERROR) (tests/.+?) - (.*)$")


def run_tests(
    paths: tuple[str, ...], limit: float, log: Path, required: bool = True
) -> dict[str, Any]:
    """Run the tests that are `CHOSEN`, and say how each ended.

    Parameters
    ----------
    paths : tuple of str
        From the root of the project.
    limit : float
        Seconds; what has not run by then is not counted.
    log : path
        Takes the output.
    required : bool
        Whether a CuPy that cannot be used is a failure (``RNN_XP_TEST_REQUIRE=cupy``).
    """
    command = [sys.executable, "-m", "pytest", *paths, "-k", CHOSEN, "-v", "-rfE", "--tb=short"]
    command += ["-p", "no:cacheprovider", "--color=no", "--continue-on-collection-errors"]
    if required and find_spec("xdist"):
        command += ["-n", str(min(WORKERS, os.cpu_count() or 1))]
    environment = dict(os.environ, COLUMNS="500")
    if required:
        environment["RNN_XP_TEST_REQUIRE"] = "cupy"
    start = time.monotonic()
    with log.open("w") as file:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=environment,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            code: int | None = process.wait(limit)
        except subprocess.TimeoutExpired:
            code = None
            _end(process)
    text = log.read_text("utf-8", "replace")
    return {
        "command": " ".join(command[1:]),
        "seconds": round(time.monotonic() - start, 1),
        "finished": code is not None,
        "exit_code": code,
        **outcomes(text),
        "last_lines": text.splitlines()[-5:],
    }


def outcomes(text: str) -> dict[str, Any]:
    """Counts by outcome, and the names of the failing tests with the messages there are."""
    ended: dict[str, str] = {}
    for line in text.splitlines():
        if found := _SHARED.match(line):
            ended[found[2]] = found[1]
        elif found := _ALONE.match(line):
            ended[found[1]] = found[2]
    failing = sorted(name for name, outcome in ended.items() if outcome in ("FAILED", "ERROR"))
    messages = dict(m.groups() for m in map(_SUMMARY.match, text.splitlines()) if m)
    counts = Counter(outcome.lower() for outcome in ended.values())
    kept = {name: messages[name][:300] for name in failing if name in messages}
    return {
        "counts": dict(sorted(counts.items())),
        "failing": failing,
        "messages": dict(list(kept.items())[:MESSAGES]),
    }


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a process and all that it started."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
            process.wait(5)
        except ProcessLookupError:
            return
        except subprocess.TimeoutExpired:
            continue
        # The group may outlive its first process: the second turn ends what is left.
