"""`Bidirectional` and `Stack`: merges, states, and what they refuse. Gradients: tests/proof."""

import numpy as np
import pytest
from layer_kinds import LAYERS, D, H, N, T, draw, make

from rnn_xp.backend import to_host
from rnn_xp.errors import DTypeError, MixedBackendError, ShapeError, StaleCacheError
from rnn_xp.layers import Bidirectional, Residual, Stack, TimeDropout, TimeRNN

LENGTHS = [T, 1, 2]


def pair(be, name="lstm", **options):
    return [make(name, be, seed=k, **options) for k in (0, 1)]


@pytest.mark.parametrize("merge", ["sum", "mean", None])
@pytest.mark.parametrize("lengths", [None, LENGTHS])
@pytest.mark.parametrize("time_major", [False, True])
def test_merges(be, merge, lengths, time_major):
    """Each merge is a function of what "concat" puts side by side, and so is its gradient."""
    shape = (T, N) if time_major else (N, T)
    xs, dhs = draw(be, *shape, D), draw(be, *shape, H, seed=4)
    side = Bidirectional(*pair(be, time_major=time_major))
    whole = side.forward(xs, lengths=lengths)
    there, back = whole[:, :, :H], whole[:, :, H:]
    factor = 0.5 if merge == "mean" else 1.0
    net = Bidirectional(*pair(be, time_major=time_major), merge)
    hs = net.forward(xs, lengths=lengths)
    if merge is None:
        assert isinstance(hs, tuple)
        pairs = [(hs[0], there), (hs[1], back)]
    else:
        pairs = [(hs, factor * (there + back))]
    for given, expected in pairs:
        np.testing.assert_allclose(to_host(given), to_host(expected), atol=1e-14)
    expected = side.backward(be.xp.concat([factor * dhs, factor * dhs], axis=2))
    dxs = net.backward((dhs, dhs) if merge is None else dhs)
    np.testing.assert_allclose(to_host(dxs), to_host(expected), atol=1e-14)
    for a, b in zip(net.grads, side.grads, strict=True):
        np.testing.assert_allclose(to_host(a), to_host(b), atol=1e-14)


@pytest.mark.parametrize("lengths", [None, LENGTHS])
def test_merge_by_product(be, lengths):
    xs, dhs = draw(be, N, T, D), draw(be, N, T, H, seed=4)
    both, net = Bidirectional(*pair(be), None), Bidirectional(*pair(be), "mul")
    there, back = both.forward(xs, lengths=lengths)
    np.testing.assert_array_equal(to_host(net.forward(xs, lengths=lengths)), to_host(there * back))
    expected = both.backward((dhs * back, dhs * there))
    np.testing.assert_array_equal(to_host(net.backward(dhs)), to_host(expected))
    for a, b in zip(net.grads, both.grads, strict=True):
        np.testing.assert_array_equal(to_host(a), to_host(b))


def test_one_direction_without_a_gradient(be):
    xs, dhs = draw(be, N, T, D), draw(be, N, T, H, seed=4)
    net = Bidirectional(*pair(be), None)
    results = []
    for given in ((dhs, None), (dhs, 0.0 * dhs), (None, dhs), (0.0 * dhs, dhs)):
        net.forward(xs)
        results.append(to_host(net.backward(given)))
    np.testing.assert_array_equal(results[0], results[1])
    np.testing.assert_array_equal(results[2], results[3])
    net.forward(xs)
    assert not to_host(net.backward(None)).any()


def test_the_backward_direction_starts_at_the_last_valid_step(be):
    """A short row of a batch gives what it gives on its own."""
    xs = draw(be, N, T, D)
    net = Bidirectional(*pair(be))
    hs = to_host(net.forward(xs, lengths=LENGTHS))
    for n, length in enumerate(LENGTHS):
        alone = to_host(net.forward(xs[n : n + 1, :length, :]))
        np.testing.assert_allclose(hs[n, :length], alone[0], atol=1e-14)
        assert not hs[n, length:].any()


def test_directions_of_two_kinds(be):
    net = Bidirectional(make("lstm", be), make("gru-after", be))
    hs = net.forward(draw(be, N, T, D))
    assert hs.shape == (N, T, 2 * H)
    assert len(net.params) == len(net.grads) == 6
    assert net.backward(hs).shape == (N, T, D)
    assert [len(s) for s in net.state] == [2, 1]
    assert len(net.leaves()) == 2


def test_directions_of_two_widths(be):
    narrow = TimeRNN(draw(be, D, 2), draw(be, 2, 2), draw(be, 2))
    net = Bidirectional(make("rnn", be), narrow)
    assert net.backward(net.forward(draw(be, N, T, D))).shape == (N, T, D)
    with pytest.raises(ShapeError, match="Bidirectional: the outputs, for merge = 'sum', of the"):
        Bidirectional(make("rnn", be), narrow, "sum")


def test_states_of_nets(be):
    net = Stack([Bidirectional(*pair(be, stateful=True), "sum"), make_top(be, stateful=True)])
    xs = draw(be, N, T, D)
    first = net.forward(xs)
    kept = net.state
    second = to_host(net.forward(xs))
    net.state = kept
    np.testing.assert_array_equal(to_host(net.forward(xs)), second)
    net.reset_state()
    np.testing.assert_array_equal(to_host(net.forward(xs)), to_host(first))


def make_top(be, **options):
    return TimeRNN(draw(be, H, H), draw(be, H, H), draw(be, H), **options)


@pytest.mark.parametrize("name", LAYERS)
def test_a_stack_is_its_layers_in_turn(be, name):
    xs, dhs = draw(be, N, T, D), draw(be, N, T, H, seed=4)
    bottom, top = make(name, be), make_top(be)
    net = Stack([make(name, be), TimeDropout(0.3, seed=2), make_top(be)])
    dropout = TimeDropout(0.3, seed=2)
    hs = top.forward(dropout.forward(bottom.forward(xs, lengths=LENGTHS)), lengths=LENGTHS)
    np.testing.assert_array_equal(to_host(net.forward(xs, lengths=LENGTHS)), to_host(hs))
    dxs = bottom.backward(dropout.backward(top.backward(dhs)))
    np.testing.assert_array_equal(to_host(net.backward(dhs)), to_host(dxs))
    for a, b in zip(net.grads, bottom.grads + top.grads, strict=True):
        np.testing.assert_array_equal(to_host(a), to_host(b))


def test_gradients_into_the_states_of_a_stack(be):
    """Those that the layers get when they are run by hand."""
    xs, dhs, dh, dc = (
        draw(be, *s, seed=k) for k, s in enumerate([(N, T, D), *[(N, T, H)], *[(N, H)] * 2])
    )
    bottom, top = make("lstm", be), make_top(be)
    net = Stack([make("lstm", be), make_top(be)])
    net.set_state([(dh, dc), (dc,)])
    bottom.set_state(dh, dc)
    top.set_state(dc)
    top.forward(bottom.forward(xs))
    net.forward(xs)
    expected = bottom.backward(top.backward(dhs, dh), None, dc)
    dxs = net.backward(dhs, dstate=[(None, dc), (dh,)])
    np.testing.assert_array_equal(to_host(dxs), to_host(expected))
    for given, part in zip(net.dstate[0], (bottom.dh, bottom.dc), strict=True):
        np.testing.assert_array_equal(to_host(given), to_host(part))
    np.testing.assert_array_equal(to_host(net.dstate[1][0]), to_host(top.dh))


def test_a_stack_with_dropout_on_top_takes_no_gradient(be):
    net = Stack([make("lstm", be), TimeDropout(0.3)])
    net.forward(draw(be, N, T, D))
    dh = draw(be, N, H)
    assert np.abs(to_host(net.backward(None, dstate=[(dh, dh), None]))).max() > 0.0


def test_states_of_the_wrong_structure(be):
    net = Stack([make("lstm", be), TimeDropout(0.3)])
    h = draw(be, N, H)
    for states in ([None], (h, h, h), h):
        with pytest.raises(
            TypeError, match=r"Stack: state is a \w+( of \d)?, expected a list of 2"
        ):
            net.set_state(states)
    with pytest.raises(TypeError, match="Stack: state has an entry for layer 1, a TimeDropout"):
        net.set_state([None, h])
    with pytest.raises(
        TypeError, match=r"TimeLSTM: state is a tuple of 1, expected a tuple \(h, c"
    ):
        net.set_state([(h,), None])
    net.forward(draw(be, N, T, D))
    with pytest.raises(TypeError, match=r"TimeLSTM: dstate is a \w+, expected a tuple \(h, c"):
        net.backward(None, dstate=[h, None])
    pair_of = Bidirectional(*pair(be), None)
    pair_of.forward(draw(be, N, T, D))
    with pytest.raises(TypeError, match=r"Bidirectional: dhs is a \w+, expected a tuple of two"):
        pair_of.backward(h)


def test_a_residual_of_another_width(be):
    with pytest.raises(ShapeError, match=r"Residual: the input of TimeLSTM is 2 wide and its"):
        Residual(make("lstm", be))
    layer = Residual(Bidirectional(*pair(be), None))
    with pytest.raises(ShapeError, match=r"Residual: the output of \w+ is .*, expected \(3, 4"):
        layer.forward(draw(be, N, T, D))


def test_a_stack_without_train_drops_nothing(be):
    net = Stack([make("rnn", be), TimeDropout(0.3), make_top(be)])
    plain = Stack([make("rnn", be), make_top(be)])
    xs = draw(be, N, T, D)
    expected = to_host(plain.forward(xs))
    np.testing.assert_array_equal(to_host(net.forward(xs, train=False)), expected)
    assert net.layers[1].counter == 0
    with pytest.raises(StaleCacheError, match=r"TimeRNN: backward needs a forward\(train=True\)"):
        net.backward(draw(be, N, T, H))


def test_the_door(be, strict):
    a, b = pair(be)
    with pytest.raises(ValueError, match="Bidirectional: merge = 'ave', expected one of"):
        Bidirectional(a, b, "ave")
    with pytest.raises(ValueError, match="Bidirectional: the two directions need a layer each"):
        Bidirectional(a, a)
    with pytest.raises(ValueError, match="Bidirectional: one layer is time_major"):
        Bidirectional(a, make("lstm", be, time_major=True))
    with pytest.raises(ValueError, match="Stack: needs at least one layer"):
        Stack([])
    with pytest.raises(ValueError, match="Stack: a layer is there twice"):
        Stack([a, b, a])
    for other in (make("lstm", be, time_major=True), TimeDropout(time_major=True)):
        with pytest.raises(ValueError, match="Stack: some layers are time_major"):
            Stack([a, other])
    net = Bidirectional(a, b)
    with pytest.raises(ShapeError, match="Bidirectional: xs has shape"):
        net.forward(draw(be, N, T))
    with pytest.raises(DTypeError, match=r"Bidirectional: xs is a builtins\.list"):
        net.forward([[[1.0, 2.0]]])
    with pytest.raises(DTypeError, match="Bidirectional: xs has dtype"):
        net.forward(be.zeros((N, T, D), "int64"))
    foreign = draw(strict, N, T, D) if be.name != strict.name else np.zeros((N, T, D))
    with pytest.raises(MixedBackendError, match="TimeLSTM: xs is a"):
        net.forward(foreign)
    with pytest.raises(ShapeError, match="Bidirectional: lengths has shape"):
        net.forward(draw(be, N, T, D), lengths=[1])
    with pytest.raises(StaleCacheError, match=r"^Bidirectional: backward needs"):
        net.backward(draw(be, N, T, 2 * H))
    for merge, width in (("concat", 2 * H), ("sum", H)):
        net = Bidirectional(*pair(be), merge)
        net.forward(draw(be, N, T, D))
        with pytest.raises(ShapeError, match=rf"Bidirectional: dhs has shape .*{width}\)"):
            net.backward(draw(be, N, T, width + 1))


def test_time_major_nets(be):
    net = Stack([Bidirectional(*pair(be, time_major=True)), TimeDropout(time_major=True)])
    assert net.time_major
    assert net.forward(draw(be, T, N, D), lengths=LENGTHS).shape == (T, N, 2 * H)
    assert not Stack([make("rnn", be)]).time_major
