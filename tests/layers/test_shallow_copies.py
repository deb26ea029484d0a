"""`copy.copy` of a layer shares its parameters, and nothing that a call changes."""

import copy

import numpy as np
import pytest
from layer_kinds import LAYERS, D, H, N, T, draw, make, parts

from rnn_xp.backend import to_host
from rnn_xp.cells import DropoutCell, LSTMCell, ZoneoutCell
from rnn_xp.layers import TimeCell, TrainableState, WeightDrop

WRAPPED = {
    "weight drop": lambda layer: WeightDrop(layer, 0.5),
    "trainable state": TrainableState,
    "itself": lambda layer: layer,
}


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("wrapper", WRAPPED)
def test_a_call_of_the_copy_does_not_move_the_state(be, name, wrapper):
    layer = WRAPPED[wrapper](make(name, be, stateful=True))
    layer.forward(draw(be, N, T, D))
    before = [to_host(a).copy() for a in parts(layer.state)]
    other = copy.copy(layer)
    for a, b in zip(parts(other.state), before, strict=True):
        np.testing.assert_array_equal(to_host(a), b)
    other.forward(draw(be, N, T, D, seed=8))
    for a, b in zip(parts(layer.state), before, strict=True):
        np.testing.assert_array_equal(to_host(a), b)
    other.reset_state()
    assert other.state is None
    assert layer.state is not None
    other.stateful = False
    assert layer.stateful


def test_a_call_of_the_copy_draws_no_mask_of_the_original(be):
    arrays = [draw(be, *shape) for shape in ((D, 4 * H), (H, 4 * H), (4 * H,))]
    cell = ZoneoutCell(DropoutCell(LSTMCell(*arrays), state=0.4), 0.4)
    layer, twin = (TimeCell(copy.deepcopy(cell)) for _ in range(2))
    xs = draw(be, N, T, D)
    other = copy.copy(layer)
    assert other.params[0] is layer.params[0]
    other.forward(xs)
    np.testing.assert_array_equal(to_host(layer.forward(xs)), to_host(twin.forward(xs)))
