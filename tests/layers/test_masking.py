"""One contract for lengths and masks: states are copied through, outputs are zero there."""

import numpy as np
import pytest
from layer_kinds import LAYERS, D, H, N, T, draw, initial_gradients, make, parts, set_state

from rnn_xp.backend import to_host
from rnn_xp.layers import Bidirectional, Stack

LENGTHS = [T, 0, 2]
MASK = np.array([[1, 0, 1, 1], [0, 0, 1, 1], [0, 0, 0, 0]], bool)


@pytest.fixture(params=LAYERS)
def name(request):
    return request.param


def as_mask(lengths):
    return np.arange(T)[None, :] < np.array(lengths)[:, None]


def started(name, be, **options):
    """A layer whose next call starts from a state, and that state."""
    layer = make(name, be, **options)
    state = (draw(be, N, H, seed=2), draw(be, N, H, seed=3))
    set_state(layer, *state)
    return layer, state


def everything(layer, xs, dhs, **options):
    """All results of a forward and a backward pass."""
    hs = layer.forward(xs, **options)
    dxs = layer.backward(dhs)
    results = [hs, *parts(layer.state), dxs, *initial_gradients(layer), *layer.grads]
    return [to_host(a).copy() for a in results]


@pytest.mark.parametrize("mask", [as_mask(LENGTHS), MASK])
def test_outputs_and_states(name, be, mask):
    layer, state = started(name, be)
    hs = to_host(layer.forward(draw(be, N, T, D), mask=mask))
    assert not hs[~mask].any()
    assert (np.abs(hs[mask]).max(axis=1) > 0).all()
    final = [to_host(p) for p in parts(layer.state)]
    for n in range(N):
        steps = np.flatnonzero(mask[n])
        if len(steps):
            np.testing.assert_array_equal(final[0][n], hs[n, steps[-1]])
        else:
            for k, part in enumerate(final):
                np.testing.assert_array_equal(part[n], to_host(state[k])[n])


def test_lengths_are_a_mask(name, be):
    xs, dhs = draw(be, N, T, D), draw(be, N, T, H)
    device_lengths = be.xp.asarray(np.array(LENGTHS), device=be.device)
    device_mask = be.xp.asarray(as_mask(LENGTHS), device=be.device)
    results = []
    for options in (
        {"lengths": LENGTHS},
        {"lengths": np.array(LENGTHS, np.int32)},
        {"lengths": device_lengths},
        {"mask": as_mask(LENGTHS)},
        {"mask": as_mask(LENGTHS).tolist()},
        {"mask": device_mask},
    ):
        layer, _ = started(name, be)
        results.append(everything(layer, xs, dhs, **options))
    for result in results[1:]:
        for a, b in zip(result, results[0], strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("mask", [as_mask(LENGTHS), MASK])
@pytest.mark.parametrize("junk", [np.nan, np.inf, 1e300])
def test_what_stands_at_masked_steps_does_not_matter(name, be, mask, junk):
    """Not in the output, not in any gradient; and the gradient fed there does not either."""
    xs, dhs = to_host(draw(be, N, T, D)).copy(), to_host(draw(be, N, T, H)).copy()
    results = []
    for value in (0.0, junk):
        xs[~mask], dhs[~mask] = value, value
        layer, _ = started(name, be)
        results.append(everything(layer, be.asarray(xs), be.asarray(dhs), mask=mask))
    for clean, dirty in zip(*results, strict=True):
        assert np.isfinite(dirty).all()
        np.testing.assert_array_equal(dirty, clean)


def test_gradients_at_masked_steps_are_zero(name, be):
    layer, _ = started(name, be)
    layer.forward(draw(be, N, T, D), mask=MASK)
    dxs = to_host(layer.backward(draw(be, N, T, H)))
    assert not dxs[~MASK].any()
    assert (np.abs(dxs[MASK]).max(axis=1) > 0).all()


def test_nothing_masked_is_no_mask(name, be):
    xs, dhs = draw(be, N, T, D), draw(be, N, T, H)
    results = []
    for options in ({}, {"lengths": [T] * N}, {"mask": np.ones((N, T), bool)}):
        layer, _ = started(name, be)
        results.append(everything(layer, xs, dhs, **options))
    for result in results[1:]:
        for a, b in zip(result, results[0], strict=True):
            np.testing.assert_allclose(a, b, rtol=0, atol=1e-13)


def test_everything_masked(name, be):
    layer, state = started(name, be)
    hs = layer.forward(draw(be, N, T, D), lengths=[0] * N)
    assert not to_host(hs).any()
    for given, start in zip(parts(layer.state), state, strict=False):
        np.testing.assert_array_equal(to_host(given), to_host(start))
    dxs = layer.backward(draw(be, N, T, H))
    for array in (dxs, *layer.grads, *initial_gradients(layer)):
        assert not to_host(array).any()


def test_the_gradient_into_the_final_state_goes_through_masked_steps(name, be):
    """A row with nothing in it hands it over as it is."""
    layer, _ = started(name, be)
    layer.forward(draw(be, N, T, D), lengths=[0] * N)
    dfinal = [draw(be, N, H, seed=k) for k in (5, 6)][: len(parts(layer.state))]
    if name == "cell":
        layer.backward(None, tuple(dfinal))
    else:
        layer.backward(None, *dfinal)
    for given, start in zip(initial_gradients(layer), dfinal, strict=True):
        np.testing.assert_array_equal(to_host(given), to_host(start))


def test_rows_do_not_see_each_other(name, be):
    """A row of a padded batch gives what it gives alone, without its padding."""
    xs = draw(be, N, T, D)
    layer = make(name, be)
    hs = layer.forward(xs, lengths=LENGTHS)
    states = [to_host(p) for p in parts(layer.state)]
    for n, length in enumerate(LENGTHS):
        if not length:
            continue
        alone = layer.forward(xs[n : n + 1, :length, :])
        np.testing.assert_allclose(to_host(hs)[n, :length], to_host(alone)[0], atol=1e-13)
        for whole, one in zip(states, parts(layer.state), strict=True):
            np.testing.assert_allclose(whole[n], to_host(one)[0], atol=1e-13)


def test_time_major(name, be):
    xs = draw(be, N, T, D)
    turned = be.xp.permute_dims(xs, (1, 0, 2))
    for options, turned_options in (
        ({"lengths": LENGTHS}, {"lengths": LENGTHS}),
        ({"mask": MASK}, {"mask": MASK.T}),
    ):
        hs = make(name, be).forward(xs, **options)
        other = make(name, be, time_major=True).forward(turned, **turned_options)
        np.testing.assert_array_equal(to_host(other), to_host(hs).transpose(1, 0, 2))


def test_masked_nan_through_nets(be):
    """Through two directions and two layers, forward and backward."""
    layers = [make("lstm", be, seed=k) for k in range(2)]
    wide = be.asarray(np.random.default_rng(0).standard_normal((2 * H, H)))
    from rnn_xp.layers import TimeRNN

    top = TimeRNN(wide, be.xp.zeros((H, H), dtype=wide.dtype, device=wide.device), wide[0, :])
    net = Stack([Bidirectional(*layers), top])
    xs = to_host(draw(be, N, T, D)).copy()
    xs[~MASK] = np.nan
    hs = to_host(net.forward(be.asarray(xs), mask=MASK))
    assert np.isfinite(hs).all()
    assert not hs[~MASK].any()
    dxs = to_host(net.backward(draw(be, N, T, H)))
    assert np.isfinite(dxs).all()
    assert all(np.isfinite(to_host(g)).all() for g in net.grads)
