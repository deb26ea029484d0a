"""Keras' files, in all their layouts, read and written; damaged ones are named."""

import json
import zipfile

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
from keras_helpers import QUIET, keras_layer, on_host

from rnn_xp import Bidirectional, Stack
from rnn_xp.errors import CheckpointError, ConversionError
from rnn_xp.interop.keras_files import read_keras, save_keras
from rnn_xp.interop.keras_models import load_keras
from rnn_xp.interop.keras_weights import from_keras, to_keras

pytestmark = QUIET
KINDS = ("rnn", "lstm", "gru", "gru-before")


def sample_model(keras, dtype="float32", one_class=False):
    layers = keras.layers
    inputs = keras.Input((None, D), dtype=dtype)
    x = keras_layer(keras, "LSTM", dtype)(inputs)
    x = keras_layer(keras, "LSTM", dtype)(x)
    x = layers.Dropout(0.5, dtype=dtype)(x)
    x = layers.Bidirectional(keras_layer(keras, "GRU before", dtype), "sum", dtype=dtype)(x)
    cells = [
        layers.SimpleRNNCell(4, activation="relu", dtype=dtype),
        layers.SimpleRNNCell(H, dtype=dtype) if one_class else layers.GRUCell(H, dtype=dtype),
    ]
    stacked = layers.StackedRNNCells(cells, dtype=dtype)
    x = layers.RNN(stacked, return_sequences=True, dtype=dtype)(x)
    outputs = layers.Dense(2, dtype=dtype)(x)
    return keras.Model(inputs, outputs)


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


def old_layout(h5py, path, inside=False, chunks=False):
    """A file as Keras 1 and 2 wrote it."""
    layer = classic("gru", dtype="float32")
    with h5py.File(path, "w") as file:
        root = file.create_group("model_weights") if inside else file
        if chunks:
            root.attrs["layer_names0"], root.attrs["layer_names1"] = [b"embed"], [b"my_gru"]
        else:
            root.attrs["layer_names"] = [b"embed", b"my_gru"]
        root.create_group("embed").attrs["weight_names"] = []
        group = root.create_group("my_gru")
        names = [f"my_gru/gru_cell/{n}:0" for n in ("kernel", "recurrent_kernel", "bias")]
        group.attrs["weight_names"] = [name.encode() for name in names]
        for name, array in zip(names, to_keras(layer), strict=True):
            group[name] = array
    return layer


@pytest.mark.parametrize(("inside", "chunks"), [(False, False), (True, False), (False, True)])
def test_the_older_layout(tmp_path, inside, chunks):
    layer = old_layout(optional("h5py"), tmp_path / "old.h5", inside, chunks)
    found = read_keras(tmp_path / "old.h5")
    assert list(found) == ["my_gru"]
    assert_same_params(from_keras(found["my_gru"]), layer)


def test_the_older_layout_as_keras_itself_writes_it(tmp_path):
    optional("h5py")
    keras = keras_module()
    model = sample_model(keras)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("absl.logging.warning", lambda *_: None)
        model.save(tmp_path / "model.h5")
    found = read_keras(tmp_path / "model.h5")
    wanted = {layer.name: layer.get_weights() for layer in model.layers if layer.weights}
    assert list(found) == list(wanted)
    for name, arrays in wanted.items():
        for given, array in zip(found[name], arrays, strict=True):
            np.testing.assert_array_equal(given, array, strict=True)


def config_file(path, layers, weights=b""):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", json.dumps({"config": {"layers": layers}}))
        archive.writestr("model.weights.h5", weights)
    return path


def h5_bytes(layers, tmp_path):
    save_keras(tmp_path / "x.weights.h5", layers)
    return (tmp_path / "x.weights.h5").read_bytes()


def lstm_entry(**config):
    return {"class_name": "LSTM", "config": {"units": H, **config}}


UNKNOWN = {
    "go_backwards": (lstm_entry(go_backwards=True), "go_backwards returns the outputs"),
    "own activation": (lstm_entry(activation={"class_name": "function"}), "a function of its own"),
    "own cell": (
        {"class_name": "RNN", "config": {"cell": {"class_name": "My>Cell", "config": {}}}},
        "cell My>Cell has no equal here",
    ),
}


@pytest.mark.parametrize("case", UNKNOWN)
def test_keras_layers_without_an_equal_are_refused(tmp_path, case):
    optional("h5py")
    entry, reason = UNKNOWN[case]
    weights = h5_bytes({"lstm": classic("lstm"), "rnn": classic("rnn")}, tmp_path)
    path = config_file(tmp_path / "model.keras", [entry], weights)
    with pytest.raises(ConversionError, match=reason):
        load_keras(path)


def test_a_file_says_whether_a_layer_is_stateful(tmp_path):
    optional("h5py")
    weights = h5_bytes({"lstm": classic("lstm")}, tmp_path)
    path = config_file(tmp_path / "model.keras", [lstm_entry(stateful=True)], weights)
    assert load_keras(path)["lstm"].stateful
    assert not load_keras(path, stateful=False)["lstm"].stateful


def test_damaged_files_are_named(tmp_path):
    h5py = optional("h5py")
    path = tmp_path / "x.h5"
    with pytest.raises(CheckpointError, match=r"x\.h5: no such file"):
        read_keras(path)
    path.write_bytes(b"not a file of Keras")
    with pytest.raises(CheckpointError, match="not a Keras weight file, or damaged"):
        read_keras(path)
    whole = h5_bytes({"lstm": classic("lstm")}, tmp_path)
    for size in (0, 100, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:size])
        with pytest.raises(CheckpointError, match=r"x\.h5: not a Keras weight file, or damaged"):
            read_keras(path)
    with h5py.File(path, "w") as file:
        file["something"] = 1.0
    with pytest.raises(CheckpointError, match="neither a group 'layers' nor the attribute"):
        read_keras(path)
    h5py.File(path, "w").create_group("layers").file.close()
    with pytest.raises(CheckpointError, match="holds no weights of Keras layers"):
        read_keras(path)
    with h5py.File(path, "w") as file:
        file["layers/lstm"] = 1.0
    with pytest.raises(CheckpointError, match="/layers/lstm is an array, expected a group"):
        read_keras(path)


def test_damaged_archives_are_named(tmp_path):
    optional("h5py")
    weights = h5_bytes({"lstm": classic("lstm")}, tmp_path)
    path = tmp_path / "model.keras"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "")
    with pytest.raises(CheckpointError, match=r"holds no model\.weights\.h5"):
        load_keras(path)
    with pytest.raises(CheckpointError, match="the weights of lstm_1 are missing"):
        load_keras(config_file(path, [lstm_entry(), lstm_entry()], weights))
    for config in ('{"config"', '{"config": 3}'):
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("config.json", config)
            archive.writestr("model.weights.h5", weights)
        with pytest.raises(CheckpointError, match=r"config\.json (is damaged|describes no)"):
            load_keras(path)
    broken = [{"class_name": "Bidirectional", "config": {"layer": 3}}]
    with pytest.raises(CheckpointError, match="a layer inside a layer"):
        load_keras(config_file(path, broken, weights))
    data = path.read_bytes()
    path.write_bytes(data[:60] + b"\xff" * 40 + data[100:])
    with pytest.raises(CheckpointError, match="damaged"):
        load_keras(path)


def test_links_out_of_a_file_and_bombs_are_refused(tmp_path):
    h5py = optional("h5py")
    path = tmp_path / "x.h5"
    with h5py.File(path, "w") as file:
        file["layers/lstm/vars"] = h5py.ExternalLink("/etc/passwd", "/")
    with pytest.raises(CheckpointError, match="is a ExternalLink"):
        read_keras(path)
    with h5py.File(path, "w") as file:
        file["layers/lstm/vars/0"] = h5py.SoftLink("/layers")
    with pytest.raises(CheckpointError, match="is a SoftLink"):
        read_keras(path)
    with h5py.File(path, "w") as file:
        file.create_dataset("layers/lstm/vars/0", (2**20, 2**12), "f8", chunks=(2**10, 2**10))
    with pytest.raises(CheckpointError, match=r"declares 34359738368 bytes, but 0 are stored"):
        read_keras(path)
    with h5py.File(path, "w") as file:
        outside = [(str(tmp_path / "secret"), 0, 80)]
        file.create_dataset("layers/lstm/vars/0", (10,), "f8", external=outside)
    with pytest.raises(CheckpointError, match="is not an array stored in the file"):
        read_keras(path)


def test_writing_needs_the_right_name(tmp_path):
    optional("h5py")
    with pytest.raises(CheckpointError, match=r"expected a name that ends in \.weights\.h5"):
        save_keras(tmp_path / "x.h5", {"lstm": classic("lstm")})
