"""The book's one-step layers: its protocol, and the same numbers as the layers over time."""

import numpy as np
import pytest
from layer_kinds import LAYERS, D, H, N, draw, weights

from rnn_xp.backend import to_host
from rnn_xp.errors import DTypeError, MixedBackendError, ShapeError, StaleCacheError
from rnn_xp.layers import GRU, LSTM, RNN

STEPS = {"rnn": RNN, "lstm": LSTM, "gru-after": GRU, "gru-before": GRU}


@pytest.fixture(params=STEPS)
def name(request):
    return request.param


def states(name, be, seed):
    return [draw(be, N, H, seed=seed + k) for k in range(2 if name == "lstm" else 1)]


def as_tuple(value):
    return value if isinstance(value, tuple) else (value,)


def test_the_protocol_of_the_book(name, be):
    """``forward(x, h_prev) -> h_next``, ``backward(dh_next) -> (dx, dh_prev)``."""
    layer = STEPS[name](*weights(name, be))
    grads = list(layer.grads)
    before, upstream = states(name, be, 3), states(name, be, 5)
    after = as_tuple(layer.forward(draw(be, N, D), *before))
    assert [a.shape for a in after] == [(N, H)] * len(before)
    dx, *dbefore = layer.backward(*upstream)
    assert dx.shape == (N, D)
    assert [a.shape for a in dbefore] == [(N, H)] * len(before)
    for own, array, param in zip(layer.grads, grads, layer.params, strict=True):
        assert own is array
        assert own.shape == param.shape
        assert np.abs(to_host(own)).max() > 0


def test_gradients_are_overwritten(name, be):
    layer = STEPS[name](*weights(name, be))
    x, before, upstream = draw(be, N, D), states(name, be, 3), states(name, be, 5)
    once = []
    for _ in range(2):
        layer.forward(x, *before)
        layer.backward(*upstream)
        once.append([to_host(g).copy() for g in layer.grads])
    for a, b in zip(*once, strict=True):
        np.testing.assert_array_equal(a, b)


def test_one_step_is_a_sequence_of_one_step(name, be):
    step, over_time = STEPS[name](*weights(name, be)), LAYERS[name][0](*weights(name, be))
    x, before, upstream = draw(be, N, D), states(name, be, 3), states(name, be, 5)
    after = as_tuple(step.forward(x, *before))
    over_time.set_state(*before)
    hs = over_time.forward(x[:, None, :])
    for a, b in zip((after[0], *after), (hs[:, 0, :], *over_time.state), strict=True):
        np.testing.assert_allclose(to_host(a), to_host(b), rtol=0, atol=1e-14)
    dx, *dbefore = step.backward(*upstream)
    dxs = over_time.backward(None, *upstream)
    expected = (over_time.dh,) if name != "lstm" else (over_time.dh, over_time.dc)
    given = (dx, *dbefore, *step.grads)
    wanted = (dxs[:, 0, :], *expected, *over_time.grads)
    for a, b in zip(given, wanted, strict=True):
        np.testing.assert_allclose(to_host(a), to_host(b), rtol=0, atol=1e-13)


def test_a_loop_over_steps_is_the_layer_over_time(name, be):
    """As the book builds its TimeRNN: one layer object a step, their gradients added up."""
    T = 3
    arrays = weights(name, be)
    over_time = LAYERS[name][0](*arrays)
    steps = [STEPS[name](*arrays) for _ in range(T)]
    xs, dhs = draw(be, N, T, D), draw(be, N, T, H, seed=8)
    zeros = be.zeros((N, H), "float64")
    state = (zeros,) * (2 if name == "lstm" else 1)
    hs = to_host(over_time.forward(xs))
    for t, layer in enumerate(steps):
        state = as_tuple(layer.forward(xs[:, t, :], *state))
        np.testing.assert_allclose(to_host(state[0]), hs[:, t], atol=1e-13)
    dxs = to_host(over_time.backward(dhs))
    dstate = (zeros,) * len(state)
    for t in reversed(range(T)):
        dx, *dstate = steps[t].backward(dhs[:, t, :] + dstate[0], *dstate[1:])
        np.testing.assert_allclose(to_host(dx), dxs[:, t], atol=1e-13)
    for k, grad in enumerate(over_time.grads):
        total = sum(to_host(layer.grads[k]) for layer in steps)
        np.testing.assert_allclose(total, to_host(grad), atol=1e-12)


def test_the_two_gru_variants_are_two_functions(be):
    Wx, Wh, b = weights("gru-before", be)
    both = be.xp.stack([b, be.xp.zeros_like(b)], axis=0)
    x, h = draw(be, N, D), draw(be, N, H)
    after, before = GRU(Wx, Wh, both).forward(x, h), GRU(Wx, Wh, b).forward(x, h)
    assert np.abs(to_host(after) - to_host(before)).max() > 1e-3


def test_stale_caches(name, be):
    layer = STEPS[name](*weights(name, be))
    upstream = states(name, be, 5)
    cls = STEPS[name].__name__
    with pytest.raises(StaleCacheError, match=f"^{cls}: backward needs a forward"):
        layer.backward(*upstream)
    layer.forward(draw(be, N, D), *states(name, be, 3))
    layer.backward(*upstream)
    with pytest.raises(StaleCacheError, match=f"^{cls}: "):
        layer.backward(*upstream)


def test_the_door(name, be, strict):
    layer = STEPS[name](*weights(name, be))
    cls = STEPS[name].__name__
    x, before, upstream = draw(be, N, D), states(name, be, 3), states(name, be, 5)
    foreign = (strict if be.name != strict.name else _numpy()).zeros((N, D), "float64")
    for bad, error, message in (
        (draw(be, N, D + 1), ShapeError, rf"x has shape .*, expected \(N, D\) with D = {D}"),
        (draw(be, D), ShapeError, "x has shape"),
        (draw(be, N, D, dtype="float32"), DTypeError, "x has dtype"),
        (foreign, MixedBackendError, "x is a"),
        ([[1.0, 2.0]], MixedBackendError, r"x is a builtins\.list"),
    ):
        with pytest.raises(error, match=f"^{cls}: {message}"):
            layer.forward(bad, *before)
    with pytest.raises(ShapeError, match=rf"^{cls}: h_prev has shape .*expected \(N, H\) = "):
        layer.forward(x, draw(be, N + 1, H), *before[1:])
    layer.forward(x, *before)
    with pytest.raises(ShapeError, match=f"^{cls}: dh_next has shape"):
        layer.backward(draw(be, N, H + 1), *upstream[1:])
    if name == "lstm":
        with pytest.raises(ShapeError, match=r"^LSTM: c_prev has shape"):
            layer.forward(x, before[0], draw(be, N, H + 1))
        layer.forward(x, *before)
        with pytest.raises(DTypeError, match=r"^LSTM: dc_next has dtype"):
            layer.backward(upstream[0], draw(be, N, H, dtype="float32"))


def _numpy():
    from rnn_xp.backend import get_backend

    return get_backend("numpy")
