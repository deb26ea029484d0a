"""Giving up on bad gradients takes back all that they left: counters, rows, validations."""

import numpy as np
import pytest
from runs import StopAt, assert_same_run

from rnn_xp.checkpoint import load_arrays
from rnn_xp.errors import NonFiniteError
from rnn_xp.train import RunFolder, train
from rnn_xp.train.loop import Trainer
from rnn_xp.train.nonfinite import MOST_SKIPPED


@pytest.fixture
def overflowing(monkeypatch):
    """Function that lets the gradient overflow in the steps of a range, and takes it back."""
    real = Trainer._step

    def install(steps):
        def step(self):
            backward = self.model.backward
            if self.progress.step + 1 in steps:

                def broken(dout=1):
                    backward(dout)
                    self.model.named_gradients["output.b"][0] = np.inf

                self.model.backward = broken
            try:
                real(self)
            finally:
                self.model.__dict__.pop("backward", None)

        monkeypatch.setattr(Trainer, "_step", step if steps else real)

    return install


CONFIGS = {
    "logged in the middle": {"log_every": 7, "validate_every": 100},
    "validated in the middle": {"log_every": 3, "validate_every": 4},
    "at the first step": {"log_every": 3, "validate_every": 4},
    "saved all the time": {"log_every": 3, "validate_every": 4, "save_every": 1e-9},
    "no validation": {"log_every": 4, "validate_every": 5, "valid": "none"},
    "epoch ends in the middle": {"log_every": 5, "bptt": 80, "validate_every": 9},
    "divisions": {"log_every": 6, "schedule": "divide-on-worse", "validate_every": 5, "lr": 3.0},
}


@pytest.mark.parametrize("name", CONFIGS)
def test_a_streak_leaves_nothing(name, small, tmp_path, overflowing):
    """The resumed run, with the cause gone, is the one in which nothing went wrong."""
    whole, out = tmp_path / "whole", tmp_path / "run"
    settings = small(steps=60, dropout=0.2, **{"optimizer": "sgd", **CONFIGS[name]})
    train(settings, whole)
    first = 1 if name == "at the first step" else 13
    overflowing(range(first, first + MOST_SKIPPED + 10))
    with pytest.raises(NonFiniteError, match=f"step {first}: .*saved as of step {first - 1}"):
        train(settings, out)
    overflowing([])
    _, document = load_arrays(out / "last.safetensors")
    progress = document["progress"]
    assert (progress["step"], progress["skipped"]) == (first - 1, 0)
    assert progress["validated"] < first
    assert all(row["step"] < first for row in RunFolder.open(out).metrics())
    assert train(None, out, resume=True).stopped == "done"
    assert_same_run(whole, out)


def test_the_best_weights_of_before_come_back(small, tmp_path, overflowing):
    """A validation inside of the streak was the best; its weights went with it."""
    settings = small(log_every=3, validate_every=5)
    train(settings, tmp_path / "stopped", reporter=StopAt(12))
    overflowing(range(13, 60))
    with pytest.raises(NonFiniteError):
        train(settings.replace(steps=60), tmp_path / "run")
    a, b = (load_arrays(tmp_path / run / "model.safetensors") for run in ("stopped", "run"))
    assert a[1]["run"]["step"] == b[1]["run"]["step"] == 10


def test_an_earlier_streak_that_ended_is_not_undone(small, tmp_path, overflowing):
    overflowing([*range(5, 15), *range(18, 60)])
    with pytest.raises(NonFiniteError, match=r"step 18: .*saved as of step 17"):
        train(small(steps=60, log_every=4), tmp_path / "run")
    _, document = load_arrays(tmp_path / "run" / "last.safetensors")
    assert (document["progress"]["step"], document["progress"]["skipped"]) == (17, 10)
