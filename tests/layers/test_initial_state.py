"""`TrainableState`: where calls start, and when its gradient is zero. Gradients: tests/proof."""

import numpy as np
import pytest
from layer_kinds import draw
from wrapper_kinds import H, N, T, gru, lstm

from rnn_xp.backend import to_host
from rnn_xp.errors import DTypeError, ShapeError
from rnn_xp.layers import Stack, TimeDropout, TrainableState


def learned(be, **options):
    return TrainableState(lstm(be, **options), (draw(be, H, seed=2), draw(be, H, seed=3)))


def rows(array, be):
    return be.asarray(np.tile(to_host(array), (N, 1)))


def test_every_row_starts_from_it(be):
    net, layer, xs, dhs = learned(be), lstm(be), draw(be, N, T, H), draw(be, N, T, H, seed=5)
    for _ in range(2):
        hs = net.forward(xs)
        layer.set_state(*(rows(p, be) for p in net.initial.params))
        np.testing.assert_array_equal(to_host(hs), to_host(layer.forward(xs)))
        np.testing.assert_array_equal(to_host(net.backward(dhs)), to_host(layer.backward(dhs)))
        for grad, each in zip(net.grads[3:], (layer.dh, layer.dc), strict=True):
            np.testing.assert_allclose(to_host(grad), to_host(each).sum(axis=0))


def test_zeros_by_default(be):
    xs = draw(be, N, T, H)
    net = TrainableState(lstm(be))
    np.testing.assert_array_equal(to_host(net.forward(xs)), to_host(lstm(be).forward(xs)))
    assert [tuple(p.shape) for p in net.params[3:]] == [(H,), (H,)]


def test_its_gradient_is_zero_for_calls_that_start_elsewhere(be):
    net, xs = learned(be, stateful=True), draw(be, N, T, H)

    def gradient():
        net.backward(net.forward(xs))
        return max(np.abs(to_host(g)).max() for g in net.grads[3:])

    assert gradient() > 0.0
    assert gradient() == 0.0
    net.reset_state()
    assert gradient() > 0.0
    net.reset_state()
    net.set_state((draw(be, N, H), draw(be, N, H)))
    assert gradient() == 0.0


def test_a_net_learns_a_start_for_each_layer(be):
    net = TrainableState(Stack([lstm(be), TimeDropout(0.2), gru(be)]))
    assert [tuple(p.shape) for p in net.initial.params] == [(H,)] * 3
    net.backward(net.forward(draw(be, N, T, H)))
    assert all(np.abs(to_host(g)).max() > 0.0 for g in net.initial.grads)


def test_one_array_for_one_state(be):
    h0 = draw(be, H, seed=2)
    assert TrainableState(gru(be), h0).initial.params[0] is h0


def test_the_door(be):
    h0 = draw(be, H)
    for initial in (h0, (h0,), (h0, h0, h0)):
        with pytest.raises(ShapeError, match=r"initial is .*, expected \(array, array\)"):
            TrainableState(lstm(be), initial)
    with pytest.raises(ShapeError, match=r"TrainableState: initial has shape \(4,\), expected"):
        TrainableState(lstm(be), (h0, h0[:4]))
    with pytest.raises(DTypeError, match="initial has dtype"):
        TrainableState(gru(be), be.xp.astype(h0, be.xp.float32))
