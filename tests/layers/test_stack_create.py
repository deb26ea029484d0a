"""`Stack.create`: layers of any widths with the options around them."""

import numpy as np
import pytest
from layer_kinds import draw

from rnn_xp.backend import to_host
from rnn_xp.layers import (
    Bidirectional,
    Residual,
    Stack,
    TimeDropout,
    TimeGRU,
    TimeLSTM,
    TimeRNN,
    TrainableState,
    WeightDrop,
)
from rnn_xp.layers.composite import random_parts

N, T, D = 3, 4, 2
LENGTHS = [T, 0, 2]


def names(layer):
    """The class names of a layer and of what it wraps."""
    inner = getattr(layer, "layer", None)
    return [layer.name, *(names(inner) if inner is not None else [])]


@pytest.mark.parametrize("kind", [TimeRNN, TimeLSTM, TimeGRU])
def test_widths(kind, be):
    net = Stack.create(kind, D, (5, 3), rng=1, backend=be, dtype="float64", stateful=True)
    assert [layer.params[1].shape[0] for layer in net.layers] == [5, 3]
    assert net.stateful
    hs = net.forward(draw(be, N, T, D), lengths=LENGTHS)
    assert hs.shape == (N, T, 3)
    assert net.backward(hs).shape == (N, T, D)
    again = Stack.create(kind, D, [5, 3], rng=1, backend=be, dtype="float64")
    for a, b in zip(net.params, again.params, strict=True):
        np.testing.assert_array_equal(to_host(a), to_host(b))


def test_all_options_at_once(be):
    net = Stack.create(
        TimeLSTM,
        D,
        (4, 4, 3),
        bidirectional=True,
        merge="sum",
        residual=True,
        dropout=0.3,
        variational=True,
        weight_drop=0.2,
        trainable_state=True,
        seed=7,
        backend=be,
        dtype="float64",
        time_major=True,
        forget_bias=2.0,
    )
    kinds = [TrainableState, TimeDropout, TrainableState, TimeDropout, TrainableState]
    assert [type(layer) for layer in net.layers] == kinds
    # The input of the first and of the last layer is not as wide as the output.
    assert [type(net.layers[k].layer) for k in (0, 2, 4)] == [
        Bidirectional,
        Residual,
        Bidirectional,
    ]
    assert names(net.layers[2].layer.layer.forward_layer) == ["WeightDrop", "TimeLSTM"]
    parts = random_parts(net)
    assert [type(p) for p in parts].count(WeightDrop) == 6
    assert len({p.stream for p in parts}) == len(parts) == 8
    assert {p.seed for p in parts} == {7}
    hs = net.forward(draw(be, T, N, D), lengths=LENGTHS)
    assert hs.shape == (T, N, 3)
    assert net.backward(hs).shape == (T, N, D)
    assert all(np.abs(to_host(g)).max() > 0.0 for g in net.grads)
    assert {p.counter for p in parts} == {1}


def test_sides_that_are_put_together_are_twice_as_wide(be):
    net = Stack.create(TimeGRU, 6, (3, 3), bidirectional=True, residual=True, backend=be)
    assert [layer.name for layer in net.layers] == ["Residual", "Residual"]
    assert net.forward(be.zeros((N, T, 6), "float32")).shape == (N, T, 6)


def test_the_door(be):
    with pytest.raises(ValueError, match="Stack: needs at least one layer"):
        Stack.create(TimeGRU, D, ())
    with pytest.raises(ValueError, match="TimeGRU: H = 0, expected a positive integer"):
        Stack.create(TimeGRU, D, (0,))
    with pytest.raises(TypeError, match="TimeGRU: H is a float, expected a positive integer"):
        Stack.create(TimeGRU, D, (3.0,))
    with pytest.raises(ValueError, match="WeightDrop: ratio = 1"):
        Stack.create(TimeGRU, D, (3,), weight_drop=1.0)
