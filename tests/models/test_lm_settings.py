"""Settings of language models: what does not fit is refused, what leaves the fast kernels told."""

import numpy as np
import pytest
from lm_helpers import V, make

from rnn_xp.models import LMConfig


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"vocab_size": 0}, "vocab_size = 0, expected an integer from 1"),
        ({"vocab_size": 5, "hidden": 2.5}, "hidden = 2.5"),
        ({"vocab_size": 5, "seed": -1}, "seed = -1, expected an integer from 0"),
        ({"vocab_size": 5, "cell": "elman"}, "cell = 'elman', expected one of rnn, lstm, gru"),
        ({"vocab_size": 5, "dropout": 1.0}, "dropout = 1.0"),
        ({"vocab_size": 5, "init": "uniform", "init_scale": -1.0}, "init_scale = -1.0, expected a"),
        ({"vocab_size": 5, "init": "uniform", "init_scale": 0.0}, "init_scale = 0.0"),
        ({"vocab_size": 5, "init_scale": float("inf")}, "init_scale = inf"),
        ({"vocab_size": 5, "tied": True, "embed": 3, "hidden": 4}, "got D = 3 and H = 4"),
        ({"vocab_size": 5, "one_hot": True}, "one_hot needs embed = vocab_size"),
        ({"vocab_size": 5, "dtype": "float16"}, "dtype = 'float16'"),
    ],
)
def test_impossible_configurations(settings, message):
    with pytest.raises(ValueError, match=message):
        LMConfig(**settings)


@pytest.mark.parametrize("name", ["dropout", "zoneout", "recurrent_dropout", "weight_drop"])
@pytest.mark.parametrize("ratio", [1 - 2**-18, 0.9999999, float("nan")])
def test_ratios_that_would_drop_all_are_refused(name, ratio):
    with pytest.raises(ValueError, match=f"^Rnnlm: {name} = {ratio}, expected 0 <= {name} < 1"):
        LMConfig(V, **{name: ratio})
    assert getattr(LMConfig(V, **{name: 0.9999}), name) == 0.9999


def test_numpy_integers_are_integers():
    assert LMConfig(np.int64(9)).to_json()["vocab_size"] == 9


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"peepholes": True, "cell": "gru"}, "need cell = 'lstm', got 'gru'"),
        ({"projection": 3, "tied": True}, "a tied output layer needs embed = projection"),
        ({"residual": True, "projection": 3}, "residual needs embed = projection, got D = 4"),
        ({"cell_clip": -1.0}, "cell_clip = -1.0, expected a positive number"),
        ({"projection": 0}, "projection = 0, expected an integer from 1 or None"),
        ({"zoneout": 1.0}, "zoneout = 1.0, expected 0 <= zoneout < 1"),
    ],
)
def test_options_that_do_not_fit_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        make(**settings)


def test_the_configuration_tells_what_leaves_the_fast_kernels():
    config = make(zoneout=0.1, cell_clip=2.0, weight_drop=0.1, trainable_state=True).config
    assert config.generic_because == ("cell_clip", "zoneout")
    assert config.options == ("cell_clip", "zoneout", "weight_drop", "trainable_state")
    assert make(weight_drop=0.1, residual=True).config.generic_because == ()
