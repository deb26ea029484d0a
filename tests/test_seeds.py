"""The numbers that the posts behind this project print, through every way to compute them.

Two steps with inputs 1 and 2, by hand in NumPy (TensorFlow textbook example), and two steps
of a linear cell with weights of one (Keras' SimpleRNNCell).
"""

import numpy as np
import pytest

from rnn_xp.backend import to_host
from rnn_xp.cells import RNNCell
from rnn_xp.layers import RNN, TimeAffine, TimeCell, TimeRNN

# The post's state times weights is a row vector times a matrix, as here.
WH = [[0.1, 0.2], [0.3, 0.4]]
WX = [[0.5, 0.6]]
B = [0.1, -0.1]
W_OUT = [[1.0], [2.0]]
B_OUT = [0.1]
INPUTS = [[[1.0], [2.0]]]  # (N, T, D) = (1, 2, 1)

PRE_ACTIVATIONS = [[0.6, 0.5], [1.2923401, 1.39225678]]
STATES = [[0.53704957, 0.46211716], [0.85973818, 0.88366641]]
OUTPUTS = [1.56128388, 2.72707101]
LINEAR_STATES = [[0.6, 0.5], [1.31, 1.42]]
LINEAR_OUTPUTS = [1.7, 4.25]
PRINTED = 5.1e-9  # half a unit of the last digit that the post prints


@pytest.fixture
def weights(be):
    return [be.asarray(a, "float64") for a in (WX, WH, B)]


@pytest.fixture
def xs(be):
    return be.asarray(INPUTS, "float64")


@pytest.fixture
def affine(be):
    return TimeAffine(be.asarray(W_OUT, "float64"), be.asarray(B_OUT, "float64"))


def close(given, printed):
    np.testing.assert_allclose(np.squeeze(to_host(given)), printed, rtol=0, atol=PRINTED)


def test_pre_activations(be, weights, xs):
    """A linear cell, fed the post's tanh states, gives what goes into the tanh."""
    cell = RNNCell(*weights, activation=None)
    h = cell.zero_state(1)
    for t, (pre, state) in enumerate(zip(PRE_ACTIVATIONS, STATES, strict=True)):
        output, _, _ = cell.forward(xs[:, t, :], h)
        close(output, pre)
        h = be.xp.tanh(output)
        close(h, state)


def test_cell(weights, xs):
    cell = RNNCell(*weights)
    h = cell.zero_state(1)
    for t in range(2):
        output, h, _ = cell.forward(xs[:, t, :], h)
        assert output is h
        close(h, STATES[t])


def test_one_step_layer(be, weights, xs):
    layer, h = RNN(*weights), be.zeros((1, 2), "float64")
    for t in range(2):
        h = layer.forward(xs[:, t, :], h)
        close(h, STATES[t])


@pytest.mark.parametrize("train", [True, False])
def test_time_layer_and_affine(weights, xs, affine, train):
    hs = TimeRNN(*weights).forward(xs, train=train)
    close(hs, STATES)
    close(affine.forward(hs, train=train), OUTPUTS)


def test_time_layer_one_step_at_a_time(weights, xs, affine):
    layer = TimeRNN(*weights, stateful=True)
    for t in range(2):
        hs = layer.forward(xs[:, t : t + 1, :])
        close(hs, STATES[t])
        close(affine.forward(hs), OUTPUTS[t])


def test_any_cell_over_time(weights, xs, affine):
    hs = TimeCell(RNNCell(*weights)).forward(xs)
    close(hs, STATES)
    close(affine.forward(hs), OUTPUTS)


def test_linear_variant(weights, xs, affine):
    hs = TimeCell(RNNCell(*weights, activation="linear")).forward(xs)
    close(hs, LINEAR_STATES)
    close(affine.forward(hs), LINEAR_OUTPUTS)


def test_the_simple_rnn_cell_of_keras(be):
    """Inputs 2 and 3, weights of one: 2 + 1 + 3 = 6, then 3 + 3 * 6 + 1 = 22."""

    def cell(Wh, b):
        weights = [be.asarray(a, "float32") for a in ([[1.0]], [[Wh]], [b])]
        return RNNCell(*weights, activation=None)

    first, state, _ = cell(1.0, 3.0).forward(
        be.asarray([[2.0]], "float32"), be.asarray([[1.0]], "float32")
    )
    assert to_host(first).item() == 6.0
    assert first is state
    second, _, _ = cell(3.0, 1.0).forward(be.asarray([[3.0]], "float32"), state)
    assert to_host(second).item() == 22.0
