"""Settings of a language model: what is accepted becomes plain JSON, the rest is refused."""

import json
from dataclasses import fields

import numpy as np
import pytest

from rnn_xp import Rnnlm
from rnn_xp.models import LMConfig

V = 7


@pytest.mark.parametrize("name", [f.name for f in fields(LMConfig) if f.type is bool])
@pytest.mark.parametrize("value", ["no", 1, 0, None, np.bool_(True)], ids=repr)
def test_a_switch_is_true_or_false(name, value):
    with pytest.raises(ValueError, match=f"^Rnnlm: {name} = .*, expected True or False$"):
        LMConfig(V, **{name: value})


@pytest.mark.parametrize("name", ["vocab_size", "embed", "hidden", "layers", "seed", "projection"])
@pytest.mark.parametrize("value", ["3", 2.5, 2.0, True, -1, [3], np.float32(3)], ids=repr)
def test_a_size_is_an_integer(name, value):
    with pytest.raises(ValueError, match=rf"^Rnnlm: {name} = .*, expected an integer from [01]"):
        LMConfig(**({"vocab_size": V} | {name: value}))


@pytest.mark.parametrize(
    "name", ["dropout", "zoneout", "recurrent_dropout", "weight_drop", "forget_bias"]
)
@pytest.mark.parametrize("value", ["x", "0.5", None, True, [0.5], 1j, 10**400], ids=repr)
def test_a_number_is_a_number(name, value):
    with pytest.raises(ValueError, match=f"^Rnnlm: {name} = .*, expected a number$"):
        LMConfig(V, **{name: value})


@pytest.mark.parametrize("name", ["cell_clip", "init_scale"])
@pytest.mark.parametrize("value", ["1", False, 1j], ids=repr)
def test_a_limit_is_a_number_or_none(name, value):
    with pytest.raises(ValueError, match=f"^Rnnlm: {name} = .*, expected a number or None"):
        LMConfig(V, **{name: value})


@pytest.mark.parametrize("name", ["cell_clip", "init_scale", "forget_bias"])
@pytest.mark.parametrize("value", [float("nan"), float("inf")], ids=repr)
def test_a_number_is_finite(name, value):
    with pytest.raises(ValueError, match=f"^Rnnlm: {name} = {value}, expected a (finite|positive)"):
        LMConfig(V, **{name: value})


@pytest.mark.parametrize("name", ["cell", "init", "dtype"])
@pytest.mark.parametrize("value", [3, None, np.array(["lstm"])], ids=repr)
def test_a_name_is_a_string(name, value):
    with pytest.raises(ValueError, match=f"^Rnnlm: {name} = .*, expected a string$"):
        LMConfig(V, **{name: value})


def test_numbers_of_numpy_become_pythons_and_can_be_saved(tmp_path):
    given = {
        "projection": np.int64(3),
        "layers": np.uint8(1),
        "zoneout": np.float32(0.25),
        "cell_clip": np.float64(2.0),
        "dropout": 0,
        "cell": np.str_("lstm"),
    }
    model = Rnnlm(np.int32(V), 4, np.int16(5), backend="numpy", **given)
    model.save(tmp_path / "model.safetensors")
    assert Rnnlm.load(tmp_path / "model.safetensors", backend="numpy").config == model.config
    document = model.config.to_json()
    assert json.loads(json.dumps(document)) == document
    kinds = {name: type(document[name]) for name in given}
    assert kinds == {
        "projection": int,
        "layers": int,
        "zoneout": float,
        "cell_clip": float,
        "dropout": float,
        "cell": str,
    }
