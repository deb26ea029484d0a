"""Misuse of the facade gets one clear line that names what was given and what was expected."""

import json

import numpy as np
import pytest

from rnn_xp import cells
from rnn_xp.backend import get_backend
from rnn_xp.compat.keras import (
    GRU,
    LSTM,
    RNN,
    Bidirectional,
    GRUCell,
    LSTMCell,
    SimpleRNN,
    SimpleRNNCell,
    StackedRNNCells,
    TimeDistributed,
    activations,
    initializers,
)
from rnn_xp.errors import DTypeError, MixedBackendError, ShapeError, StaleCacheError

XS = np.zeros((2, 3, 4), "float32")
H = np.zeros((2, 5), "float32")


class KerasStyle:
    """A cell as Keras wants it: nothing to go backwards with."""

    state_size = output_size = 3

    def call(self, inputs, states):
        return inputs, states


CONSTRUCTORS = [
    (lambda: LSTM(0), ValueError, "units = 0, expected a positive integer"),
    (lambda: LSTM(2.5), ValueError, r"units = 2\.5, expected a positive integer"),
    (lambda: GRU(3, kernel_regularizer="l2"), ValueError, "kernel_regularizer = 'l2', expected"),
    (lambda: GRU(3, bias_constraint="max_norm"), ValueError, "bias_constraint = 'max_norm'"),
    (lambda: GRU(3, activity_regularizer="l1"), ValueError, "activity_regularizer = 'l1'"),
    (lambda: LSTM(3, kernel_initializer="glorot"), ValueError, "glorot_uniform.*orthogonal"),
    (lambda: LSTM(3, bias_initializer=3), ValueError, "initializer is 3, expected a name"),
    (lambda: LSTM(3, activation="tahn"), ValueError, "unknown activation 'tahn'.*tanh"),
    (lambda: LSTM(3, use_cudnn=True), ValueError, "use_cudnn = True, expected 'auto' or False"),
    (lambda: LSTM(3, dtype="float16"), ValueError, "dtype = 'float16', expected float32"),
    (lambda: LSTM(3, dropout=0.999999), ValueError, r"dropout = 0\.999999, expected"),
    (lambda: LSTM(3, dropout="a"), ValueError, "dropout = 'a', expected a number, 0 to 1"),
    (lambda: GRU(3, recurrent_dropout=float("nan")), ValueError, "recurrent_dropout = nan, exp"),
    (lambda: LSTM(3, seed=-1), ValueError, "seed = -1, expected an integer, 0 to"),
    (lambda: LSTM(3, seed=1.5), ValueError, r"seed = 1\.5, expected an integer, 0 to"),
    (lambda: LSTM(3, dtype=np.float16), ValueError, r"dtype = .*float16.*, expected float32 or"),
    (lambda: LSTM(True), ValueError, "units = True, expected a positive integer"),
    (lambda: LSTM(3, colour="red"), TypeError, "^LSTM: unknown argument colour$"),
    (lambda: GRUCell(3, bogus=1, a=2), TypeError, "^GRUCell: unknown argument a, bogus$"),
    (
        lambda: Bidirectional(LSTM(3), bogus=1),
        TypeError,
        "^Bidirectional: unknown argument bogus$",
    ),
    (lambda: RNN(KerasStyle()), ValueError, "KerasStyle without params, grads, forward"),
    (lambda: RNN([]), ValueError, r"cells = \[\], expected a list of cells"),
    (lambda: RNN(LSTMCell(2), dtype="float64"), ValueError, "'float64', but the cell's is"),
    (lambda: Bidirectional(LSTMCell(3)), ValueError, "layer is a LSTMCell, expected a recurrent"),
    (lambda: Bidirectional(LSTM(3), "add"), ValueError, "merge_mode = 'add', expected one of"),
    (lambda: Bidirectional(LSTM(3, go_backwards=True)), ValueError, "go_backwards is True in both"),
    (
        lambda: Bidirectional(LSTM(3), backward_layer=LSTM(3)),
        ValueError,
        "go_backwards is False in both",
    ),
    (
        lambda: Bidirectional(
            LSTM(3), backward_layer=LSTM(3, go_backwards=True, return_sequences=True)
        ),
        ValueError,
        "return_sequences is False in the forward and True",
    ),
    (lambda: TimeDistributed(3), ValueError, "layer is a int, expected a layer"),
    (lambda: TimeDistributed(LSTMCell(3)), ValueError, "layer is a LSTMCell, a cell, which needs"),
    (
        lambda: TimeDistributed(cells.RNNCell(*(np.ones(n) for n in ((2, 3), (3, 3), 3)))),
        ValueError,
        "layer is a RNNCell, a cell",
    ),
    (lambda: TimeDistributed(LSTM(3, stateful=True)), ValueError, "stateful=True"),
    (lambda: initializers.RandomNormal(seed="a"), ValueError, "seed = 'a', expected an integer"),
    (lambda: initializers.VarianceScaling(mode="fan"), ValueError, "mode = 'fan', expected fan_in"),
    (lambda: initializers.Orthogonal()((3,)), ValueError, r"shape \(3,\), expected a matrix"),
    (lambda: initializers.GlorotNormal()(()), ValueError, r"GlorotNormal: asked for shape \(\)"),
    (lambda: initializers.GlorotNormal(input_axes=[0]), ValueError, r"input_axes = \[0\]"),
    (lambda: activations.glu, AttributeError, r"keras\.activations\.glu: .*expected one of"),
    (lambda: activations._relu, AttributeError, "has no attribute '_relu'"),
    (lambda: activations.get(3), TypeError, "activation is a int"),
    (
        lambda: RNN.from_config({"cell": {"class_name": "MyCell", "config": {}}}),
        ValueError,
        "unknown layer 'MyCell', expected one of: .*LSTMCell",
    ),
]


@pytest.mark.parametrize(("make", "kind", "message"), CONSTRUCTORS)
def test_constructors(make, kind, message):
    with pytest.raises(kind, match=message):
        make()


def test_numpy_s_integers_and_dtypes():
    normal = initializers.RandomNormal(seed=np.int64(2))
    layer = GRU(
        np.int32(3),
        kernel_initializer=normal,
        dropout=np.float64(0.5),
        seed=np.int64(1),
        dtype=np.dtype("float64"),
    )
    layer.build((None, None, np.int64(4)))
    assert [w.shape for w in layer.weights] == [(4, 9), (3, 9), (2, 9)]
    assert layer.weights[0].dtype == np.float64
    assert LSTM(3, dtype=np.float32).dtype == "float32"
    again = GRU.from_config(json.loads(json.dumps(layer.get_config())))
    assert again.get_config() == layer.get_config()


def test_one_cell_twice():
    cell = GRUCell(4)
    with pytest.raises(ValueError, match="a cell is listed twice"):
        StackedRNNCells([cell, cell])


CALLS = [
    (lambda m: m(XS[0]), ShapeError, r"sequences has shape \(3, 4\), expected \(N, T, D\)"),
    (lambda m: m(XS[:0]), ShapeError, r"shape \(0, 3, 4\), expected \(N, T, D\), each at least 1"),
    (lambda m: m(XS.astype("float64")), DTypeError, "float64"),
    (lambda m: m(XS.astype("int64")), DTypeError, "int64, expected float32 or float64"),
    (lambda m: m(np.zeros((2, 3, 6), "float32")), ShapeError, "D = 4"),
    (lambda m: m(XS, mask=np.ones((3, 2), bool)), ShapeError, r"mask has shape \(3, 2\)"),
    (lambda m: m(XS, mask=np.ones(2, bool)), ShapeError, r"mask has shape \(2,\)"),
    (lambda m: m(XS, mask=[[1, 1, 1]]), ShapeError, r"mask has shape \(1, 3\)"),
    (lambda m: m(XS, mask=[[1, 1, 1], [1]]), ShapeError, "mask is a list of unequal rows"),
    (lambda m: m(XS, mask=[["a"] * 3] * 2), DTypeError, "mask is a list of <U1, expected bool"),
    (lambda m: m.compute_output_shape((3, 4)), ShapeError, r"sequences_shape is \(3, 4\)"),
    (lambda m: m(XS, H), ShapeError, r"initial_state is array, expected \[array, array\]"),
    (lambda m: m(XS, [H]), ShapeError, r"initial_state is \[array\], expected \[array, array\]"),
    (lambda m: m(XS, [H, H[:1]]), ShapeError, r"initial_state\[1\] has shape \(1, 5\)"),
    (lambda m: m(XS, [H, None]), ShapeError, r"initial_state\[1\] is None"),
    (lambda m: m(XS, [H, H.astype("float64")]), DTypeError, r"initial_state\[1\] has dtype"),
    (lambda m: m.build((3, 4)), ShapeError, r"input_shape is \(3, 4\), expected \(N, T, D\)"),
    (lambda m: m.build(4), ShapeError, r"input_shape is 4, expected \(N, T, D\)"),
    (lambda m: m.set_weights(None), TypeError, "weights is a NoneType, expected a list of arrays"),
    (lambda m: m.set_weights([H, "a", H]), TypeError, "weight 1 is a str, expected an array"),
    (lambda m: m.set_weights([H]), ShapeError, "got 1 weights, expected 3"),
    (lambda m: m.set_weights([H, H, H]), ShapeError, r"weight 0 has shape \(2, 5\), expected"),
]


@pytest.mark.parametrize(("call", "kind", "message"), CALLS)
def test_calls(call, kind, message):
    layer = LSTM(5)
    layer.build((2, 3, 4))
    with pytest.raises(kind, match=message):
        call(layer)
    assert layer(XS).shape == (2, 5)  # as if nothing had been


WRONG_GRADIENTS = [
    ((H,), r"doutput has shape \(2, 5\), expected"),
    ((None, H), r"dstates is \[array\], expected \[array, array\]"),
    ((None, H, H[:1]), r"dstates\[1\] has shape \(1, 5\), expected \(N, units\) = \(2, 5\)"),
]


@pytest.mark.parametrize(("given", "message"), WRONG_GRADIENTS)
def test_gradients_of_the_wrong_shape_leave_the_call_to_be_undone(given, message):
    layer = LSTM(5, return_sequences=True)
    layer(XS)
    with pytest.raises(ShapeError, match=message):
        layer.backward(*given)
    assert layer.backward(np.ones((2, 3, 5), "float32"), H, None).shape == XS.shape
    with pytest.raises(StaleCacheError):
        layer.backward(None)


def test_so_do_those_of_cells_and_of_two_directions():
    cell, both = LSTMCell(5), Bidirectional(LSTM(5))
    cell(XS[:, 0], [H, H])
    both(XS)
    with pytest.raises(ShapeError, match=r"doutput has shape \(1, 5\)"):
        cell.backward(H[:1])
    with pytest.raises(ShapeError, match=r"doutput has shape \(2, 5\)"):
        both.backward(H)
    assert cell.backward(H)[0].shape == (2, 4)
    assert both.backward(np.ones((2, 10), "float32")).shape == XS.shape
    for undone in (cell, both):
        with pytest.raises(StaleCacheError):
            undone.backward(None)


def test_cells():
    cell = LSTMCell(5)
    with pytest.raises(ShapeError, match=r"inputs has shape \(2, 3, 4\), expected \(N, D\)"):
        cell(XS, [H, H])
    with pytest.raises(ShapeError, match=r"states is array, expected \[array, array\]"):
        cell(XS[:, 0], H)
    with pytest.raises(ShapeError, match=r"states\[0\] has shape \(2, 4\), expected"):
        cell(XS[:, 0], [XS[:, 0], H])
    for shape in ((2, None), (), 4):
        with pytest.raises(ShapeError, match="D known"):
            SimpleRNNCell(3).build(shape)
    with pytest.raises(DTypeError, match=r"lstm_cell: inputs is a builtins\.list, expected"):
        cell([1.0], [H, H])
    with pytest.raises(ShapeError, match="got 1 weights, expected 0; build it first"):
        SimpleRNNCell(3).set_weights([H])


def test_a_batch_of_another_size_needs_new_masks():
    cell = LSTMCell(5, dropout=0.5)
    cell(XS[:, 0], [H, H], training=True)
    with pytest.raises(ShapeError, match=r"masks are for 2 rows; call reset_dropout_mask\(\)"):
        cell(XS[:1, 0], [H[:1], H[:1]], training=True)


def test_two_backends_in_one_net(strict):
    with pytest.raises(ValueError, match="backend = array_api_strict:device1, but lstm_cell is on"):
        RNN(LSTMCell(5, backend="numpy"), backend=strict)
    with pytest.raises(ValueError, match="Bidirectional: backend = numpy, but lstm is on"):
        Bidirectional(LSTM(5, backend=strict), backend="numpy")


def test_a_stateful_layer_needs_the_batch_size():
    with pytest.raises(ValueError, match="stateful=True needs the batch size"):
        SimpleRNN(3, stateful=True).build((None, 3, 4))
    with pytest.raises(AttributeError, match="needs stateful=True"):
        Bidirectional(SimpleRNN(3)).reset_state()


def test_bidirectional_states_come_in_halves():
    layer = Bidirectional(LSTM(5))
    with pytest.raises(ShapeError, match="half of it for each direction"):
        layer(XS, initial_state=[H, H, H])
    for wrong in (H, 3):
        with pytest.raises(ShapeError, match="is array, expected a list: half of it for each"):
            layer(XS, initial_state=wrong)
    with pytest.raises(DTypeError, match=r"sequences is a builtins\.list"):
        layer([1.0])


def test_arrays_of_another_library(strict):
    layer = LSTM(5, backend=strict)
    with pytest.raises(MixedBackendError, match="numpy"):
        layer(XS)


def test_a_plain_callable_works_forwards_only():
    layer = SimpleRNN(5, activation=lambda x: x)
    output = layer(XS)
    with pytest.raises(TypeError, match="has no derivative"):
        layer.backward(output)
    with pytest.raises(TypeError, match="has no name"):
        layer.get_config()


def test_the_default_backend_is_read_when_it_is_needed(monkeypatch):
    pytest.importorskip("array_api_strict")
    layer = LSTM(5)
    monkeypatch.setenv("RNN_BACKEND", "array_api_strict")
    layer.build((2, 3, 4))
    assert layer.backend == get_backend("array_api_strict")


def test_importing_the_package_does_not_import_the_facade():
    import subprocess
    import sys

    code = "import sys, rnn_xp; rnn_xp.LSTMCell; sys.exit('rnn_xp.compat' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
