"""What is no array of the right kind is refused in one line, not by the array library."""

import numpy as np
import pytest
from layer_kinds import LAYERS, D, H, N, T, draw, make

from rnn_xp.backend import to_host
from rnn_xp.cells import (
    GRUCell,
    LayerNormGRUCell,
    LayerNormLSTMCell,
    LayerNormLSTMPCell,
    LayerNormRNNCell,
    LSTMCell,
    LSTMPCell,
    RNNCell,
)
from rnn_xp.errors import DTypeError, MixedBackendError, RnnXpError, ShapeError
from rnn_xp.layers import (
    LSTM,
    TimeAffineSoftmaxWithLoss,
    TimeGRU,
    TimeLSTM,
    TimeRNN,
    TimeSoftmaxWithLoss,
)

EXTRA = {
    LayerNormRNNCell: 1,
    LayerNormGRUCell: 1,
    LayerNormLSTMCell: 3,
    LayerNormLSTMPCell: 3,
}
MADE_OF_WEIGHTS = [RNNCell, LSTMCell, GRUCell, LSTMPCell, *EXTRA, TimeRNN, TimeLSTM, TimeGRU, LSTM]


@pytest.mark.parametrize("kind", MADE_OF_WEIGHTS, ids=lambda kind: kind.__name__)
def test_weights_that_are_no_arrays(be, kind):
    where = kind.__name__ if kind is not LSTM else "LSTMCell"
    lists = [[[1.0]], [[1.0]], [1.0], *[[1.0]] * EXTRA.get(kind, 0)]
    with pytest.raises(DTypeError, match=rf"^{where}: Wx is a builtins\.list, expected an array"):
        kind(*lists)
    arrays = [be.zeros((D, 4 * H), "float32"), *lists[1:]]
    with pytest.raises(MixedBackendError, match=f"^{where}: Wh is a builtins.list"):
        kind(*arrays)


@pytest.mark.parametrize("kind", MADE_OF_WEIGHTS, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("shape", [(), (4,), (0, 3, 1)])
def test_recurrent_weights_that_are_no_matrix(be, kind, shape):
    arrays = [be.zeros(s, "float32") for s in ((D, 4 * H), shape, (4 * H,))]
    extra = [be.zeros((1,), "float32")] * EXTRA.get(kind, 0)
    with pytest.raises(ShapeError, match=r"Cell: Wh has|Time\w+: Wh has") as caught:
        kind(*arrays, *extra)
    assert "\n" not in str(caught.value)


def losses(be):
    for layer, xs in (
        (TimeSoftmaxWithLoss(), draw(be, N, T, H)),
        (TimeAffineSoftmaxWithLoss(draw(be, D, H), draw(be, H)), draw(be, N, T, D)),
    ):
        layer.forward(xs, np.zeros((N, T), int))
        yield layer


@pytest.mark.parametrize(
    "dout", [np.array([2.0]), np.ones((N, T)), [2.0], (), "2", None, {}], ids=repr
)
def test_a_loss_gradient_that_is_no_number(be, dout):
    for layer in losses(be):
        with pytest.raises(RnnXpError, match=f"^{layer.name}: dout ") as caught:
            layer.backward(dout)
        assert "\n" not in str(caught.value)
        layer.backward()  # the refused call used nothing up


def test_a_loss_gradient_on_the_device_must_be_a_number(be):
    for layer in losses(be):
        with pytest.raises(ShapeError, match=r"dout has shape \(1,\), expected a number or a 0-d"):
            layer.backward(be.zeros((1,), "float64"))


@pytest.mark.parametrize("two", [2, 2.0, np.float32(2), np.array(2.0), np.array(2), "device"])
def test_numbers_scale_a_loss_gradient(be, two):
    two = be.asarray(np.array(2.0)) if isinstance(two, str) else two
    once = [to_host(layer.backward()).copy() for layer in losses(be)]
    twice = [to_host(layer.backward(two)) for layer in losses(be)]
    for a, b in zip(once, twice, strict=True):
        np.testing.assert_array_equal(2 * a, b)


@pytest.mark.parametrize("name", LAYERS)
def test_lengths_may_be_any_sequence_of_integers(be, name):
    layer, xs = make(name, be), draw(be, N, T, D)
    expected = to_host(layer.forward(xs, lengths=np.arange(N)))
    for lengths in (range(N), list(range(N)), tuple(range(N)), memoryview(bytes(range(N)))):
        np.testing.assert_array_equal(to_host(layer.forward(xs, lengths=lengths)), expected)
    for lengths, error in (
        (range(N + 1), ShapeError),
        ("abc", RnnXpError),
        (object(), MixedBackendError),
        ([0.5] * N, DTypeError),
    ):
        with pytest.raises(error, match=f"^{layer.name}: lengths "):
            layer.forward(xs, lengths=lengths)
