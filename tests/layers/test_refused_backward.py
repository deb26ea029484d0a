"""A `backward` that is refused uses nothing up: the next one finds what it needs."""

import numpy as np
import pytest
from layer_kinds import LAYERS, D, H, N, T, draw, initial_gradients, make

from rnn_xp.backend import to_host
from rnn_xp.errors import RnnXpError, StaleCacheError
from rnn_xp.layers import GRU, LSTM, TimeAffine, TimeDropout, TimeEmbedding, TimeSoftmaxWithLoss

IDS = np.array([[0, 1, 1, 0]] * N)


def bad_ones(be, good):
    """Gradients of a wrong shape, and of a wrong dtype."""
    return good[:, :2, ...], be.xp.astype(good, be.xp.float32)


@pytest.mark.parametrize("name", LAYERS)
def test_recurrent_layers(name, be):
    layer, plain, xs, dhs = make(name, be), make(name, be), draw(be, N, T, D), draw(be, N, T, H)
    plain.forward(xs)
    expected = plain.backward(dhs)
    layer.forward(xs)
    for bad in bad_ones(be, dhs):
        with pytest.raises(RnnXpError):
            layer.backward(bad)
    short = tuple(draw(be, N + 1, H) for _ in layer.state)
    with pytest.raises(RnnXpError):
        layer.backward(dhs, dstate=short)
    np.testing.assert_array_equal(to_host(layer.backward(dhs)), to_host(expected))
    for a, b in zip(initial_gradients(layer), initial_gradients(plain), strict=True):
        np.testing.assert_array_equal(to_host(a), to_host(b))
    with pytest.raises(StaleCacheError):
        layer.backward(dhs)


@pytest.mark.parametrize("make_layer", [TimeAffine, TimeEmbedding, TimeDropout])
def test_other_layers(make_layer, be):
    layer = TimeDropout(0.4) if make_layer is TimeDropout else make_layer(draw(be, D, H))
    dys = layer.forward(IDS if make_layer is TimeEmbedding else draw(be, N, T, D))
    for bad in bad_ones(be, dys):
        with pytest.raises(RnnXpError):
            layer.backward(bad)
    layer.backward(dys)
    with pytest.raises(StaleCacheError):
        layer.backward(dys)


def test_step_layers(be):
    for cls, gates, states in ((LSTM, 4, 2), (GRU, 3, 1)):
        layer = cls(draw(be, D, gates * H), draw(be, H, gates * H), draw(be, gates * H))
        state = [draw(be, N, H)] * states
        layer.forward(draw(be, N, D), *state)
        for bad in bad_ones(be, state[0]):
            with pytest.raises(RnnXpError):
                layer.backward(*[bad] * states)
        layer.backward(*state)
        with pytest.raises(StaleCacheError):
            layer.backward(*state)


def test_a_loss(be):
    layer = TimeSoftmaxWithLoss()
    layer.forward(draw(be, N, T, H), IDS)
    with pytest.raises(TypeError):
        layer.backward([1.0, 2.0])
    assert layer.backward().shape == (N, T, H)


@pytest.mark.parametrize("name", ["rnn", "lstm", "gru-after"])
def test_dstate_is_the_final_state_gradient(name, be):
    """The uniform form and the one part by part; not both."""
    layer, xs, dh = make(name, be), draw(be, N, T, D), draw(be, N, H)
    parts = (dh, 2.0 * dh)[: len(layer.state_names)]
    results = []
    for arguments in ({"dstate": parts}, dict(zip(("dhT", "dcT"), parts, strict=False))):
        layer.forward(xs)
        results.append(to_host(layer.backward(None, **arguments)))
        assert layer.dstate[0] is layer.dh
    np.testing.assert_array_equal(*results)
    layer.forward(xs)
    with pytest.raises(ValueError, match=r": give dhT.* or dstate, not both"):
        layer.backward(None, dh, dstate=parts)
    if len(parts) == 1:
        np.testing.assert_array_equal(to_host(layer.backward(None, dstate=dh)), results[0])
