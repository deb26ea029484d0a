"""torch's two biases, which are one here, come back as they were: ``to_torch(like=)``."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from interop_helpers import (
    D,
    H,
    P,
    any_floats,
    assert_same_bits,
    bits_of,
    changed,
    classic,
    draw,
    torch_module,
)

from rnn_xp.errors import ConversionError, DTypeError
from rnn_xp.interop import from_torch, to_torch

pytestmark = pytest.mark.filterwarnings("ignore:(overflow|invalid value) encountered")
GATES = {"rnn": 1, "lstm": 4, "lstm proj": 4, "gru": 3}
MODULES = {
    "kind": st.sampled_from(list(GATES)),
    "layers": st.integers(1, 3),
    "directions": st.integers(1, 2),
    "bias": st.booleans(),
    "dtype": st.sampled_from(["float32", "float64"]),
    "seed": st.integers(0, 2**32),
}


def random_state_dict(rng, kind, layers, directions, bias, dtype):
    """As a torch module of this kind has it, with numbers of every sort."""
    rows, width = GATES[kind] * H, P if "proj" in kind else H
    found = {}
    for layer in range(layers):
        inputs = D if layer == 0 else directions * width
        shapes = {"weight_ih": (rows, inputs), "weight_hh": (rows, width)}
        shapes |= {"bias_ih": (rows,), "bias_hh": (rows,)} if bias else {}
        shapes |= {"weight_hr": (P, H)} if "proj" in kind else {}
        for suffix in ("", "_reverse")[:directions]:
            for name, shape in shapes.items():
                found[f"{name}_l{layer}{suffix}"] = any_floats(rng, *shape, dtype=dtype)
    return found


@settings(max_examples=100, deadline=None)
@given(**MODULES)
def test_a_state_dict_comes_back_bit_for_bit(kind, layers, directions, bias, dtype, seed):
    theirs = random_state_dict(np.random.default_rng(seed), kind, layers, directions, bias, dtype)
    assert_same_bits(to_torch(from_torch(theirs), like=theirs), theirs)


@settings(max_examples=100, deadline=None)
@given(**MODULES)
def test_changed_weights_come_back_bit_for_bit(kind, layers, directions, bias, dtype, seed):
    """Through what torch gets, and with `bias_hh` as it was wherever that is possible."""
    rng = np.random.default_rng(seed)
    theirs = random_state_dict(rng, kind, layers, directions, True, dtype)
    layer = from_torch(theirs)
    changed(layer, rng)
    there = to_torch(layer, like=theirs)
    assert_same_bits(from_torch(there).params, layer.params, any_nan=True)
    for name in theirs:
        if "bias_hh" in name and kind != "gru":
            kept = bits_of(there[name]) == bits_of(theirs[name])
            assert np.all(kept | (there[name] == 0))


@pytest.mark.parametrize("name", ["RNN", "LSTM", "GRU", "RNNCell", "LSTMCell", "GRUCell"])
def test_after_a_training_step_torch_gets_exactly_our_weights(name):
    torch = torch_module()
    torch.manual_seed(0)
    module = getattr(torch.nn, name)(D, H)
    theirs = {key: array.clone() for key, array in module.state_dict().items()}
    layer = from_torch(theirs)
    assert_same_bits(to_torch(layer, like=theirs), {k: a.numpy() for k, a in theirs.items()})
    layer.forward(draw(2, 4, D, dtype="float32"))
    layer.backward(draw(2, 4, H, dtype="float32"))
    for param, grad in zip(layer.params, layer.grads, strict=True):
        param[...] -= 0.01 * grad
    there = to_torch(layer, like=theirs)
    module.load_state_dict({key: torch.from_numpy(array) for key, array in there.items()})
    assert_same_bits(from_torch(module.state_dict()).params, layer.params)
    if "GRU" not in name:
        hh = next(key for key in theirs if "bias_hh" in key)
        kept = there[hh] == theirs[hh].numpy()
        assert kept.sum() > kept.size // 2
        np.testing.assert_array_equal(there[hh][~kept], 0.0)


def test_names_are_those_of_the_state_dict():
    cell = {
        "weight_ih": draw(H, D),
        "weight_hh": draw(H, H),
        "bias_ih": draw(H),
        "bias_hh": draw(H),
    }
    whole = {f"decoder.{name}": array for name, array in cell.items()} | {"head.b": np.zeros(2)}
    layer = from_torch(whole, prefix="decoder.")
    back = to_torch(layer, prefix="decoder.", like=whole)
    assert_same_bits(back, {name: whole[name] for name in list(whole)[:4]})


def test_a_state_dict_of_another_dtype_is_converted_first():
    half = {name: array.astype("float16") for name, array in to_torch(classic("lstm")).items()}
    half["bias_hh_l0"] = draw(4 * H, seed=7).astype("float16")
    back = to_torch(from_torch(half, dtype="float32"), like=half)
    assert {array.dtype for array in back.values()} == {np.dtype("float32")}
    assert_same_bits({name: array.astype("float16") for name, array in back.items()}, half)


def test_another_modules_state_dict_is_refused():
    layer = classic("lstm")
    theirs = to_torch(layer)
    with pytest.raises(ConversionError, match=r"like has no weight_hh_l0, the layer has weight_hh"):
        to_torch(layer, like={k: a for k, a in theirs.items() if k != "weight_hh_l0"})
    with pytest.raises(
        ConversionError, match=r"like has bias_hh_l0 \(15,\), the layer has bias_hh_l0 \(20,\)"
    ):
        to_torch(layer, like=to_torch(classic("gru")))
    without = {k: a for k, a in theirs.items() if "bias" not in k}
    with pytest.raises(ConversionError, match="bias=False, but the bias of a layer is not zero"):
        to_torch(layer, like=without)
    with pytest.raises(DTypeError, match="to_torch: like: weights of int64"):
        to_torch(layer, like={name: array.astype("int64") for name, array in theirs.items()})
