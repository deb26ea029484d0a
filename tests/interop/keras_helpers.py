"""Keras layers, models and files for the tests, and what their numbers need."""

import json
import zipfile

import pytest
from interop_helpers import D, H

from rnn_xp.interop.keras_files import save_keras

QUIET = pytest.mark.filterwarnings(  # Keras' torch backend under NumPy 2
    "ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"
)
LAYERS = {
    "SimpleRNN": {},
    "SimpleRNN relu": {"activation": "relu"},
    "SimpleRNN no bias": {"use_bias": False},
    "LSTM": {},
    "LSTM no bias": {"use_bias": False, "recurrent_activation": "hard_sigmoid"},
    "GRU": {},
    "GRU before": {"reset_after": False},
    "GRU no bias": {"use_bias": False},
    "GRU before no bias": {"use_bias": False, "reset_after": False, "activation": "softsign"},
}


def keras_layer(keras, name, dtype="float32", **options):
    return getattr(keras.layers, name.split()[0])(
        H, return_sequences=True, dtype=dtype, bias_initializer="uniform", **LAYERS[name], **options
    )


def on_host(keras, tensor):
    return keras.ops.convert_to_numpy(tensor)


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
