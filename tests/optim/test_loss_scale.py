"""The loss scale by itself, on every backend, and in single steps on NumPy."""

import math

import numpy as np
import pytest

from rnn_xp import Rnnlm
from rnn_xp.backend import get_backend, to_host
from rnn_xp.optim import LossScale, clip_coefficient, get_optimizer
from rnn_xp.optim.loss_scale import LEAST, MOST
from rnn_xp.train.settings import TrainSettings
from rnn_xp.train.stepper import Stepper

V, N, T = 11, 4, 5
TRAINING = {
    "no clip": {"clip": None},
    "clip": {"clip": 0.05},
    "clip values": {"clip": 0.5, "clip_values": 0.01},
    "clip values only": {"clip": None, "clip_values": 0.01},
    "parts": {"clip": 0.05, "accumulate": 2},
    "sum": {"clip": 0.5, "sum_over_time": True},
}


def after(backend, oks, **settings):
    """States after each of some steps, which `clip_coefficient` judges."""
    like = backend.zeros((3,), "float32")
    scaling = LossScale(like, **settings)
    states = []
    for good in oks:
        _, ok = clip_coefficient(backend.asarray(1.0 if good else np.inf, "float32"), None)
        scaling.update(ok)
        assert [array.shape for array in scaling.state] == [(), ()]
        assert {array.dtype for array in scaling.state} == {like.dtype}
        states.append(tuple(scaling.state_dict().values()))
    return states


def test_a_step_that_overflows_halves(backend):
    assert after(backend, [1, 1, 0, 1, 0, 0]) == [
        (65536, 1),
        (65536, 2),
        (32768, 0),
        (32768, 1),
        (16384, 0),
        (8192, 0),
    ]


def test_good_steps_in_a_row_double(backend):
    oks = [1, 1, 0, 1, 1, 1, 1, 1, 1, 1]
    scales, counts = zip(*after(backend, oks, first=8.0, interval=3), strict=True)
    assert scales == (8, 8, 4, 4, 4, 8, 8, 8, 16, 16)
    assert counts == (1, 2, 0, 1, 2, 0, 1, 2, 0, 1)


def test_it_is_that_of_pytorch(torch, rng):
    oks = rng.random(60) < 0.8
    scaler = torch.amp.GradScaler("cpu", init_scale=256.0, growth_interval=3)
    weight = torch.nn.Parameter(torch.ones(1))
    sgd, scales = torch.optim.SGD([weight], lr=0.1), []
    for ok in oks:
        sgd.zero_grad()
        scaler.scale(weight.sum() * (1.0 if ok else math.inf)).backward()
        scaler.step(sgd)
        scaler.update()
        scales.append(scaler.get_scale())
    states = after(get_backend("numpy"), oks, first=256.0, interval=3)
    assert [scale for scale, _ in states] == scales
    assert LEAST < min(scales) < 256 < max(scales) < MOST


def test_it_begins_as_that_of_pytorch(torch):
    theirs, ours = torch.amp.GradScaler("cpu"), LossScale(np.zeros(1, "float32"))
    assert (theirs.get_growth_factor(), theirs.get_backoff_factor()) == (2.0, 0.5)
    assert ours.state_dict() == {"scale": theirs.get_scale(), "good_steps": 0.0}
    assert ours.interval == theirs.get_growth_interval()


def test_it_takes_2000_by_default(backend):
    scaling = LossScale(backend.zeros((3,), "float32"))
    scaling.load_state_dict({"scale": 4.0, "good_steps": 1998.0})
    _, ok = clip_coefficient(backend.asarray(1.0, "float32"), None)
    scaling.update(ok)
    assert scaling.state_dict() == {"scale": 4.0, "good_steps": 1999.0}
    scaling.update(ok)
    assert scaling.state_dict() == {"scale": 8.0, "good_steps": 0.0}


def test_it_stays_within_bounds(backend):
    assert after(backend, [0, 0], first=LEAST) == [(LEAST, 0)] * 2
    assert after(backend, [1, 1], first=MOST, interval=1) == [(MOST, 0)] * 2


@pytest.mark.parametrize("first", [0.5, 3.0, 2.0**25, np.inf, np.nan])
def test_scales_are_powers_of_two(first):
    with pytest.raises(ValueError, match=f"a scale of {first} .* expected a power of two"):
        LossScale(np.zeros(1, "float32"), first=first)


def test_wrong_counts_are_refused():
    with pytest.raises(ValueError, match="interval is 0, expected at least 1"):
        LossScale(np.zeros(1, "float32"), interval=0)
    with pytest.raises(ValueError, match=r"after -1.0 good steps"):
        LossScale(np.zeros(1, "float32")).load_state_dict({"scale": 1.0, "good_steps": -1})


def stepper(precision="float16", optimizer="adamw", **settings):
    """On NumPy float16 changes nothing but that the loss is scaled."""
    model = Rnnlm(V, 6, 6, layers=2, dropout=0.2, seed=5, init="glorot", backend="numpy")
    chosen = TrainSettings(batch=N, precision=precision, **settings)
    return Stepper(model, get_optimizer(optimizer, lr=0.01), chosen)


def step(made, number):
    ids = np.random.default_rng(number).integers(0, V, (N, T + 1))
    xs, ts = ids[:, :-1], ids[:, 1:]
    parts = len(made.states)
    pairs = zip(np.split(xs, parts), np.split(ts, parts), strict=True)
    return made.step(number + 1, number, ts, list(pairs))


def everything(made):
    state = made.optimizer.state_dict()
    return {"params": made.model.flat_params, **state}


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
@pytest.mark.parametrize("training", TRAINING)
def test_scaled_steps_are_the_unscaled_ones_to_the_bit(training, optimizer):
    plain = stepper("float32", optimizer, **TRAINING[training])
    scaled = stepper("float16", optimizer, **TRAINING[training])
    for number in range(4):
        a, b = step(plain, number), step(scaled, number)
        assert (a.loss, a.norm) == (b.loss, b.norm)
        assert (a.scaling, b.scaling[0]) == (None, 65536)
    clamped = "clip_values" in TRAINING[training]  # in place, so without the scale
    assert np.array_equal(plain.model.flat_grads, scaled.model.flat_grads) == clamped
    theirs = everything(scaled)
    for name, array in everything(plain).items():
        np.testing.assert_array_equal(array, theirs[name], err_msg=name)


@pytest.mark.parametrize("training", TRAINING)
def test_a_step_that_overflows_changes_nothing_else(training):
    """Where the batch goes through in parts, one that overflows is enough."""
    made = stepper(**TRAINING[training])
    step(made, 0)
    before = {name: np.array(array) for name, array in everything(made).items()}
    assert len(before) > 2
    real, calls = made.model.backward, []

    def overflows(dout):
        real(dout)
        if not calls:
            made.model.named_gradients["layers.0.Wh"][0, 0] = np.inf
        calls.append(dout)

    made.model.backward = overflows
    with np.errstate(all="ignore"):
        record = step(made, 1)
    made.model.backward = real
    assert len(calls) == len(made.states)
    assert np.isfinite(record.loss)
    assert not np.isfinite(record.norm)
    for name, array in everything(made).items():
        np.testing.assert_array_equal(array, before[name], err_msg=name)
    assert made.loss_scale.state_dict() == {"scale": 32768.0, "good_steps": 0.0}
    step(made, 2)
    assert made.loss_scale.state_dict() == {"scale": 32768.0, "good_steps": 1.0}
    assert not np.array_equal(made.model.flat_params, before["params"])
    made.go_back(record)
    assert made.loss_scale.state_dict() == {"scale": 65536.0, "good_steps": 1.0}


@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
def test_gradients_too_small_for_float16_survive(cuda_be, cell):
    """Of the gradient of a loss that counts for little, next to nothing would be left."""
    model = Rnnlm(V, 6, 6, cell=cell, seed=5, init="glorot", backend=cuda_be)
    ids = np.random.default_rng(0).integers(0, V, (N, T + 1))

    def gradients(dout, scale):
        model.reset_state()
        model.forward(ids[:, :-1], ids[:, 1:])
        model.backward(dout)
        return {name: to_host(g) / scale for name, g in model.named_gradients.items()}

    exact = gradients(1e-7, 1)
    model.set_precision("float16")
    lost = gradients(1e-7, 1)
    scaling = LossScale(model.flat_params)
    kept = gradients(scaling.scale * 1e-7, 65536)
    for name, expected in exact.items():
        assert np.any(expected)
        assert np.abs(kept[name] - expected).max() < 0.02 * np.abs(expected).max()
        # Gradients of biases are sums in float32, the output layer's own are rounded unscaled.
        assert np.any(lost[name]) == (name.startswith("output.") or name.endswith(".b"))
