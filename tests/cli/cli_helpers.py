"""A tiny text, tiny runs, and the command line in a process of its own."""

import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from rnn_xp.cli import main

ROOT = Path(__file__).resolve().parents[2]
TEXT = "".join(
    f"the {k % 7} cats sat on mat {k % 5},\nand so did {k % 3} dogs.\n" for k in range(120)
)
SMALL = ["--hidden", "8", "--embed", "4", "--batch", "4", "--bptt", "16", "--threads", "1"]


@dataclass(frozen=True)
class Outcome:
    """What a command gave back."""

    code: int
    out: str
    err: str

    @property
    def error(self):
        """The only line on stderr, which must be an error."""
        (line,) = self.err.splitlines()
        assert line.startswith("rnn-xp: error: ")
        return line.removeprefix("rnn-xp: error: ")


def environment(**more):
    """For a process of its own; one thread, so that two tests at a time do not fight."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("RNN_")}
    return {**kept, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "MPLBACKEND": "agg", **more}


def start(*words, env=None, **settings):
    """Start ``python -m rnn_xp`` in a process of its own.

    A test run that a shell put into the background has SIGINT ignored, and its children would
    ignore it too; a handler here means the default action there.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    return subprocess.Popen(
        [sys.executable, "-m", "rnn_xp", *map(str, words)],
        env=environment(**(env or {})),
        text=True,
        encoding="utf-8",
        **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **settings},
    )


def process(*words, **settings):
    """Run ``python -m rnn_xp`` to its end."""
    with start(*words, **settings) as running:
        out, err = running.communicate(timeout=60)
    return Outcome(running.returncode, out or "", err or "")


def train(path, text_file, *more):
    """Train a tiny model in this process, without its output."""
    words = ["train", "--data", text_file, "--out", path, *SMALL, "--steps", "6", *more]
    assert main([str(word) for word in words]) == 0
    return path
