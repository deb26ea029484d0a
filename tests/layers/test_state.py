"""The state from call to call: stateful or set, read, copied, restored."""

import numpy as np
import pytest
from layer_kinds import LAYERS, D, H, N, T, draw, initial_gradients, make, parts, set_state

from rnn_xp.backend import to_host
from rnn_xp.layers import TimeLSTM


@pytest.fixture(params=LAYERS)
def name(request):
    return request.param


def equal(given, expected):
    np.testing.assert_array_equal(to_host(given), to_host(expected))


def close(given, expected):
    np.testing.assert_allclose(to_host(given), to_host(expected), rtol=0, atol=1e-13)


def test_a_sequence_in_two_calls_is_the_sequence_in_one(name, be):
    xs = draw(be, N, T, D)
    whole, split = make(name, be), make(name, be, stateful=True)
    hs = whole.forward(xs)
    first = split.forward(xs[:, :1, :])
    close(first, hs[:, :1, :])
    close(split.forward(xs[:, 1:, :]), hs[:, 1:, :])
    for a, b in zip(parts(split.state), parts(whole.state), strict=True):
        close(a, b)


def test_a_stateful_layer_starts_from_zeros_and_can_be_reset(name, be):
    xs = draw(be, N, T, D)
    layer = make(name, be, stateful=True)
    assert layer.state is None
    first = layer.forward(xs)
    assert np.abs(to_host(layer.forward(xs)) - to_host(first)).max() > 1e-3
    layer.reset_state()
    assert layer.state is None
    equal(layer.forward(xs), first)


def test_a_layer_that_is_not_stateful_starts_from_zeros_each_time(name, be):
    xs = draw(be, N, T, D)
    layer = make(name, be)
    first = layer.forward(xs)
    equal(layer.forward(xs), first)
    layer.forward(draw(be, N + 1, T, D))  # another batch size is nothing special


def test_a_set_state_is_used_for_one_call(name, be):
    xs, h, c = draw(be, N, T, D), draw(be, N, H, seed=2), draw(be, N, H, seed=3)
    layer = make(name, be)
    zeros = layer.forward(xs)
    set_state(layer, h, c)
    assert np.abs(to_host(layer.forward(xs)) - to_host(zeros)).max() > 1e-3
    equal(layer.forward(xs), zeros)


def test_a_set_state_is_where_a_stateful_layer_goes_on(name, be):
    xs, h, c = draw(be, N, T, D), draw(be, N, H, seed=2), draw(be, N, H, seed=3)
    once, stateful = make(name, be), make(name, be, stateful=True)
    set_state(once, h, c)
    expected = once.forward(xs)
    stateful.forward(xs)
    set_state(stateful, h, c)
    equal(stateful.forward(xs[:, :2, :]), expected[:, :2, :])
    close(stateful.forward(xs[:, 2:, :]), expected[:, 2:, :])


def test_no_state_is_zeros(be):
    xs, h = draw(be, N, T, D), draw(be, N, H, seed=2)
    layer = make("lstm", be)
    zeros = be.xp.zeros_like(h)
    for given, full in (((h, None), (h, zeros)), ((None, h), (zeros, h))):
        layer.set_state(*given)
        a = layer.forward(xs)
        layer.set_state(*full)
        equal(layer.forward(xs), a)
    layer.set_state(h)
    layer.set_state(None)
    a = layer.forward(xs)
    layer.set_state(zeros, zeros)
    equal(layer.forward(xs), a)


def test_a_set_state_is_a_copy(name, be):
    xs, h, c = draw(be, N, T, D), draw(be, N, H, seed=2), draw(be, N, H, seed=3)
    layer = make(name, be)
    set_state(layer, h, c)
    expected = layer.forward(xs)
    set_state(layer, h, c)
    h[...] = h * 0.0
    c[...] = c * 0.0
    equal(layer.forward(xs), expected)


def test_states_and_their_gradients(name, be):
    layer = make(name, be)
    assert layer.state is None
    hs = layer.forward(draw(be, N, T, D))
    close(parts(layer.state)[0], hs[:, T - 1, :])
    layer.backward(draw(be, N, T, H))
    for gradient in initial_gradients(layer):
        assert gradient.shape == (N, H)
        assert np.abs(to_host(gradient)).max() > 0
    if name == "lstm":
        assert layer.h is layer.state[0]
        assert layer.c is layer.state[1]
        assert layer.dh is not None
    elif name != "cell":
        assert layer.h is layer.state[0]


def test_names_of_states_before_any_call(be):
    layer = make("lstm", be)
    assert (layer.h, layer.c, layer.dh, layer.dc) == (None,) * 4
    assert make("cell", be).dstate is None


def test_the_gradient_stops_between_calls(name, be):
    """Truncated: the second call's backward pass ends at its own start."""
    xs, dhs = draw(be, N, T, D), draw(be, N, T, H)
    layer, alone = make(name, be, stateful=True), make(name, be)
    layer.forward(xs)
    state = [to_host(p) for p in parts(layer.state)]
    layer.forward(xs)
    dxs = layer.backward(dhs)
    set_state(alone, *(be.asarray(p) for p in (*state, state[0])[:2]))
    alone.forward(xs)
    close(dxs, alone.backward(dhs))
    for a, b in zip(initial_gradients(layer), initial_gradients(alone), strict=True):
        close(a, b)


def test_a_validation_pass_can_leave_the_training_stream_alone(name, be):
    xs, other = draw(be, N, T, D), draw(be, N + 1, T, D, seed=5)
    plain, watched = make(name, be, stateful=True), make(name, be, stateful=True)
    plain.forward(xs)
    watched.forward(xs)
    kept = watched.state
    watched.reset_state()
    watched.forward(other, train=False)
    watched.state = kept
    equal(watched.forward(xs), plain.forward(xs))


def test_states_stay_valid_after_the_next_call(name, be):
    layer = make(name, be, stateful=True)
    layer.forward(draw(be, N, T, D))
    kept = parts(layer.state)
    copies = [to_host(p).copy() for p in kept]
    layer.forward(draw(be, N, T, D, seed=7))
    layer.backward(draw(be, N, T, H))
    for a, b in zip(kept, copies, strict=True):
        equal(a, b)


def test_overwriting_the_state_after_forward_does_not_change_the_gradients(name, be):
    """Rows whose text has ended are set to zero that way, perhaps before backward."""
    xs, dhs = draw(be, N, T, D), draw(be, N, T, H)
    layer = make(name, be, stateful=True)
    hs = layer.forward(xs)
    before = to_host(hs).copy()
    expected = layer.backward(dhs)
    layer.reset_state()
    hs = layer.forward(xs)
    for part in parts(layer.state):
        part[...] = part * 0.0
    equal(hs, before)
    equal(layer.backward(dhs), expected)


def test_two_forwards_then_backward_uses_the_last(name, be):
    a, b, dhs = draw(be, N, T, D), draw(be, N, T, D, seed=9), draw(be, N, T, H)
    layer = make(name, be)
    layer.forward(b)
    expected = layer.backward(dhs)
    grads = [to_host(g).copy() for g in layer.grads]
    layer.forward(a)
    layer.forward(b)
    equal(layer.backward(dhs), expected)
    for given, one in zip(layer.grads, grads, strict=True):
        equal(given, one)


def test_a_pass_without_train_keeps_nothing(name, be):
    layer = make(name, be)
    layer.forward(draw(be, N, T, D), train=False)
    assert layer._cache is None


def test_gradients_are_overwritten_in_place(name, be):
    layer = make(name, be)
    arrays = list(layer.grads)
    for _ in range(2):
        layer.forward(draw(be, N, T, D))
        layer.backward(draw(be, N, T, H))
        once = [to_host(g).copy() for g in layer.grads]
    for array, grad in zip(arrays, layer.grads, strict=True):
        assert array is grad
    layer.forward(draw(be, N, T, D))
    layer.backward(draw(be, N, T, H))
    for grad, one in zip(layer.grads, once, strict=True):
        equal(grad, one)


def test_a_model_may_rebind_parameters_and_gradients(name, be):
    """As it does with the views of its flat buffers."""
    layer, plain = make(name, be), make(name, be, seed=4)
    xs, dhs = draw(be, N, T, D), draw(be, N, T, H)
    for k, p in enumerate(plain.params):
        layer.params[k] = be.xp.asarray(p, copy=True, device=be.device)
        layer.grads[k] = be.xp.zeros_like(p)
    equal(layer.forward(xs), plain.forward(xs))
    equal(layer.backward(dhs), plain.backward(dhs))
    for a, b in zip(layer.grads, plain.grads, strict=True):
        equal(a, b)


def test_stateful_can_be_switched(be):
    layer = TimeLSTM.create(D, H, backend=be, dtype="float64")
    xs = draw(be, N, T, D)
    first = layer.forward(xs)
    layer.stateful = True
    layer.forward(xs[:, :2, :])
    layer.reset_state()
    close(layer.forward(xs[:, :2, :]), first[:, :2, :])
    close(layer.forward(xs[:, 2:, :]), first[:, 2:, :])
