"""A NaN or an infinity: skipped, named, and nothing lost."""

import numpy as np
import pytest
from runs import Notes, StopAt, assert_same_run

from rnn_xp import Rnnlm
from rnn_xp.errors import NonFiniteError
from rnn_xp.train import Reporter, RunFolder, diagnose, train
from rnn_xp.train.loop import Trainer


def poison(model, name, value=np.nan):
    model.named_parameters[name][0, ...] = value


@pytest.mark.parametrize(
    ("name", "expected"),
    [("layers.1.Wh", "the parameter layers.1.Wh"), ("output.b", "the parameter output.b")],
)
def test_a_parameter_is_named(name, expected):
    model = Rnnlm(5, 3, 4, layers=2, dropout=0.2, backend="numpy")
    model.named_parameters[name][...] = np.nan
    xs = np.zeros((2, 3), dtype=int)
    assert diagnose(model, xs, xs, [None, None], [0, 0, 0]) == expected


def test_a_state_is_named():
    model = Rnnlm(5, 3, 4, layers=2, backend="numpy")
    xs = np.zeros((2, 3), dtype=int)
    bad = (np.full((2, 4), np.inf, dtype=np.float32), np.zeros((2, 4), dtype=np.float32))
    found = diagnose(model, xs, xs, [None, bad], [])
    assert found == "the state that layers.1 (TimeLSTM) starts from"


def test_an_activation_and_a_gradient_are_named():
    with np.errstate(all="ignore"):
        model = Rnnlm(5, 3, 4, cell="rnn", backend="numpy")
        model.named_parameters["output.W"][...] = 3e38
        model.named_parameters["layers.0.b"][...] = 3.0
        xs = np.array([[1, 2, 3]])
        found = diagnose(model, xs, xs, [None], [])
        assert found == "the loss in output (TimeAffineSoftmaxWithLoss)"
        # Scores stay finite, but the way back multiplies by huge recurrent weights.
        model = Rnnlm(5, 3, 4, cell="rnn", init="glorot", backend="numpy")
        model.named_parameters["layers.0.b"][...] = 0.0
        model.named_parameters["layers.0.Wx"][...] = 0.0
        model.named_parameters["layers.0.Wh"][...] = 1e20
        xs = np.array([[1, 2, 3, 4, 0, 1, 2, 3]])
        found = diagnose(model, xs, (xs + 1) % 5, [None], [])
        assert "gradient" in found
        assert "layers.0 (TimeRNN)" in found


def test_diagnose_restores_state_and_counters():
    model = Rnnlm(5, 3, 4, dropout=0.3, backend="numpy")
    xs = np.zeros((2, 3), dtype=int)
    model.forward(xs, xs)
    state, counters = model.state, model.dropout_counters
    found = diagnose(model, xs, xs, [None], [7, 7])
    assert found.startswith("the norm of all gradients")
    assert model.dropout_counters == counters
    assert all(np.array_equal(a, b) for a, b in zip(model.state[0], state[0], strict=True))


class Poisons(Notes):
    """Changes the run before a step: only tests can reach into it."""

    def __init__(self, at, action):
        super().__init__()
        self.at, self.action = at, action


@pytest.fixture
def poisoned(monkeypatch):
    """Let ``action(trainer)`` happen before step number `at`."""

    def install(at, action):
        real = Trainer._step

        def step(self):
            if self.progress.step + 1 == at:
                action(self)
            real(self)

        monkeypatch.setattr(Trainer, "_step", step)

    return install


def nan_state(trainer):
    states = trainer.stepper.states[0]
    states[0] = tuple(part * np.float32(np.nan) for part in states[0])


@pytest.mark.parametrize("accumulate", [1, 2])
def test_a_loss_that_is_not_finite_ends_the_run_before_the_step(
    accumulate, small, tmp_path, poisoned, monkeypatch
):
    whole, out = tmp_path / "whole", tmp_path / "run"
    settings = small(log_every=10, dropout=0.2, accumulate=accumulate)
    train(settings, whole)
    with monkeypatch.context():
        poisoned(13, nan_state)
        with pytest.raises(NonFiniteError) as caught:
            train(settings, out)
    message = str(caught.value)
    assert message.startswith("step 13: the loss or the gradient is not finite; first: the state")
    assert "layers.0 (TimeLSTM)" in message
    assert f"saved as of step 12: rnn-xp train --resume {out} --lr" in message
    folder = RunFolder.open(out)
    assert np.all(np.isfinite(folder.load_model("numpy", which="last").flat_params))
    assert all(row["step"] <= 12 for row in folder.metrics())


def test_what_was_saved_goes_on_as_if_nothing_had_happened(small, tmp_path, poisoned, monkeypatch):
    # The state is poisoned from outside here, and saved as it was before the step: reset it.
    out = tmp_path / "run"
    real = Trainer._step
    poisoned(13, lambda trainer: poison(trainer.model, "layers.0.Wh", np.inf))
    with pytest.raises(NonFiniteError, match="the last checkpoint is from before"):
        train(small(), out)
    monkeypatch.setattr(Trainer, "_step", real)
    assert train(None, out, resume=True, reporter=StopAt(12)).step == 12
    train(None, out, resume=True)
    train(small(), tmp_path / "whole")
    assert_same_run(tmp_path / "whole", out)


def test_a_gradient_that_overflows_once_is_skipped_and_reported(small, tmp_path, monkeypatch):
    calls = []
    real = Trainer._step

    def step(self):
        backward = self.model.backward
        number = self.progress.step + 1
        if number == 9:

            def broken(dout=1):
                backward(dout)
                self.model.named_gradients["layers.0.Wx"][0, 0] = np.inf
                calls.append(self.model.flat_params.copy())

            self.model.backward = broken
        try:
            real(self)
        finally:
            self.model.__dict__.pop("backward", None)
        if number == 9:
            calls.append(self.model.flat_params.copy())

    monkeypatch.setattr(Trainer, "_step", step)
    notes = Notes()
    result = train(small(), tmp_path / "run", reporter=notes)
    assert result.skipped == 1
    assert result.stopped == "done"
    np.testing.assert_array_equal(*calls)
    (line,) = [line for line in notes.lines if "warning" in line]
    assert line.startswith("warning: step 9: the gradient was not finite, the update was skipped")
    rows = RunFolder.open(tmp_path / "run").metrics()
    assert [row["skipped"] for row in rows if "skipped" in row] == [0, 0, 1, 1, 1, 1]


def test_gradients_that_overflow_again_and_again_end_the_run(small, tmp_path, monkeypatch):
    real = Rnnlm.backward

    def broken(self, dout=1):
        real(self, dout)
        self.named_gradients["output.b"][0] = np.inf

    monkeypatch.setattr(Rnnlm, "backward", broken)
    with pytest.raises(NonFiniteError, match=r"step 1: .*saved as of step 0"):
        train(small(), tmp_path / "run")


def test_a_lower_rate_goes_on(small, tmp_path):
    settings = small(optimizer="sgd", lr=1e38, clip=1e30, schedule="constant", log_every=5)
    with pytest.raises(NonFiniteError):
        train(settings, tmp_path / "run")
    result = train(None, tmp_path / "run", resume=True, changes={"lr": 0.5, "clip": 1.0})
    assert result.stopped == "done"


def test_numpy_does_not_warn(small, tmp_path, recwarn):
    with pytest.raises(NonFiniteError):
        train(small(optimizer="sgd", lr=1e38, clip=1e30), tmp_path / "run", reporter=Reporter())
    assert not recwarn.list


def test_a_log_costs_one_copy_from_the_device(small, tmp_path, monkeypatch):
    from rnn_xp.train import nonfinite

    copies = []
    real = nonfinite.to_host
    monkeypatch.setattr(nonfinite, "to_host", lambda array: (copies.append(array), real(array))[1])
    train(small(steps=21, valid="none", validate_every=21), tmp_path / "run")
    assert [len(array) for array in copies] == [2 * 1, 2 * 6, 2 * 7, 2 * 7]
