"""Keras' lists: same function, exact way there and back, clear refusals."""

import numpy as np
import pytest
from interop_helpers import (
    D,
    H,
    assert_near,
    assert_same_params,
    cell_layer,
    classic,
    draw,
    keras_module,
    lstmp,
)
from keras_helpers import LAYERS, QUIET, keras_layer, on_host

from rnn_xp import Bidirectional, Stack, TimeDropout
from rnn_xp.errors import ConversionError, ShapeError
from rnn_xp.interop.keras_weights import from_keras, to_keras
from rnn_xp.layers.reverse import Reversed

pytestmark = QUIET
KINDS = ("rnn", "lstm", "gru", "gru-before")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", LAYERS)
def test_a_keras_layer_and_ours_compute_the_same(name, dtype, float64_kept):
    keras = keras_module()
    theirs = keras_layer(keras, name, dtype)
    x = draw(2, 4, D, dtype=dtype)
    expected = on_host(keras, theirs(x))
    weights = theirs.get_weights()
    ours = from_keras(weights, **LAYERS[name])
    assert_near(ours.forward(x, train=False), expected, dtype)
    back = to_keras(ours, use_bias=LAYERS[name].get("use_bias", True))
    for given, wanted in zip(back, weights, strict=True):
        np.testing.assert_array_equal(given, wanted, strict=True)


@pytest.mark.parametrize("merge_mode", ["concat", "sum", "mul", "ave", None])
@pytest.mark.parametrize("name", ["SimpleRNN", "LSTM", "GRU"])
def test_bidirectional(name, merge_mode):
    keras = keras_module()
    theirs = keras.layers.Bidirectional(keras_layer(keras, name), merge_mode=merge_mode)
    x = draw(2, 4, D, dtype="float32")
    expected = theirs(x)
    weights = theirs.get_weights()
    ours = from_keras(weights, bidirectional=True, merge_mode=merge_mode)
    given = ours.forward(x, train=False)
    if merge_mode is None:
        for one, other in zip(given, expected, strict=True):
            assert_near(one, on_host(keras, other), "float32")
    else:
        assert_near(given, on_host(keras, expected), "float32")
    for back, wanted in zip(to_keras(ours), weights, strict=True):
        np.testing.assert_array_equal(back, wanted, strict=True)


def test_stacked_cells():
    keras = keras_module()
    cells = [keras.layers.LSTMCell(4), keras.layers.LSTMCell(H)]
    theirs = keras.layers.RNN(cells, return_sequences=True)
    x = draw(2, 4, D, dtype="float32")
    expected = on_host(keras, theirs(x))
    ours = from_keras(theirs.get_weights())
    assert isinstance(ours, Stack)
    assert_near(ours.forward(x, train=False), expected, "float32")
    for back, wanted in zip(to_keras(ours), theirs.get_weights(), strict=True):
        np.testing.assert_array_equal(back, wanted, strict=True)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kind", KINDS)
def test_our_weights_come_back_bit_for_bit(kind, dtype):
    one, two = (classic(kind, dtype=dtype, seed=k) for k in (0, 1))
    assert_same_params(from_keras(to_keras(one)), one)
    upper = classic(kind, D=H, dtype=dtype)
    stack = Stack([one, TimeDropout(0.5), upper])
    assert_same_params(from_keras(to_keras(stack)), Stack([one, upper]))
    both = Bidirectional(one, two)
    assert_same_params(from_keras(to_keras(both), bidirectional=True), both)
    deep = Bidirectional(Stack([one, upper]), Stack([two, classic(kind, D=H, dtype=dtype, seed=2)]))
    assert_same_params(from_keras(to_keras(deep), bidirectional=True), deep)


def test_the_shape_of_a_bias_tells_the_gru():
    assert from_keras(to_keras(classic("gru"))).reset_after
    assert not from_keras(to_keras(classic("gru-before"))).reset_after


def test_activations_by_name():
    layer = cell_layer("lstm", activation="elu", recurrent_activation="hard_sigmoid")
    back = from_keras(to_keras(layer), activation="elu", recurrent_activation="hard_sigmoid")
    x = draw(2, 4, D)
    np.testing.assert_array_equal(back.forward(x), layer.forward(x))


REFUSED = {
    "peepholes": (lambda: lstmp(P=0, peepholes=True), "no LSTM with peepholes"),
    "projection": (lstmp, "no LSTM with peepholes, projection"),
    "reverse": (lambda: Reversed(classic("lstm")), "Reversed has no equal"),
    "layers of two directions": (
        lambda: Stack([classic("rnn"), Bidirectional(classic("rnn", D=H), classic("rnn", D=H))]),
        "Bidirectional has no equal",
    ),
    "nothing": (lambda: TimeDropout(0.5), "no recurrent layer"),
    "no layer": (lambda: "lstm", "str has no equal"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_keras_does_not_have_is_refused_with_the_reason(case):
    make, reason = REFUSED[case]
    with pytest.raises(ConversionError, match=reason):
        to_keras(make())


def test_wrong_lists_are_named():
    weights = to_keras(classic("lstm"))
    with pytest.raises(ConversionError, match="got 2 arrays, expected kernel, recurrent_kernel"):
        from_keras(weights[:2])
    with pytest.raises(ConversionError, match="got 0 arrays"):
        from_keras([])
    with pytest.raises(ConversionError, match="merge_mode = 'max', expected one of 'concat'"):
        from_keras(weights, merge_mode="max")
    with pytest.raises(ShapeError, match=r"array 1: 10 by 5 is no recurrent matrix"):
        from_keras([weights[0], draw(5, 10), weights[2]])
    with pytest.raises(ShapeError, match=r"array 0 has shape \(3, 9\), expected kernel"):
        from_keras([draw(3, 9), *weights[1:]])
    with pytest.raises(ShapeError, match=r"array 2 has shape \(2, 20\), expected bias"):
        from_keras([*weights[:2], draw(2, 20)])
    with pytest.raises(
        ConversionError, match="use_bias=False, but the bias of a layer is not zero"
    ):
        to_keras(classic("gru"), use_bias=False)
