"""Layers moved to another backend, and copied: own arrays, own buffers, no past."""

import copy
import pickle

import numpy as np
import pytest
from backends import available
from layer_kinds import LAYERS, D, H, N, T, draw, make, parts
from proof.usercell import LeakyCell

from rnn_xp.backend import backend_of, get_backend, to_host
from rnn_xp.errors import StaleCacheError
from rnn_xp.layers import (
    LSTM,
    Bidirectional,
    Stack,
    TimeAffine,
    TimeAffineSoftmaxWithLoss,
    TimeCell,
    TimeDropout,
    TimeEmbedding,
    TimeSoftmaxWithLoss,
)


@pytest.fixture(params=LAYERS)
def name(request):
    return request.param


@pytest.fixture(params=[v for v in available()], ids=lambda v: v.name)
def target(request):
    return request.param.open()


def step(layer, be):
    """Results of one forward and backward pass, on the host."""
    hs = layer.forward(draw(be, N, T, D))
    dxs = layer.backward(draw(be, N, T, H, seed=4))
    return [to_host(a).copy() for a in (hs, dxs, *layer.grads)]


def assert_close(given, expected):
    for a, b in zip(given, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-13)


def test_to(name, be, target):
    layer = make(name, be, stateful=True)
    expected = step(layer, be)
    moved = layer.to(target)
    assert type(moved) is type(layer)
    for a, b in zip(moved.params + moved.grads, layer.params + layer.grads, strict=True):
        assert backend_of(a) == target
        assert a is not b
    assert moved.state is None
    with pytest.raises(StaleCacheError):
        moved.backward(draw(target, N, T, H))
    assert_close(step(moved, target), expected)
    # The original is as it was: the next call goes on from its state.
    assert layer.state is not None
    assert np.abs(step(layer, be)[0] - expected[0]).max() > 1e-3


def test_to_by_name(name, be):
    layer = make(name, be).to("numpy")
    assert isinstance(layer.params[0], np.ndarray)
    with pytest.raises(ValueError, match="unknown backend 'jax'"):
        layer.to("jax")


def test_to_its_own_backend_is_a_copy(name, be):
    layer = make(name, be)
    moved = layer.to(be)
    expected = step(layer, be)
    for p in moved.params:
        p[...] = p * 0.0
    assert_close(step(layer, be), expected)


@pytest.mark.parametrize("copier", [copy.deepcopy, lambda layer: layer.to("numpy").to("numpy")])
def test_a_copy_shares_nothing(name, be, copier):
    layer = make(name, be)
    expected = step(layer, be)
    other = copier(layer)
    home = backend_of(other.params[0])
    assert other._workspace is not layer._workspace
    assert not other._workspace.buffers()
    hs = layer.forward(draw(be, N, T, D))
    other.forward(draw(home, N, T, D, seed=8))
    other.backward(draw(home, N, T, H, seed=9))
    for p in other.params:
        p[...] = p * 0.0
    dxs = layer.backward(draw(be, N, T, H, seed=4))
    assert_close([to_host(a) for a in (hs, dxs, *layer.grads)], expected)


@pytest.mark.parametrize("copier", [copy.copy, copy.deepcopy])
def test_a_copy_between_forward_and_backward(name, be, copier):
    """The copy has no data of the pass, and says so; the original still has it."""
    layer = make(name, be)
    expected = step(layer, be)[1]
    layer.forward(draw(be, N, T, D))
    other = copier(layer)
    dhs = draw(be, N, T, H, seed=4)
    with pytest.raises(StaleCacheError):
        other.backward(dhs)
    assert_close([to_host(layer.backward(dhs))], [expected])


def test_a_deep_copy_goes_on_from_the_same_state(name, be):
    layer = make(name, be, stateful=True)
    layer.forward(draw(be, N, T, D))
    other = copy.deepcopy(layer)
    for a, b in zip(parts(layer.state), parts(other.state), strict=True):
        assert a is not b
    assert_close(step(other, be), step(layer, be))


def test_a_shallow_copy_shares_parameters_but_no_buffers(name, be):
    layer = make(name, be)
    expected = step(layer, be)[1]
    layer.forward(draw(be, N, T, D))
    other = copy.copy(layer)
    assert other.params[0] is layer.params[0]
    assert other._workspace is not layer._workspace
    other.forward(draw(be, N, T, D, seed=8))
    assert_close([to_host(layer.backward(draw(be, N, T, H, seed=4)))], [expected])


def test_a_pickled_layer(name):
    """Between processes of one version; files are what `save` writes."""
    be = get_backend("numpy")
    layer = make(name, be, stateful=True)
    layer.forward(draw(be, N, T, D))
    assert_close(step(pickle.loads(pickle.dumps(layer)), be), step(layer, be))


def test_other_layers(be, target):
    W, b = draw(be, D, H), draw(be, H)
    ids = np.array([[0, 1], [1, 1]])
    for layer, xs in (
        (TimeEmbedding(W), ids),
        (TimeAffine(W, b), draw(be, N, T, D)),
        (TimeDropout(0.3, seed=4), draw(be, N, T, D)),
        (Bidirectional(make("rnn", be), make("rnn", be), "sum"), draw(be, N, T, D)),
        (Stack([make("lstm", be), TimeDropout(0.3)]), draw(be, N, T, D)),
    ):
        first = to_host(layer.forward(xs)).copy()
        moved = layer.to(target)
        there = xs if xs is ids else target.asarray(to_host(xs))
        if isinstance(layer, TimeDropout):
            assert moved.counter == 1
            layer.counter = moved.counter = 0
        elif isinstance(layer, Stack):
            moved.layers[1].counter = 0
        ys = moved.forward(there)
        assert backend_of(ys) == target
        assert_close([to_host(ys)], [first])
        moved.backward(ys)


def test_losses(be, target):
    ts = np.array([[0, 1, 2, -1]] * N)
    for layer, xs in (
        (TimeSoftmaxWithLoss(), draw(be, N, T, H)),
        (TimeAffineSoftmaxWithLoss(draw(be, D, H), draw(be, H)), draw(be, N, T, D)),
    ):
        expected = to_host(layer.forward(xs, ts)).copy()
        moved = layer.to(target)
        assert_close([to_host(moved.forward(target.asarray(to_host(xs)), ts))], [expected])
        assert backend_of(moved.backward()) == target


def test_a_step_layer(be, target):
    Wx, Wh, b = draw(be, D, 4 * H), draw(be, H, 4 * H), draw(be, 4 * H)
    layer = LSTM(Wx, Wh, b)
    moved = layer.to(target)
    zeros = target.zeros((N, H), "float64")
    h, c = moved.forward(draw(target, N, D), zeros, zeros)
    assert backend_of(h) == target
    assert backend_of(moved.backward(h, c)[0]) == target


def test_a_users_cell(be, target):
    layer = TimeCell(LeakyCell(draw(be, D, H), draw(be, H, H), draw(be, H, H)))
    expected = step(layer, be)
    assert_close(step(layer.to(target), target), expected)
    assert_close(step(copy.deepcopy(layer), be), expected)
