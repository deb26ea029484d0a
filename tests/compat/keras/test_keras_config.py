"""Configurations: the same as Keras writes, read by either library, round trips."""

import inspect

import numpy as np
import pytest
from keras_oracle import open_keras

from rnn_xp.compat import keras as ours

keras = open_keras()

# Of Keras's own conversion of its variables to NumPy.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

NAMES = ("SimpleRNN", "LSTM", "GRU")


def options(kind, layer):
    """Every constructor argument, away from its default."""
    found = {
        "name": "mine",
        "units": 3,
        "activation": "relu",
        "use_bias": False,
        "kernel_initializer": "he_normal",
        "recurrent_initializer": "glorot_normal",
        "bias_initializer": "ones",
        "dropout": 0.25,
        "recurrent_dropout": 0.5,
        "seed": 7,
        "dtype": "float64",
        "trainable": False,
    }
    if kind != "SimpleRNN":
        found["recurrent_activation"] = "tanh"
    if kind == "LSTM":
        found["unit_forget_bias"] = False
    if kind == "GRU":
        found["reset_after"] = False
    if layer:
        names = ("return_sequences", "return_state", "go_backwards", "stateful", "unroll")
        found |= dict.fromkeys((*names, "zero_output_for_mask"), True)
    return found


def without_names(config):
    """A configuration without what Keras numbers through."""
    if isinstance(config, dict):
        return {k: without_names(v) for k, v in config.items() if k not in ("name", "build_config")}
    return [without_names(c) for c in config] if isinstance(config, list) else config


@pytest.mark.parametrize("kind", NAMES)
@pytest.mark.parametrize("suffix", ["", "Cell"])
def test_configurations_are_keras_own(kind, suffix):
    name = kind + suffix
    for given in ({"units": 2}, options(kind, not suffix)):
        mine = getattr(ours, name)(**given).get_config()
        theirs = getattr(keras.layers, name)(**given).get_config()
        if name == "SimpleRNN":
            mine.pop("seed")  # Keras's layer forgets it
        assert without_names(mine) == without_names(theirs)
        # Either library reads the other's, and writes it again.
        back = getattr(ours, name).from_config(theirs)
        assert {**back.get_config(), "seed": theirs.get("seed")} == {"seed": None, **theirs}
        assert getattr(keras.layers, name).from_config(dict(mine)).get_config() == mine


@pytest.mark.parametrize("kind", NAMES)
@pytest.mark.parametrize("suffix", ["", "Cell"])
def test_arguments_and_defaults_are_keras_own(kind, suffix):
    def arguments(library):
        parameters = inspect.signature(getattr(library, kind + suffix).__init__).parameters
        return {
            n: p.default
            for n, p in parameters.items()
            if p.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD
        }

    mine, theirs = arguments(ours), arguments(keras.layers)
    assert list(mine.items()) == list(theirs.items())


@pytest.mark.parametrize("name", ["RNN", "Bidirectional", "StackedRNNCells"])
def test_arguments_of_the_wrappers(name):
    mine, theirs = (
        list(inspect.signature(getattr(library, name).__init__).parameters.items())
        for library in (ours, keras.layers)
    )
    assert [(n, p.default) for n, p in mine] == [(n, p.default) for n, p in theirs]


def nets(library):
    cells = [library.LSTMCell(3), library.GRUCell(2, reset_after=False)]
    layer = library.GRU(4, return_sequences=True)
    return [
        library.RNN(library.SimpleRNNCell(2), go_backwards=True),
        library.RNN(cells, return_state=True),
        library.Bidirectional(layer, merge_mode="mul"),
        library.TimeDistributed(library.LSTM(2)),
        library.StackedRNNCells([library.LSTMCell(3)]),
    ]


@pytest.mark.parametrize("k", range(5))
def test_nested_configurations(k):
    mine, theirs = nets(ours)[k], nets(keras.layers)[k]
    assert without_names(mine.get_config()) == without_names(theirs.get_config())
    again = type(mine).from_config(theirs.get_config())
    assert without_names(again.get_config()) == without_names(theirs.get_config())
    read = type(theirs).from_config(mine.get_config())
    assert without_names(read.get_config()) == without_names(theirs.get_config())


def initializer_calls(library):
    i = library.initializers
    return {
        "Zeros": i.Zeros(),
        "Ones": i.Ones(),
        "Constant": i.Constant(0.5),
        "Identity": i.Identity(2.0),
        "Orthogonal": i.Orthogonal(gain=0.5, seed=1),
        "RandomNormal": i.RandomNormal(0.1, 0.2, 3),
        "RandomUniform": i.RandomUniform(-1.0, 2.0, 3),
        "TruncatedNormal": i.TruncatedNormal(0.1, 0.2, 3),
        "VarianceScaling": i.VarianceScaling(2.0, "fan_out", "uniform", 3),
    } | {
        n: getattr(i, n)(seed=5)
        for n in (
            *("GlorotNormal", "GlorotUniform", "HeNormal"),
            *("HeUniform", "LecunNormal", "LecunUniform"),
        )
    }


@pytest.mark.parametrize("name", initializer_calls(ours))
def test_initializers_are_written_as_keras_does(name):
    mine = ours.initializers.serialize(initializer_calls(ours)[name])
    theirs = keras.initializers.serialize(initializer_calls(keras)[name])
    if name == "Identity":
        theirs["config"]["gain"] = 2.0  # Keras forgets it
    assert mine == theirs
    assert ours.initializers.serialize(ours.initializers.get(theirs)) == theirs


@pytest.mark.parametrize("name", initializer_calls(ours))
def test_initializers_draw_from_the_same_distribution(name):
    """Mean and spread of a square matrix; what is not drawn is equal."""
    shape = (120, 120)
    mine = np.asarray(initializer_calls(ours)[name](shape))
    theirs = keras.ops.convert_to_numpy(initializer_calls(keras)[name](shape))
    if name in ("Zeros", "Ones", "Constant", "Identity"):
        np.testing.assert_array_equal(mine, theirs)
        return
    spread = theirs.std()
    assert abs(mine.mean() - theirs.mean()) < 0.05 * spread
    assert abs(mine.std() / spread - 1.0) < 0.03
    assert abs(np.abs(mine).max() / np.abs(theirs).max() - 1.0) < (
        0.25 if name in ("RandomNormal", "Orthogonal") else 0.02
    )


def test_weights_go_both_ways():
    x = np.random.default_rng(0).standard_normal((2, 3, 4)).astype("float32")
    for mine, theirs in zip(nets(ours)[:3], nets(keras.layers)[:3], strict=True):
        theirs.build(x.shape)
        mine.build(x.shape)
        mine.set_weights(theirs.get_weights())
        for a, b in zip(mine.get_weights(), theirs.get_weights(), strict=True):
            np.testing.assert_array_equal(a, b)
        theirs.set_weights(mine.get_weights())
