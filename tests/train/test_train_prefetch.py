"""Batches that are copied ahead change nothing but when they are copied."""

import sys

import numpy as np
import pytest
from runs import StopAt, assert_same_run
from standin import transfers

from rnn_xp.backend import to_host
from rnn_xp.data import ContiguousStreams
from rnn_xp.errors import DataError, ShapeError
from rnn_xp.models import Rnnlm
from rnn_xp.train import loop, make_settings, train
from rnn_xp.train.nonfinite import NonFiniteWatch
from rnn_xp.train.prefetch import Prefetch
from rnn_xp.train.stepper import Stepper

V, N, T = 11, 4, 5


def streams(rng, size=V):
    return ContiguousStreams(rng.integers(0, size, 200), N, T)


def model_on(be, **settings):
    return Rnnlm(V, 8, 8, backend=be, dtype="float64", **settings)


def gradient(model, xs, ts):
    model.reset_state()
    loss = model.forward(xs, ts)
    model.backward()
    return [to_host(loss), to_host(model.flat_grads).copy()]


def check_gradients(be, batches, tied):
    model = model_on(be, tied=tied)
    prefetch = Prefetch(model, batches.batch, 2)
    for number in range(3):
        prefetch.prepare(number)
        ts, parts = prefetch.take(number)
        x, t = batches.batch(number)
        assert np.array_equal(ts, t)
        for (xs, chosen), rows in zip(parts, (slice(0, 2), slice(2, 4)), strict=True):
            for ours, plain in zip(
                gradient(model, xs, chosen), gradient(model, x[rows], t[rows]), strict=True
            ):
                assert np.array_equal(ours, plain)


@pytest.mark.parametrize("tied", [False, True])
def test_the_gradient_is_that_of_the_batch(be, rng, tied):
    check_gradients(be, streams(rng), tied)


@pytest.mark.parametrize("tied", [False, True])
def test_the_gradient_is_that_of_the_batch_on_cuda(cuda_be, rng, tied):
    check_gradients(cuda_be, streams(rng), tied)


def test_a_run_that_went_back_gets_its_batch(be, rng):
    batches = streams(rng)
    prefetch = Prefetch(model_on(be), batches.batch, 1)
    prefetch.prepare(1)
    ts, _ = prefetch.take(0)
    assert np.array_equal(ts, batches.batch(0)[1])


def test_on_numpy_nothing_is_made_ahead(rng):
    made = []

    def batch(number):
        made.append(number)
        return rng.integers(0, V, (2, N, T))

    prefetch = Prefetch(model_on("numpy"), batch, 1)
    prefetch.prepare(0)
    assert made == []
    ts, ((x, t),) = prefetch.take(0)
    assert made == [0]
    assert isinstance(x, np.ndarray)
    assert np.shares_memory(t, ts)


def test_ids_are_checked_before_they_are_copied(torch_backend, rng):
    with pytest.raises(DataError, match="expected 0 to 10"):
        Prefetch(model_on(torch_backend), streams(rng, 99).batch, 1).prepare(0)


def test_targets_of_another_shape(torch_backend, rng):
    model, batches = model_on(torch_backend), streams(rng)
    x, t = batches.batch(0)
    _, ((ids, targets), _) = Prefetch(model, batches.batch, 2).take(0)
    with pytest.raises(ShapeError, match=r"ts has shape \(4, 5\), expected \(N, T\) = \(2, 5\)"):
        model.forward(ids, t)
    model.reset_state()
    with pytest.raises(ShapeError, match=r"ts has shape \(2, 5\), expected \(N, T\) = \(4, 5\)"):
        model.forward(x, targets)


def test_a_step_on_cuda_uploads_once_and_waits_for_nothing(cuda_standin, rng, monkeypatch):
    cupy, uploads = sys.modules["cupy"], []
    asarray = cupy.asarray

    def counted(given):
        uploads.append(given)
        return asarray(given)

    monkeypatch.setattr(cupy, "asarray", counted)
    settings = make_settings(data="x", clip=1.0, optimizer="adamw")
    model = model_on(cuda_standin)
    stepper = Stepper(model, loop.make_optimizer(settings), settings)
    prefetch = Prefetch(model, streams(rng).batch, 1)
    for number in range(3):
        ts, parts = prefetch.take(number)
        uploads.clear()
        with transfers.refused():
            stepper.step(number + 1, number, ts, parts)
            assert uploads == []
            prefetch.prepare(number + 1)
        assert len(uploads) == 1


@pytest.mark.parametrize("accumulate", [1, 2])
def test_a_run_is_the_same_without(small, tmp_path, torch_backend, monkeypatch, accumulate):
    settings = small(backend="torch", dropout=0.3, accumulate=accumulate, save_every=1e-6)
    train(settings, tmp_path / "with")
    train(settings, tmp_path / "resumed", reporter=StopAt(step=13))
    train(None, tmp_path / "resumed", resume=True)
    monkeypatch.setattr(Prefetch, "prepare", lambda *_: None)
    train(settings, tmp_path / "without")
    assert_same_run(tmp_path / "with", tmp_path / "without")
    assert_same_run(tmp_path / "resumed", tmp_path / "without")


def test_the_next_batch_is_made_before_anything_is_fetched(small, tmp_path, monkeypatch):
    seen = []
    for owner, name in ((Stepper, "step"), (Prefetch, "prepare"), (NonFiniteWatch, "fetch")):
        original = getattr(owner, name)

        def watched(*args, _name=name, _original=original):
            seen.append(_name)
            return _original(*args)

        monkeypatch.setattr(owner, name, watched)
    train(small(steps=3, log_every=1, validate_every=None), tmp_path / "run")
    first = seen.index("step")
    assert seen[first : first + 6] == ["step", "prepare", "fetch"] * 2
    # The last step of all has no next one.
    assert seen.count("prepare") == 2
    assert "prepare" not in seen[len(seen) - seen[::-1].index("step") :]
