"""`WeightDrop`: its masks, its counter, and what it leaves alone. Gradients: tests/proof."""

import numpy as np
import pytest
from layer_kinds import draw
from proof.usercell import LeakyCell
from wrapper_kinds import H, N, T, gru, lstm

from rnn_xp.backend import to_host
from rnn_xp.cells import RNNCell, StackedCell, ZoneoutCell
from rnn_xp.layers import Bidirectional, Residual, Stack, TimeCell, TrainableState, WeightDrop
from rnn_xp.rng import DropoutKey, draw_dropout_mask


def masked(be, call, ratio=0.4):
    """A layer whose recurrent weights are masked by hand."""
    layer = lstm(be)
    mask = draw_dropout_mask((H, 4 * H), ratio, DropoutKey(3, 2, call))
    layer.params[1] = be.asarray(to_host(layer.params[1]) * mask)
    return layer, mask


def test_one_mask_a_call(be):
    net, xs, dhs = WeightDrop(lstm(be), 0.4, seed=3, stream=2), draw(be, N, T, H), draw(be, N, T, H)
    own = net.params[1]
    for call in range(2):
        layer, mask = masked(be, call)
        np.testing.assert_array_equal(to_host(net.forward(xs)), to_host(layer.forward(xs)))
        assert net.params[1] is own
        np.testing.assert_array_equal(to_host(net.backward(dhs)), to_host(layer.backward(dhs)))
        assert net.counter == call + 1
        assert net.params[1] is own
        assert not to_host(net.grads[1])[mask == 0.0].any()
        np.testing.assert_allclose(to_host(net.grads[1]), to_host(layer.grads[1]) * mask)


@pytest.mark.parametrize("options", [{"train": False}, {}])
def test_nothing_is_dropped_without_train_or_ratio(be, options):
    net = WeightDrop(lstm(be), 0.0 if not options else 0.4)
    xs = draw(be, N, T, H)
    expected = lstm(be).forward(xs)
    np.testing.assert_array_equal(to_host(net.forward(xs, **options)), to_host(expected))
    assert net.counter == 0


def test_a_refused_call_changes_nothing(be):
    net = WeightDrop(lstm(be), 0.4)
    own = net.params[1]
    with pytest.raises(ValueError, match="xs has shape"):
        net.forward(draw(be, N, T, H + 1))
    assert net.params[1] is own
    assert net.counter == 0


def test_a_users_cell(be):
    """Whose gradients come from the weights that its `params` hold."""
    cell = LeakyCell(draw(be, H, H), draw(be, H, H, seed=2), draw(be, H, H, seed=3))
    net = WeightDrop(TimeCell(cell), 0.4)
    xs = draw(be, N, T, H)
    net.backward(net.forward(xs))
    assert not (to_host(net.grads[1]) != 0.0).all()
    assert np.abs(to_host(net.grads[1])).max() > 0.0


def test_the_door(be):
    for ratio in (-0.1, 1.0, 0.999999):
        with pytest.raises(ValueError, match=r"WeightDrop: ratio = .*, expected 0 <= ratio < 1"):
            WeightDrop(lstm(be), ratio)
    with pytest.raises(ValueError, match="WeightDrop: seed = -1"):
        WeightDrop(lstm(be), 0.5, seed=-1)
    for net in (
        Stack([lstm(be), gru(be)]),
        Bidirectional(lstm(be), gru(be)),
        TrainableState(lstm(be)),
    ):
        with pytest.raises(TypeError, match="has the parameters of several parts; wrap each"):
            WeightDrop(net)
    for index in (2, 3, -1):
        with pytest.raises(TypeError, match=rf"WeightDrop: parameter {index} of TimeLSTM is not"):
            WeightDrop(lstm(be), parameter=index)
    with pytest.raises(TypeError, match="WeightDrop: wraps a list, expected a recurrent layer"):
        WeightDrop([])


def test_stacked_cells_are_refused(be):
    """There `Wh` would be that of the lowest cell alone."""
    low, high = (
        RNNCell(draw(be, H, H), draw(be, H, H, seed=2), draw(be, H, seed=k)) for k in (3, 4)
    )
    cell = StackedCell([low, high])
    for stacked in (cell, ZoneoutCell(cell, (0.1, 0.1)), StackedCell([cell])):
        layer = TimeCell(stacked)
        for net in (layer, Residual(layer)):
            with pytest.raises(TypeError, match="TimeCell runs a StackedCell; take a Stack of"):
                WeightDrop(net)
    WeightDrop(TimeCell(ZoneoutCell(low, 0.1)))
