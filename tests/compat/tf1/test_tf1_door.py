"""Misuse gets one clear line."""

import numpy as np
import pytest

from rnn_xp.compat import tf1
from rnn_xp.errors import DataError, DTypeError, MixedBackendError, ShapeError

X = np.ones((2, 4, 3))
STEP = X[:, 0]


def lstm():
    cell = tf1.BasicLSTMCell(3)
    cell.build(3, dtype="float64")
    return cell


def zeros(*shape):
    return np.zeros(shape)


CALLS = {
    "lstm is a list": (
        lambda: tf1.dynamic_rnn([lstm()], X, dtype="float64"),
        TypeError,
        "dynamic_rnn: cell is a list, expected a cell of rnn_xp.compat.tf1",
    ),
    "no dtype": (
        lambda: tf1.dynamic_rnn(lstm(), X),
        ValueError,
        "without an initial_state, dtype must be given",
    ),
    "integers": (
        lambda: tf1.dynamic_rnn(lstm(), X.astype(int), dtype="float64"),
        DTypeError,
        "inputs has dtype int64",
    ),
    "another dtype": (
        lambda: tf1.dynamic_rnn(lstm(), X, dtype=np.float32),
        DTypeError,
        "dtype is float32, but inputs has dtype float64",
    ),
    "half": (
        lambda: tf1.dynamic_rnn(lstm(), X, dtype="float16"),
        DTypeError,
        "dtype is float16, expected float32 or float64",
    ),
    "two axes": (
        lambda: tf1.dynamic_rnn(lstm(), STEP, dtype="float64"),
        ShapeError,
        r"inputs has shape \(2, 3\), expected \(N, T, D\)",
    ),
    "another depth": (
        lambda: tf1.dynamic_rnn(lstm(), np.ones((2, 4, 5)), dtype="float64"),
        ShapeError,
        "built for a depth of 3",
    ),
    "lengths beyond T": (
        lambda: tf1.dynamic_rnn(lstm(), X, [5, 1], dtype="float64"),
        DataError,
        "lengths go from 1 to 5, expected 0 to T = 4",
    ),
    "negative lengths": (
        lambda: tf1.dynamic_rnn(lstm(), X, [-1, 1], dtype="float64"),
        DataError,
        "lengths go from -1 to 1",
    ),
    "too few lengths": (
        lambda: tf1.dynamic_rnn(lstm(), X, [4], dtype="float64"),
        ShapeError,
        r"lengths has shape \(1,\), expected \(N,\)",
    ),
    "one array for an LSTM": (
        lambda: tf1.dynamic_rnn(lstm(), X, initial_state=zeros(2, 3)),
        ShapeError,
        r"initial_state is array, expected LSTMStateTuple\(array, array\)",
    ),
    "wide c": (
        lambda: tf1.dynamic_rnn(lstm(), X, initial_state=(zeros(2, 4), zeros(2, 3))),
        ShapeError,
        r"initial_state.c has shape \(2, 4\), expected \(N, width\) = \(2, 3\)",
    ),
    "state of another batch": (
        lambda: lstm()(STEP, (zeros(3, 3), zeros(3, 3))),
        ShapeError,
        r"state.c has shape \(3, 3\)",
    ),
    "step with time": (
        lambda: lstm()(X, (zeros(2, 3), zeros(2, 3))),
        ShapeError,
        r"expected \(N, D\)",
    ),
    "static_rnn of an array": (
        lambda: tf1.static_rnn(lstm(), X, dtype="float64"),
        TypeError,
        "inputs is a ndarray, expected a list of arrays",
    ),
    "static_rnn of nothing": (
        lambda: tf1.static_rnn(lstm(), [], dtype="float64"),
        ValueError,
        "inputs is empty",
    ),
    "static_rnn of unequal steps": (
        lambda: tf1.static_rnn(lstm(), [STEP, X[:1, 0]], dtype="float64"),
        ShapeError,
        r"inputs\[1\] has shape \(1, 3\)",
    ),
    "units": (lambda: tf1.GRUCell(0), ValueError, "num_units is 0"),
    "projection": (lambda: tf1.LSTMCell(3, num_proj=0), ValueError, "num_proj is 0"),
    "a float for units": (lambda: tf1.GRUCell(3.0), ValueError, r"num_units is 3\.0, expected a"),
    "a bool for units": (lambda: tf1.GRUCell(True), ValueError, "num_units is True"),
    "no room for c": (
        lambda: tf1.LSTMCell(3, cell_clip=0.0),
        ValueError,
        r"LSTMCell: cell_clip is 0\.0, expected a positive number or None",
    ),
    "no room for h": (
        lambda: tf1.LSTMCell(3, num_proj=2, proj_clip=-1),
        ValueError,
        "LSTMCell: proj_clip is -1, expected a positive number or None",
    ),
    "no room for what is not projected": (
        lambda: tf1.LSTMCell(3, proj_clip=float("nan")),
        ValueError,
        "LSTMCell: proj_clip is nan",
    ),
    "activation": (
        lambda: tf1.GRUCell(3, activation="than"),
        ValueError,
        "unknown activation 'than'",
    ),
    "initializer": (
        lambda: tf1.LSTMCell(3, initializer="glorot"),
        ValueError,
        "unknown initializer 'glorot', expected one of glorot_uniform, ones, zeros",
    ),
    "no cells": (lambda: tf1.MultiRNNCell([]), ValueError, "cells is empty"),
    "a cell for cells": (lambda: tf1.MultiRNNCell(lstm()), TypeError, "expected a list or tuple"),
    "tuple states in one array": (
        lambda: tf1.MultiRNNCell([lstm()], state_is_tuple=False),
        ValueError,
        r"the state of cells\[0\] is a tuple",
    ),
    "keep probability": (
        lambda: tf1.DropoutWrapper(lstm(), input_keep_prob=1.5),
        ValueError,
        "input_keep_prob is 1.5, expected 0 to 1",
    ),
    "wrapped": (lambda: tf1.ResidualWrapper(3), TypeError, "cell is a int, expected an RNNCell"),
    "residual widths": (
        lambda: tf1.dynamic_rnn(tf1.ResidualWrapper(tf1.GRUCell(4)), X, dtype="float64"),
        ShapeError,
        "inputs have depth 3, but the cell's outputs 4",
    ),
    "weights before build": (
        lambda: tf1.GRUCell(3).set_weights([]),
        ShapeError,
        "call build",
    ),
    "too few weights": (
        lambda: lstm().set_weights([zeros(6, 12)]),
        ShapeError,
        "set_weights got 1 arrays, expected 2: basic_lstm_cell/kernel, basic_lstm_cell/bias",
    ),
    "weights of another shape": (
        lambda: lstm().set_weights([zeros(6, 12), zeros(3)]),
        ShapeError,
        r"basic_lstm_cell/bias has shape \(3,\)",
    ),
    "a cell made for another dtype": (
        lambda: tf1.dynamic_rnn(tf1.GRUCell(3, dtype="float32"), X, dtype="float64"),
        DTypeError,
        "GRUCell: made for dtype float32, but built for float64",
    ),
    "dropout made for another dtype": (
        lambda: tf1.dynamic_rnn(tf1.DropoutWrapper(lstm(), dtype="float32"), X, dtype="float64"),
        DTypeError,
        "inputs have dtype float64, expected float32",
    ),
    "a cell on top that was built for another depth": (
        lambda: tf1.dynamic_rnn(tf1.MultiRNNCell([tf1.GRUCell(5), lstm()]), X, dtype="float64"),
        ShapeError,
        "used with inputs of depth 5, but its variables were built for a depth of 3",
    ),
    "no rows": (
        lambda: tf1.dynamic_rnn(lstm(), X[:0], dtype="float64"),
        ShapeError,
        r"inputs has shape \(0, 4, 3\), expected \(N, T, D\), N and T at least 1",
    ),
    "built for nothing": (
        lambda: tf1.GRUCell(3).build(()),
        ValueError,
        r"GRUCell: input_depth is \(\), expected a positive int",
    ),
    "a state of -1 rows": (
        lambda: lstm().zero_state(-1, "float64"),
        ValueError,
        "BasicLSTMCell: batch_size is -1, expected an int of at least 0",
    ),
    "a seed in words": (
        lambda: tf1.DropoutWrapper(lstm(), seed="a"),
        ValueError,
        "DropoutWrapper: seed is 'a', expected an int of at least 0",
    ),
    "a probability in words": (
        lambda: tf1.DropoutWrapper(lstm(), "half"),
        TypeError,
        "input_keep_prob is 'half', expected a number, 0 to 1",
    ),
    "a visitor of one part of two": (
        lambda: tf1.DropoutWrapper(
            lstm(), state_keep_prob=0.5, dropout_state_filter_visitor=lambda state: [True]
        )(STEP, (zeros(2, 3), zeros(2, 3))),
        ValueError,
        r"dropout_state_filter_visitor gave \[True\], expected a bool, or 2 of them",
    ),
    "dropout of another depth": (
        lambda: tf1.DropoutWrapper(lstm(), input_size=4)(STEP, (zeros(2, 3), zeros(2, 3))),
        ShapeError,
        "inputs have depth 3, expected input_size = 4",
    ),
}


@pytest.mark.parametrize("name", CALLS)
def test_misuse(name):
    call, error, message = CALLS[name]
    with pytest.raises(error, match=message) as info:
        call()
    assert "\n" not in str(info.value)


def test_numpy_s_integers_are_units():
    cell = tf1.LSTMCell(np.int64(3), num_proj=np.int32(2))
    assert type(cell.num_units) is int
    assert type(cell.num_proj) is int
    cell.build(np.int64(3), dtype="float64")
    assert tf1.dynamic_rnn(cell, X, dtype="float64")[0].shape == (2, 4, 2)
    assert cell.zero_state(np.int32(4), "float64").h.shape == (4, 2)


def test_a_cell_of_one_backend_and_inputs_of_another(strict):
    cell = tf1.GRUCell(3)
    cell.build(3, backend=strict, dtype="float64")
    with pytest.raises(MixedBackendError, match="inputs is a numpy"):
        tf1.dynamic_rnn(cell, X, dtype="float64")


def test_an_activation_without_a_derivative_and_a_residual_fn_without_a_backward():
    residual = tf1.ResidualWrapper(tf1.GRUCell(3), residual_fn=lambda i, o: i - o)
    for cell, message in (
        (tf1.GRUCell(3, activation=np.cos), "no derivative"),
        (residual, "has no method backward"),
    ):
        with tf1.record() as tape:
            outputs, _ = tf1.dynamic_rnn(cell, X, dtype="float64")
        with pytest.raises(TypeError, match=message):
            tape.backward(outputs)


def test_gradients_of_the_wrong_structure():
    forward, backward = lstm(), lstm()
    steps = [STEP] * 4
    with tf1.record() as tape:
        tf1.bidirectional_dynamic_rnn(forward, backward, X, dtype="float64")
    with pytest.raises(ShapeError, match="doutputs is a ndarray, expected a tuple"):
        tape.backward(X)
    with tf1.record() as tape:
        tf1.static_rnn(forward, steps, dtype="float64")
    for wrong in (steps[:3], np.ones((4, 2, 3)), [], [None], 3):
        with pytest.raises(ShapeError, match="doutputs is not a list of T = 4 arrays or None"):
            tape.backward(wrong)
    with tf1.record() as tape:
        tf1.static_bidirectional_rnn(forward, backward, steps, dtype="float64")
    with pytest.raises(ShapeError, match=r"doutputs\[0\] has shape \(2, 3\)"):
        tape.backward(steps)


def test_a_visitor_may_give_a_list_instead_of_a_tuple():
    cell, (zero, one) = lstm(), ([], [])
    for kind, found in ((tuple, zero), (list, one)):
        dropout = tf1.DropoutWrapper(
            cell,
            state_keep_prob=0.5,
            seed=3,
            dropout_state_filter_visitor=lambda s, kind=kind: (
                kind((True, False)) if isinstance(s, tuple) else True
            ),
        )
        found += tf1.dynamic_rnn(dropout, X, dtype="float64")[1]
    np.testing.assert_array_equal(zero, one)
    assert np.any(zero[0] == 0)  # c was dropped in,
    assert np.all(zero[1] != 0)  # h was not
