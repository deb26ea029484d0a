"""The precision of matrix products: who takes it, who refuses it."""

import pytest
from layer_kinds import LAYERS, make

from rnn_xp.backend import get_backend
from rnn_xp.errors import PrecisionUnavailable
from rnn_xp.layers import (
    Stack,
    TimeAffine,
    TimeAffineSoftmaxWithLoss,
    TimeDropout,
    TimeEmbedding,
    TimeRNN,
    TimeSoftmaxWithLoss,
    TrainableState,
)
from rnn_xp.models import Rnnlm


@pytest.mark.parametrize("name", [*LAYERS, "loss"])
def test_numpy_computes_in_float32_only(name):
    be = get_backend("numpy")
    W = be.zeros((5, 6), "float32")
    layer = TimeAffineSoftmaxWithLoss(W) if name == "loss" else make(name, be, dtype="float32")
    with pytest.raises(PrecisionUnavailable, match="precision bfloat16"):
        layer.set_precision("bfloat16")
    with pytest.raises(ValueError, match="precision 'float64', expected one of float32, tf32"):
        layer.set_precision("float64")
    layer.set_precision("float32")
    assert layer.precision == "float32"


def test_layers_without_products_take_any_and_change_nothing():
    W = get_backend("numpy").zeros((5, 6), "float32")
    for layer in (TimeEmbedding(W), TimeAffine(W), TimeDropout(), TimeSoftmaxWithLoss()):
        layer.set_precision("tf32")
        assert layer.precision == "float32"


def test_a_net_asks_its_layers():
    stack = TrainableState(Stack.create(TimeRNN, 2, [3, 3], dropout=0.5))
    with pytest.raises(PrecisionUnavailable, match="numpy computes in float32"):
        stack.set_precision("tf32")
    stack.set_precision("float32")
    assert stack.precision == "float32"


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_model_on_numpy_stays_float32(dtype):
    model = Rnnlm(7, 3, 4, dtype=dtype, backend="numpy")
    reason = "numpy computes in float32" if dtype == "float32" else "for parameters of dtype float"
    with pytest.raises(PrecisionUnavailable, match=reason):
        model.set_precision("float16")
    model.set_precision("float32")
    assert model.precision == "float32"
