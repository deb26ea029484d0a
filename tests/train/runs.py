"""Compare two runs bit for bit, and stop one at a chosen moment."""

import os
import random
import signal

import numpy as np

from rnn_xp.checkpoint import load_arrays
from rnn_xp.train import Reporter, RunFolder

WORDS = ("the", "cat", "dog", "sat", "ran", "on", "under", "a", "mat", "hill", "and", "saw")
TIMING = ("seconds", "tokens_per_second")


def words_text(lines, seed=0):
    draw = random.Random(seed)
    return "".join(" ".join(draw.choices(WORDS, k=8)) + "\n" for _ in range(lines))


class StopAt(Reporter):
    """Sends a signal after a step, or in the middle of a validation."""

    def __init__(self, step=None, validation=None, number=signal.SIGINT):
        self.step, self.validation, self.number = step, validation, number
        self.validations = 0

    def stepped(self, step):
        if step == self.step:
            os.kill(os.getpid(), self.number)

    def validating(self, done, total):
        self.validations += 1
        if self.validations == self.validation:
            os.kill(os.getpid(), self.number)


class Notes(Reporter):
    """Remembers what was said."""

    def __init__(self):
        self.lines, self.rows, self.ended = [], [], 0

    def note(self, message):
        self.lines.append(message)

    def logged(self, row):
        self.rows.append(row)

    def finished(self):
        self.ended += 1


def without_timing(rows):
    return [{k: v for k, v in row.items() if k not in TIMING} for row in rows]


def assert_same_run(a, b):
    """Both folders hold the same weights, training state and metrics, bit for bit.

    But for the time they took and the name that each run gave itself.
    """
    for name in ("last.safetensors", "model.safetensors"):
        (x, dx), (y, dy) = (load_arrays(p / name) for p in (a, b))
        assert x.keys() == y.keys()
        for key in x:
            assert x[key].dtype == y[key].dtype
            np.testing.assert_array_equal(x[key], y[key], err_msg=f"{name}: {key}")
        for folder, document in ((a, dx), (b, dy)):
            assert document.pop("run_id") == RunFolder.open(folder).config.run_id
            for key in ("seconds", "metrics_bytes"):
                document.get("progress", {}).pop(key, None)
        assert dx == dy
    rows = [without_timing(RunFolder.open(p).metrics()) for p in (a, b)]
    assert rows[0] == rows[1]
