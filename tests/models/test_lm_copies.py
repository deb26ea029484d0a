"""Language models: what a copy, a file and a move to another backend keep."""

import copy
import pickle

import numpy as np
import pytest
from lm_helpers import KINDS, V, batch, make, train

from rnn_xp import BetterRnnlm, Rnnlm
from rnn_xp.backend import to_host
from rnn_xp.errors import CheckpointError


@pytest.mark.parametrize("clone", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_a_copy_trains_like_the_original(be, clone):
    model = make(be, layers=2, dropout=0.3, tied=True)
    model.freeze("layers.0.Wx")
    train(model)
    other = clone(model)
    before = to_host(model.flat_params).copy()
    np.testing.assert_array_equal(to_host(other.flat_params), before)
    expected = train(model, seed=9)
    np.testing.assert_array_equal(train(other, seed=9), expected)
    assert not np.array_equal(expected, before)


class OwnLM(Rnnlm):
    """A model with attributes of its own, one of them a layer."""

    def __init__(self, *args, **settings):
        super().__init__(*args, **settings)
        self.notes = ["made"]
        self.first, self.calls = self.recurrent_layers[0], {"model": self}


COPIES = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "pickle": lambda model: pickle.loads(pickle.dumps(model)),
    "to": lambda model: model.to(model.backend),
}


@pytest.mark.parametrize("way", COPIES)
@pytest.mark.parametrize("settings", [{}, {"trainable_state": True, "weight_drop": 0.2}])
def test_a_copy_keeps_what_was_set_after_building(be, way, settings):
    model = make(be, layers=2, dropout=0.4, **settings)
    model.recurrent_layers[0].stateful = False
    model.layers[1].dropout_ratio = 0.25
    train(model)
    other = COPIES[way](model)
    assert [layer.stateful for layer in other.recurrent_layers] == [False, True]
    assert other.layers[1].dropout_ratio == 0.25
    assert other.layers[3].dropout_ratio == 0.4
    if way == "to":
        model.reset_state()
    expected = train(model, seed=9)
    np.testing.assert_array_equal(train(other, seed=9), expected)
    assert not any(a is b for a in other.params for b in model.params)


@pytest.mark.parametrize("way", COPIES)
def test_a_copy_of_a_subclass_keeps_its_attributes(be, way):
    model = OwnLM(V, 4, 4, backend=be)
    other = COPIES[way](model)
    assert type(other) is OwnLM
    assert other.notes == ["made"]
    assert other.first is other.recurrent_layers[0]
    assert other.first is not model.first
    if way != "copy":  # which is as deep as the layers only
        assert other.calls["model"] is other


def test_save_and_load(be, tmp_path):
    model = make(be, layers=2, tied=True)
    model.freeze("output.b")
    train(model)
    model.save(tmp_path / "model.safetensors")
    for target in ("numpy", be):
        read = Rnnlm.load(tmp_path / "model.safetensors", target)
        assert read.config == model.config
        assert read.frozen == {"output.b"}
        np.testing.assert_array_equal(to_host(read.flat_params), to_host(model.flat_params))
    assert Rnnlm.load(tmp_path / "model.safetensors", be, dtype="float32").dtype == "float32"
    with pytest.raises(CheckpointError, match="do not match the model"):
        model.set_parameters({"embedding.W": np.zeros((V, 4))})


def test_moving_keeps_weights_and_counters(be):
    model = make("numpy", dropout=0.3)
    train(model)
    moved = model.to(be)
    assert moved.backend == be
    assert moved.dropout_counters == model.dropout_counters
    model.reset_state()
    losses = [float(to_host(m.forward(*batch(5)))) for m in (model, moved)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-12)


@pytest.mark.parametrize("kind", [k for k in KINDS if "dropout" not in k])
def test_options_survive_a_copy_a_file_and_a_move(be, kind, tmp_path):
    model = make(be, **KINDS[kind])
    for seed in range(2):
        model.forward(*batch(seed))
    model.save(tmp_path / "model.safetensors")
    model.reset_state()
    copies = [
        copy.deepcopy(model),
        pickle.loads(pickle.dumps(model)),
        model.to("numpy"),
        Rnnlm.load(tmp_path / "model.safetensors", backend=be),
    ]
    copies[-1].dropout_counters = model.dropout_counters
    expected = float(to_host(model.forward(*batch(5))))
    for other in copies:
        assert other.config == model.config
        assert float(to_host(other.forward(*batch(5)))) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("kind", [OwnLM, BetterRnnlm])
def test_a_file_is_read_as_the_class_that_is_asked_for(be, kind, tmp_path):
    model = kind(V, 4, 4, backend=be, seed=1)
    model.save(tmp_path / "model.safetensors")
    read = kind.load(tmp_path / "model.safetensors", be)
    assert type(read) is kind
    assert read.config == model.config
    np.testing.assert_array_equal(to_host(read.flat_params), to_host(model.flat_params))
