"""Keras layers for the tests, and what their numbers need."""

import pytest
from interop_helpers import H

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
