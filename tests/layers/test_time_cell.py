"""`TimeCell` with cells that are not the package's own: all that the protocol allows."""

import numpy as np
import pytest
from proof.usercell import LeakyCell

from rnn_xp.backend import to_host
from rnn_xp.cells import LSTMCell, RNNCell
from rnn_xp.errors import DTypeError, RnnXpError, ShapeError, StaleCacheError
from rnn_xp.layers import TimeCell
from rnn_xp.namespace import namespace_of

N, T, D, H, K = 3, 4, 2, 5, 3


class Average:
    """A cell without parameters and without a name for its input: a running average."""

    params = ()
    state_size = output_size = D

    def __init__(self, be):
        self.be = be
        self.params, self.grads = [], []

    def zero_state(self, N):
        return self.be.zeros((N, D), "float64")

    def forward(self, x, state):
        new = 0.5 * state + 0.5 * x
        return new, new, None

    def backward(self, doutput, dstate, cache):
        d = doutput if dstate is None else doutput + dstate
        return 0.5 * d, 0.5 * d


def draw(be, *shape, seed=0):
    return be.asarray(np.random.default_rng(seed).standard_normal(shape))


def leaky(be):
    return TimeCell(LeakyCell(draw(be, D, H), draw(be, H, H), draw(be, H, K)))


def test_a_cell_without_parameters(be):
    layer = TimeCell(Average(be))
    xs = draw(be, N, T, D)
    hs = to_host(layer.forward(xs))
    expected, state = [], np.zeros((N, D))
    for t in range(T):
        state = 0.5 * state + 0.5 * to_host(xs)[:, t]
        expected.append(state)
    np.testing.assert_allclose(hs, np.stack(expected, axis=1), atol=1e-14)
    dxs = to_host(layer.backward(None, be.asarray(np.ones((N, D)))))
    powers = 0.5 ** np.arange(T, 0, -1)
    np.testing.assert_allclose(dxs, np.broadcast_to(powers[None, :, None], dxs.shape))
    assert to_host(layer.dstate)[0, 0] == 0.5**T
    assert layer.params == layer.grads == []
    with pytest.raises(DTypeError, match=r"^TimeCell: xs has dtype"):
        layer.forward(be.zeros((N, T, D), "int64"))


def test_the_output_may_differ_from_the_state(be):
    layer = leaky(be)
    hs = layer.forward(draw(be, N, T, D), lengths=[T, 0, 2])
    assert hs.shape == (N, T, K)
    a, (s,) = layer.state
    assert a.shape == s.shape == (N, H)
    assert layer.backward(hs).shape == (N, T, D)
    assert layer.dstate[1][0].shape == (N, H)


def test_no_upstream_gradient_at_all(be):
    """Whatever the cell's cache is: a dict here, None in the cell above."""
    for layer in (leaky(be), TimeCell(Average(be))):
        layer.forward(draw(be, N, T, D), lengths=[T, 0, 2])
        assert not to_host(layer.backward(None)).any()
        assert not any(to_host(g).any() for g in layer.grads)


def test_a_cell_may_be_shared_by_two_layers(be):
    """It keeps weights and nothing else; the gradients are of the last backward pass."""
    cell = LSTMCell(draw(be, D, 4 * H), draw(be, H, 4 * H), draw(be, 4 * H))
    one, two, alone = TimeCell(cell), TimeCell(cell), TimeCell(LSTMCell(*cell.params))
    a, b, dhs = draw(be, N, T, D), draw(be, N, T, D, seed=1), draw(be, N, T, H)
    one.forward(a)
    two.forward(b)
    one.backward(dhs)
    alone.forward(a)
    alone.backward(dhs)
    for given, expected in zip(cell.grads, alone.grads, strict=True):
        np.testing.assert_array_equal(to_host(given), to_host(expected))


def test_the_state_in_the_cells_own_structure(be):
    layer = leaky(be)
    h = draw(be, N, H)
    for wrong in (h, (h, h), (h,), (h, (h, h)), ((h,), h)):
        with pytest.raises(ShapeError, match=r"state is .*, expected \(array, \(array,\),\)"):
            layer.set_state(wrong)
    with pytest.raises(ShapeError, match=r"state has shape .*, expected \(N, width\) = \(3, 5\)"):
        layer.set_state((h, (draw(be, N + 1, H),)))
    layer.set_state((h, (h,)))
    hs = layer.forward(draw(be, N, T, D))
    with pytest.raises(ShapeError, match=r"^TimeCell: dstate is array, expected"):
        layer.backward(hs, h)
    layer.set_state(None)
    assert layer.state is None


def test_the_input_width_is_checked_where_the_cell_tells_it(be):
    known = TimeCell(RNNCell(draw(be, D, H), draw(be, H, H), draw(be, H)))
    message = r"TimeCell: xs has shape .*, expected \(N, T, D\) with D = 2"
    with pytest.raises(ShapeError, match=message):
        known.forward(draw(be, N, T, D + 1))
    with pytest.raises(ShapeError, match=r"expected \(N, T, D\) with N and T at least 1$"):
        leaky(be).forward(draw(be, N, D))


def test_gradients_are_overwritten_although_cells_add(be):
    layer, dhs = leaky(be), draw(be, N, T, K)
    once = []
    for _ in range(2):
        layer.forward(draw(be, N, T, D))
        layer.backward(dhs)
        once.append([to_host(g).copy() for g in layer.grads])
    for a, b in zip(*once, strict=True):
        np.testing.assert_array_equal(a, b)
    assert layer.grads is layer.cell.grads
    assert namespace_of(layer.grads[0]) is be.xp


# ---- for_call: the cell to run for one call


class Scaled:
    """A running sum whose step t is scaled by what `for_call` drew for it."""

    state_size = output_size = D

    def __init__(self, be, log):
        self.be, self.log = be, log
        self.params, self.grads = [], []
        self.scales = None

    def zero_state(self, N):
        return self.be.zeros((N, D), "float64")

    def for_call(self, N, T, train):
        self.log.append((N, T, train))
        call = Scaled(self.be, self.log)
        call.params, call.grads = self.params, self.grads
        call.scales = iter(range(1, T + 1)) if train else iter([0.5] * T)
        return call

    def forward(self, x, state):
        scale = float(next(self.scales))
        new = state + scale * x
        return new, new, scale

    def backward(self, doutput, dstate, cache):
        d = doutput if dstate is None else doutput + dstate
        return cache * d, d


def test_for_call_gives_the_cell_of_one_call_and_of_its_backward(be):
    log = []
    cell = Scaled(be, log)
    layer = TimeCell(cell)
    xs = be.asarray(np.ones((N, T, D)))
    hs = to_host(layer.forward(xs))
    np.testing.assert_array_equal(hs[0, :, 0], np.cumsum(np.arange(1, T + 1)))
    layer.forward(xs, train=False)
    with pytest.raises(StaleCacheError):
        layer.backward(None)
    layer.forward(xs)
    dxs = to_host(layer.backward(None, be.asarray(np.ones((N, D)))))
    np.testing.assert_array_equal(dxs[0, :, 0], np.arange(1, T + 1))
    assert log == [(N, T, True), (N, T, False), (N, T, True)]
    assert layer.cell is cell
    assert cell.scales is None  # the cell itself keeps nothing


def test_a_refused_call_asks_for_no_cell(be):
    log = []
    layer = TimeCell(Scaled(be, log), stateful=True)
    layer.forward(be.asarray(np.ones((N, T, D))))
    for xs, options in (
        (np.ones((N + 1, T, D)), {}),
        (np.ones((N, T)), {}),
        (np.ones((N, T, D)), {"lengths": [T + 1, 0, 0]}),
    ):
        with pytest.raises(RnnXpError):
            layer.forward(be.asarray(xs), **options)
    assert len(log) == 1
