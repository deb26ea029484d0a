"""Language models: the gradient of the whole model, and its flat buffers."""

import numpy as np
import pytest
from lm_helpers import KINDS, V, batch, make

from rnn_xp.backend import to_host
from rnn_xp.kernels.cpu import embedding as cpu_embedding
from rnn_xp.optim import SGD


@pytest.mark.parametrize("kind", KINDS)
def test_gradient_of_the_whole_model(be, kind):
    model = make(be, **KINDS[kind])
    first, (xs, ts) = batch(1), batch(2)
    ts = ts.copy()
    ts[0, 1] = -1
    model.forward(*first)  # so that the state is not zero
    if model.config.trainable_state:
        model.reset_state()  # so that the learned state is what it starts from
    state, counters = model.state, model.dropout_counters

    def loss():
        model.state, model.dropout_counters = state, counters
        return float(to_host(model.forward(xs, ts)))

    loss()
    model.backward()
    analytic = to_host(model.flat_grads).copy()
    values = to_host(model.flat_params).copy()
    numeric = np.zeros_like(values)
    eps = 1e-5
    for start, stop in model._flat.spans.values():
        for k in range(start, stop):
            for sign in (1, -1):
                shifted = values.copy()
                shifted[k] += sign * eps
                model.flat_params[...] = model.backend.asarray(shifted)
                numeric[k] += sign * loss() / (2 * eps)
    np.testing.assert_allclose(analytic, numeric, rtol=0, atol=1e-8 * np.abs(numeric).max() + 1e-10)


def test_the_same_on_every_backend(be):
    ours, other = make("numpy", dropout=0.3), make(be, dropout=0.3)
    for seed in range(3):
        losses = []
        for model in (ours, other):
            losses.append(float(to_host(model.forward(*batch(seed)))))
            model.backward()
        assert losses[0] == pytest.approx(losses[1], rel=1e-12)
        np.testing.assert_allclose(to_host(other.flat_grads), ours.flat_grads, atol=1e-14)


def test_parameters_are_views_of_one_buffer(be):
    model = make(be, tied=True)
    for name, view in model.named_parameters.items():
        start, _ = model._flat.spans[name]
        assert start * 8 % 256 == 0
        view[...] = model.backend.xp.zeros_like(view) + 5.0
        assert to_host(model.flat_params)[start] == 5.0
    embedding, output = model.layers[0], model.layers[-1]
    assert embedding.params[0] is output.params[0]
    assert "output.W" not in model.named_parameters
    assert model.parameter_count == V * 4 + 4 * 16 + 4 * 16 + 16 + V


@pytest.mark.parametrize("tied", [False, True])
def test_gradients_may_be_changed_between_steps(be, tied, monkeypatch):
    """As an all-reduce or a hand-written weight decay does."""
    monkeypatch.setattr(cpu_embedding, "ONE_HOT_WORK", 0)  # the path of a big embedding
    model = make(be, tied=tied)
    state = model.state
    for _ in range(2):
        model.state = state
        model.forward(*batch())
        model.backward()
        gradients = to_host(model.flat_grads).copy()
        for p, g in zip(model.params, model.grads, strict=True):
            g[...] = g + 0.01 * p
    fresh = make(be, tied=tied)
    fresh.forward(*batch())
    fresh.backward()
    np.testing.assert_array_equal(gradients, to_host(fresh.flat_grads))


@pytest.mark.parametrize("loop", ["segments", "params"])
def test_frozen_parameters_do_not_move(be, loop):
    model = make(be)
    model.freeze("embedding.W", "layers.0.Wh")
    before = {n: to_host(p).copy() for n, p in model.named_parameters.items()}
    optimizer = SGD(lr=1.0, weight_decay=0.1)
    model.forward(*batch())
    model.backward()
    if loop == "segments":
        params, grads = (list(z) for z in zip(*model.segments(), strict=True))
    else:
        params, grads = model.params, model.grads
    optimizer.update(params, grads)
    for name, p in model.named_parameters.items():
        same = np.array_equal(to_host(p), before[name])
        assert same == (name in ("embedding.W", "layers.0.Wh")), name


def test_an_ignored_batch_has_loss_and_gradient_zero(be):
    model = make(be, tied=True)
    xs, ts = batch()
    assert float(to_host(model.forward(xs, np.full_like(ts, -1)))) == 0.0
    model.backward()
    assert not to_host(model.flat_grads).any()
