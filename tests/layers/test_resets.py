"""`TimeReset`: rows in pieces are the pieces on their own. Gradients: tests/proof."""

from itertools import pairwise

import numpy as np
import pytest
from layer_kinds import draw
from wrapper_kinds import H, N, T, gru, lstm

from rnn_xp.backend import to_host
from rnn_xp.errors import DTypeError, ShapeError
from rnn_xp.layers import Bidirectional, Reversed, Stack, TimeReset, TrainableState

RESETS = np.array([[0, 1, 0, 1], [1, 0, 0, 0], [0, 0, 1, 0]], bool)


def test_pieces_on_their_own(be):
    xs, dhs = to_host(draw(be, N, T, H)), to_host(draw(be, N, T, H, seed=4))
    net = TimeReset(lstm(be, stateful=True))
    start = (draw(be, N, H, seed=5), draw(be, N, H, seed=6))
    net.set_state(start)
    hs, dxs = to_host(net.forward(be.asarray(xs), resets=RESETS)), None
    final = [to_host(a) for a in net.state]
    dxs = to_host(net.backward(be.asarray(dhs)))
    alone, sums = lstm(be), [0.0] * 3
    for n in range(N):
        borders = [0, *[t for t in range(1, T) if RESETS[n, t]], T]
        for a, b in pairwise(borders):
            if a == 0 and not RESETS[n, 0]:
                alone.set_state(*(part[n : n + 1, :] for part in start))
            piece = alone.forward(be.asarray(xs[n : n + 1, a:b]))
            np.testing.assert_allclose(hs[n : n + 1, a:b], to_host(piece), atol=1e-14)
            ended = [to_host(part)[0] for part in alone.state]
            dx = alone.backward(be.asarray(dhs[n : n + 1, a:b]))
            np.testing.assert_allclose(dxs[n : n + 1, a:b], to_host(dx), atol=1e-14)
            sums = [s + to_host(g) for s, g in zip(sums, alone.grads, strict=True)]
        for part, end in zip(final, ended, strict=True):
            np.testing.assert_allclose(part[n], end, atol=1e-14)
    for given, expected in zip(net.grads, sums, strict=True):
        np.testing.assert_allclose(to_host(given), expected, atol=1e-13)
    assert not to_host(net.dstate[0])[1].any()  # a row that was reset at once
    assert to_host(net.dstate[0])[0].any()


def test_a_stateful_stream_goes_on(be):
    """Two calls are one, with the resets where they are."""
    xs = draw(be, N, T, H)
    whole = TimeReset(lstm(be)).forward(xs, resets=RESETS)
    net = TimeReset(lstm(be, stateful=True))
    first = net.forward(xs[:, :2, :], resets=RESETS[:, :2])
    second = net.forward(xs[:, 2:, :], resets=RESETS[:, 2:])
    halves = np.concatenate([to_host(first), to_host(second)], axis=1)
    np.testing.assert_allclose(halves, to_host(whole), atol=1e-14)


def test_a_masked_step_is_reset_too(be):
    """Its row ends in zeros."""
    net = TimeReset(gru(be))
    mask = np.ones((N, T), bool)
    mask[2, 2:] = False
    net.forward(draw(be, N, T, H), mask=mask, resets=RESETS)
    assert not to_host(net.state[0])[2].any()


@pytest.mark.parametrize("resets", [None, np.zeros((N, T), bool), [[False] * T] * N])
def test_no_reset_is_the_layer(be, resets):
    xs = draw(be, N, T, H)
    given, expected = TimeReset(gru(be)).forward(xs, resets=resets), gru(be).forward(xs)
    np.testing.assert_array_equal(to_host(given), to_host(expected))


def test_resets_from_the_device(be):
    xs = draw(be, N, T, H)
    given = TimeReset(gru(be)).forward(xs, resets=be.asarray(RESETS))
    expected = TimeReset(gru(be)).forward(xs, resets=RESETS.tolist())
    np.testing.assert_array_equal(to_host(given), to_host(expected))


def test_nets_that_run_backwards_have_no_state(be):
    xs = draw(be, N, T, H)
    for layer in (Bidirectional(lstm(be), gru(be), "sum"), Stack([Reversed(gru(be))])):
        net = TimeReset(layer)
        hs = net.forward(xs, resets=RESETS)
        assert net.state is None
        with pytest.raises(ValueError, match=r"TimeReset: dstate is given, but .* runs backwards"):
            net.backward(hs, dstate=[None])
        assert net.backward(hs).shape == xs.shape
        net.set_state(layer.zero_state(N))
        with pytest.raises(ValueError, match=r"TimeReset: state is given, but .* runs backwards"):
            net.forward(xs, resets=RESETS)
        net.reset_state()
        # The last piece of row 0 is one step: both directions know nothing else.
        alone = layer.forward(xs[:1, 3:, :])
        np.testing.assert_allclose(to_host(hs)[:1, 3:], to_host(alone), atol=1e-14)


def test_two_outputs(be):
    net = TimeReset(Bidirectional(lstm(be), gru(be), None))
    there, back = net.forward(draw(be, N, T, H), resets=RESETS)
    assert there.shape == back.shape == (N, T, H)
    assert net.backward((there, None)).shape == (N, T, H)


def test_the_door(be):
    net, xs = TimeReset(lstm(be)), draw(be, N, T, H)
    with pytest.raises(DTypeError, match="TimeReset: resets has dtype int64, expected bool"):
        net.forward(xs, resets=RESETS.astype(np.int64))
    with pytest.raises(ShapeError, match=r"TimeReset: resets has shape \(4, 3\), expected \(N, T"):
        net.forward(xs, resets=RESETS.T)
    with pytest.raises(ValueError, match=r"TimeReset: the layer has a TrainableState inside"):
        TimeReset(Stack([TrainableState(lstm(be))]))
    net.forward(xs, resets=RESETS)
    with pytest.raises(ShapeError, match=r"TimeReset: dhs has shape \(2, 4, 5\), expected"):
        net.backward(xs[:2, :, :])
    assert net.backward(xs).shape == xs.shape
