"""Keras' files, read and written: the same weights, settings and outputs."""

import numpy as np
import pytest
from interop_helpers import (
    D,
    H,
    assert_near,
    assert_same_params,
    classic,
    draw,
    keras_module,
    nets,
    optional,
)
from keras_helpers import (
    QUIET,
    config_file,
    h5_bytes,
    keras_layer,
    lstm_entry,
    on_host,
    sample_model,
)

from rnn_xp import Bidirectional, Stack
from rnn_xp.errors import CheckpointError, ConversionError
from rnn_xp.interop.keras_files import read_keras, save_keras
from rnn_xp.interop.keras_models import load_keras
from rnn_xp.interop.keras_weights import from_keras

pytestmark = QUIET
KINDS = ("rnn", "lstm", "gru", "gru-before")
NAMES = ["bidirectional", "dense", "lstm", "lstm_1", "rnn"]


@pytest.mark.parametrize("suffix", [".keras", ".weights.h5"])
def test_files_of_keras_are_read_in_the_order_of_get_weights(tmp_path, suffix):
    optional("h5py")
    keras = keras_module()
    model = sample_model(keras, one_class=True)
    path = tmp_path / f"model{suffix}"
    (model.save if suffix == ".keras" else model.save_weights)(path)
    found = read_keras(path)
    assert sorted(found) == NAMES
    theirs = [layer for layer in model.layers if layer.weights]
    names = ["lstm", "lstm_1", "bidirectional", "rnn", "dense"]
    for name, layer in zip(names, theirs, strict=True):
        for given, wanted in zip(found[name], layer.get_weights(), strict=True):
            np.testing.assert_array_equal(given, wanted, strict=True)


def test_stacked_cells_of_several_classes_need_the_configuration(tmp_path):
    optional("h5py")
    keras = keras_module()
    sample_model(keras).save_weights(tmp_path / "model.weights.h5")
    with pytest.raises(CheckpointError, match=r"rnn: stacks cells of several classes \(gru_cell, "):
        read_keras(tmp_path / "model.weights.h5")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_whole_keras_file_becomes_layers(tmp_path, dtype, float64_kept):
    optional("h5py")
    keras = keras_module()
    model = sample_model(keras, dtype)
    model.save(tmp_path / "model.keras")
    layers = load_keras(tmp_path / "model.keras")
    assert list(layers) == ["lstm", "lstm_1", "bidirectional", "rnn"]
    assert layers["bidirectional"].merge == "sum"
    x = draw(2, 4, D, dtype=dtype)
    below = keras.Model(model.input, model.layers[-1].input)
    ours = Stack(list(layers.values())).forward(x, train=False)
    assert_near(ours, on_host(keras, below(x)), dtype)


def test_a_model_in_a_model(tmp_path):
    optional("h5py")
    keras = keras_module()
    inner = keras.Sequential([keras.Input((None, D)), keras_layer(keras, "GRU")])
    outer = keras.Sequential([keras.Input((None, D)), inner, keras_layer(keras, "LSTM")])
    outer.save(tmp_path / "model.keras")
    layers = load_keras(tmp_path / "model.keras")
    assert sorted(layers) == ["lstm", "sequential/layers/gru"]
    x = draw(2, 4, D, dtype="float32")
    net = Stack([layers["sequential/layers/gru"], layers["lstm"]])
    assert_near(net.forward(x), on_host(keras, outer(x)), "float32")


def test_keras_reads_what_we_write(tmp_path):
    optional("h5py")
    keras = keras_module()
    model, other = sample_model(keras), sample_model(keras)
    model.save(tmp_path / "model.keras")
    layers = load_keras(tmp_path / "model.keras")
    layers["dense"] = model.layers[-1].get_weights()
    save_keras(tmp_path / "ours.weights.h5", layers)
    other.load_weights(tmp_path / "ours.weights.h5")
    for given, wanted in zip(other.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(given, wanted, strict=True)


@pytest.mark.parametrize("each", [False, True])
def test_keras_reads_layers_without_bias(tmp_path, each):
    optional("h5py")
    keras = keras_module()

    def model():
        layers = keras.layers
        cells = [layers.GRUCell(4, use_bias=False), layers.SimpleRNNCell(H, use_bias=False)]
        both = keras_layer(keras, "GRU before no bias")
        parts = [
            keras_layer(keras, "LSTM no bias"),
            layers.Bidirectional(both, "sum"),
            layers.RNN(cells, return_sequences=True),
        ]
        return keras.Sequential([keras.Input((None, D)), *parts])

    first, second = model(), model()
    first.save(tmp_path / "model.keras")
    layers = load_keras(tmp_path / "model.keras")
    use_bias = dict.fromkeys(layers, False) if each else False
    save_keras(tmp_path / "ours.weights.h5", layers, use_bias=use_bias)
    second.load_weights(tmp_path / "ours.weights.h5")
    for given, wanted in zip(second.get_weights(), first.get_weights(), strict=True):
        np.testing.assert_array_equal(given, wanted, strict=True)


def test_a_bias_is_not_lost_in_a_layer_without_one(tmp_path):
    optional("h5py")
    path = tmp_path / "ours.weights.h5"
    layers = {"lstm": classic("lstm"), "gru": classic("gru")}
    with pytest.raises(ConversionError, match="save_keras: gru: use_bias=False, but the bias"):
        save_keras(path, layers, use_bias={"gru": False})
    with pytest.raises(ConversionError, match="use_bias names rnn, expected some of lstm, gru"):
        save_keras(path, layers, use_bias={"rnn": False})
    assert not path.exists()


def test_directions_of_unequal_depth(tmp_path):
    optional("h5py")
    keras = keras_module()
    there, upper, back = (classic("lstm", D=d, dtype="float32", seed=d) for d in (D, H, D))
    layers = keras.layers
    cells = [layers.LSTMCell(H), layers.LSTMCell(H)]
    deep = layers.RNN(cells, return_sequences=True)
    flat = layers.LSTM(H, return_sequences=True, go_backwards=True)
    both = layers.Bidirectional(deep, backward_layer=flat)
    model = keras.Sequential([keras.Input((None, D)), both])
    net = Bidirectional(Stack([there, upper]), back)
    save_keras(tmp_path / "ours.weights.h5", {"bidirectional": net})
    model.load_weights(tmp_path / "ours.weights.h5")
    x = draw(2, 4, D, dtype="float32")
    assert_near(net.forward(x), on_host(keras, model(x)), "float32")


@pytest.mark.parametrize("name", nets(KINDS))
def test_our_files_come_back_bit_for_bit(tmp_path, name):
    optional("h5py")
    layer = nets(KINDS)[name]
    if isinstance(layer, Stack) and isinstance(layer.layers[0], Bidirectional):
        entries = {"bidirectional": layer.layers[0], "bidirectional_1": layer.layers[1]}
    else:
        entries = {"one": layer}
    path = tmp_path / "ours.weights.h5"
    save_keras(path, entries)
    found = read_keras(path)
    for key, entry in entries.items():
        both = isinstance(entry, Bidirectional)
        assert_same_params(from_keras(found[key], bidirectional=both), entry)


def test_ten_cells_stay_in_order(tmp_path):
    optional("h5py")
    net = Stack([classic("lstm", D=H, seed=k) for k in range(12)])
    save_keras(tmp_path / "deep.weights.h5", {"rnn": net})
    assert_same_params(from_keras(read_keras(tmp_path / "deep.weights.h5")["rnn"]), net)


def test_a_file_says_whether_a_layer_is_stateful(tmp_path):
    optional("h5py")
    weights = h5_bytes({"lstm": classic("lstm")}, tmp_path)
    path = config_file(tmp_path / "model.keras", [lstm_entry(stateful=True)], weights)
    assert load_keras(path)["lstm"].stateful
    assert not load_keras(path, stateful=False)["lstm"].stateful
