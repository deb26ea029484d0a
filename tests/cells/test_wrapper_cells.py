"""`ResidualCell`, `StatesAsOutputCell`, `StackedCell`, and wrappers in general.

Their gradients are in the proof grid; here is what they say, refuse, copy and rebind.
"""

import copy
import pickle

import numpy as np
import pytest
from proof.usercell import LeakyCell

from rnn_xp.backend import to_host
from rnn_xp.cells import (
    DropoutCell,
    GRUCell,
    LSTMCell,
    ResidualCell,
    RNNCell,
    StackedCell,
    StatesAsOutputCell,
    WrapperCell,
    ZoneoutCell,
    random_cells,
)
from rnn_xp.errors import ShapeError
from rnn_xp.layers import Stack, TimeCell, TimeGRU, TimeLSTM
from rnn_xp.testing import check_cell_gradients

N, T, D, H = 3, 4, 2, 5


def draw(be, *shape, seed=0):
    return be.asarray(0.6 * np.random.default_rng(seed).standard_normal(shape))


def lstm(be, width=D, size=H, seed=0):
    shapes = ((width, 4 * size), (size, 4 * size), (4 * size,))
    return [draw(be, *s, seed=seed + k) for k, s in enumerate(shapes)]


def gru(be, width=H, size=H, seed=7):
    shapes = ((width, 3 * size), (size, 3 * size), (2, 3 * size))
    return [draw(be, *s, seed=seed + k) for k, s in enumerate(shapes)]


def test_residual_adds_the_input(be):
    params = lstm(be, H)
    xs = draw(be, N, T, H)
    plain = TimeCell(LSTMCell(*params))
    residual = TimeCell(ResidualCell(LSTMCell(*params)))
    np.testing.assert_allclose(
        to_host(residual.forward(xs)), to_host(plain.forward(xs)) + to_host(xs), rtol=1e-14
    )
    for a, b in zip(residual.state, plain.state, strict=True):
        np.testing.assert_array_equal(to_host(a), to_host(b))
    hs = residual.forward(xs, lengths=[T, 0, 2])
    assert not to_host(hs)[1].any()  # masked steps give zeros, not the input


def test_residual_needs_one_width():
    numbers = np.random.default_rng(0)
    params = [numbers.standard_normal(s) for s in ((D, 4 * H), (H, 4 * H), (4 * H,))]
    with pytest.raises(ShapeError, match=r"^ResidualCell: the input is 2 wide and the output 5"):
        ResidualCell(LSTMCell(*params))
    cell = ResidualCell(LeakyCell(*(numbers.standard_normal(s) for s in ((D, H), (H, H), (H, 3)))))
    with pytest.raises(ShapeError, match=r"^ResidualCell: the input is 2 wide and the output 3"):
        cell.forward(np.ones((N, D)), cell.zero_state(N))


def test_all_hidden_and_cell_states_of_every_step(be):
    params, xs = lstm(be), draw(be, N, T, D)
    states = to_host(TimeCell(StatesAsOutputCell(LSTMCell(*params))).forward(xs))
    cell = LSTMCell(*params)
    state = cell.zero_state(N)
    for t in range(T):
        _, state, _ = cell.forward(xs[:, t, :], state)
        np.testing.assert_array_equal(states[:, t, :H], to_host(state[0]))
        np.testing.assert_array_equal(states[:, t, H:], to_host(state[1]))


def test_states_as_output_of_any_structure(be, rng):
    cell = StatesAsOutputCell(LeakyCell(draw(be, D, H), draw(be, H, H), draw(be, H, 3)))
    assert cell.output_size == 2 * H
    assert cell.state_size == (H, (H,))
    x = be.asarray(rng.standard_normal((N, D)))
    parts = [be.asarray(rng.standard_normal((N, H))) for _ in range(2)]
    check_cell_gradients(cell, x, (parts[0], (parts[1],)))


def test_a_stack_of_cells_is_a_stack_of_layers(be):
    low, high = lstm(be), gru(be)
    layer = TimeCell(StackedCell([LSTMCell(*low), GRUCell(*high)]))
    stack = Stack([TimeLSTM(*low), TimeGRU(*high)])
    xs, dhs = draw(be, N, T, D), draw(be, N, T, H)
    results = []
    for net in (layer, stack):
        hs = net.forward(xs, lengths=[T, 0, 2])
        dxs = net.backward(dhs)
        results.append([to_host(a).copy() for a in (hs, dxs, *net.grads)])
    for a, b in zip(*results, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-13)
    (h, c), top = layer.state
    assert [s.shape for s in (h, c, top)] == [(N, H)] * 3


def test_a_stack_tells_its_sizes(be):
    cell = StackedCell([LSTMCell(*lstm(be)), GRUCell(*gru(be, H, 4))])
    assert (cell.input_size, cell.output_size) == (D, 4)
    assert cell.state_size == ((H, H), 4)
    assert len(cell.params) == len(cell.grads) == 6


def test_a_stack_that_does_not_fit():
    from rnn_xp.backend import get_backend

    be = get_backend("numpy")
    low, high = LSTMCell(*lstm(be)), GRUCell(*gru(be, H + 1))
    message = "^StackedCell: cell 1 takes an input 6 wide, but the output of cell 0 is 5 wide"
    with pytest.raises(ShapeError, match=message):
        StackedCell([low, high])
    with pytest.raises(ValueError, match=r"^StackedCell: needs at least one cell"):
        StackedCell([])
    square = LSTMCell(*lstm(be, H))
    with pytest.raises(ValueError, match=r"^StackedCell: a cell is there twice"):
        StackedCell([square, square])
    with pytest.raises(ValueError, match=r"^StackedCell: params is set to 1 arrays, expected 3"):
        StackedCell([square]).params = [square.params[0]]


def wrapped(be):
    """Wrappers in wrappers, with all that can be random."""
    below = ZoneoutCell(DropoutCell(LSTMCell(*lstm(be)), 0.2, 0.2, 0.2), (0.1, 0.2), stream=1)
    above = ResidualCell(DropoutCell(GRUCell(*gru(be)), state=0.3, variational=True, stream=2))
    return StatesAsOutputCell(StackedCell([below, above]))


def test_wrappers_in_wrappers_on_any_backend(be, strict):
    layer = TimeCell(wrapped(be))
    xs = draw(be, N, T, D)
    hs = layer.forward(xs, lengths=[T, 0, 2])
    assert hs.shape == (N, T, 3 * H)
    layer.backward(hs)
    assert all(np.isfinite(to_host(g)).all() for g in layer.grads)
    assert [cell.counter for cell in random_cells(layer.cell)] == [1, 1, 1]
    moved = layer.to(strict)
    again = layer.forward(xs, train=False)
    other = moved.forward(strict.asarray(to_host(xs)), train=False)
    np.testing.assert_allclose(to_host(other), to_host(again), atol=1e-13)
    moved.params[0][...] = 0.0 * moved.params[0]
    np.testing.assert_array_equal(to_host(layer.forward(xs, train=False)), to_host(again))
    assert to_host(layer.params[0]).any()


def test_a_copy_on_another_backend_has_its_own_gradients(strict):
    from rnn_xp.backend import get_backend

    be = get_backend("numpy")
    layer = TimeCell(wrapped(be))
    moved = layer.to(strict)
    xs = draw(strict, N, T, D)
    moved.backward(moved.forward(xs))
    assert all(to_host(g).any() for g in moved.grads)
    assert not any(g.any() for g in layer.grads)
    assert all(a is b for a, b in zip(moved.grads, moved.cell.grads, strict=True))


def test_rebound_parameters_are_used(be):
    """A model puts views of its flat buffers into the lists of its layers."""
    for make in (wrapped, lambda be: StackedCell([RNNCell(draw(be, D, D), *small(be))])):
        layer = TimeCell(make(be))
        xs = draw(be, N, T, D)
        for k in range(len(layer.params)):
            layer.params[k] = be.asarray(0.5 * to_host(layer.params[k]))
            layer.grads[k] = be.xp.zeros_like(layer.params[k])
        halved = layer.forward(xs, train=False)
        fresh = TimeCell(make(be))
        for p in fresh.params:
            p[...] = 0.5 * p
        expected = fresh.forward(xs, train=False)
        np.testing.assert_array_equal(to_host(halved), to_host(expected))
        layer.backward(layer.forward(xs))
        assert any(to_host(g).any() for g in layer.grads)


def small(be):
    return draw(be, D, D), draw(be, D)


def test_layers_with_wrapped_cells_copy_and_pickle():
    from rnn_xp.backend import get_backend

    be = get_backend("numpy")
    layer = TimeCell(wrapped(be))
    xs = draw(be, N, T, D)
    layer.forward(xs)
    expected = None
    for other in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        hs = other.forward(xs)
        other.backward(hs)
        assert all(a is b for a, b in zip(other.grads, other.cell.grads, strict=True))
        assert expected is None or (hs == expected).all()
        expected = hs
    np.testing.assert_array_equal(layer.forward(xs), expected)  # the same masks come next


def test_a_wrapper_of_ones_own(be, rng):
    """Scales the input; everything else is inherited."""

    class Scaled(WrapperCell):
        def forward(self, x, state):
            return self.cell.forward(2.0 * x, state)

        def backward(self, doutput, dstate, cache):
            dx, before = self.cell.backward(doutput, dstate, cache)
            return 2.0 * dx, before

    cell = Scaled(LSTMCell(*lstm(be)))
    state = tuple(be.asarray(rng.standard_normal((N, H))) for _ in range(2))
    check_cell_gradients(cell, be.asarray(rng.standard_normal((N, D))), state)
    assert (cell.input_size, cell.output_size, cell.state_size) == (D, H, (H, H))
