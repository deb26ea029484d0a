"""TensorFlow 1's forget bias, which it adds and we store: exact both ways, or refused."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from interop_helpers import (
    D,
    H,
    any_floats,
    assert_same_bits,
    bits_of,
    changed,
    classic,
    draw,
    lstmp,
)

from rnn_xp import Bidirectional, Stack, TimeLSTM
from rnn_xp.errors import ConversionError
from rnn_xp.interop import from_tf1, to_tf1

pytestmark = pytest.mark.filterwarnings("ignore:(overflow|invalid value) encountered")
FORGET = slice(H, 2 * H)
CELLS = {
    "layers": st.integers(1, 2),
    "directions": st.integers(1, 2),
    "extended": st.booleans(),
    "suffix": st.sampled_from(["", ":0"]),
    "dtype": st.sampled_from(["float32", "float64"]),
    "forget_bias": st.floats(allow_nan=False, allow_infinity=False, width=32)
    | st.sampled_from([1.0, 0.0, -0.0, 0.1, 5.0]),
    "seed": st.integers(0, 2**32),
}


def random_variables(rng, layers, directions, extended, suffix, dtype, **_):
    """Of LSTM cells of TensorFlow, with numbers of every sort."""
    found = {}
    for end in ("",) if directions == 1 else ("fw/", "bw/"):
        for number in range(layers):
            cell = f"multi_rnn_cell/cell_{number}/" if layers > 1 else ""
            inputs = H if number else D
            shapes = {"kernel": (inputs + H, 4 * H), "bias": (4 * H,)}
            shapes |= {f"w_{gate}_diag": (H,) for gate in "ifo"} if extended else {}
            for name, shape in shapes.items():
                array = any_floats(rng, *shape, dtype=dtype)
                found[f"a/rnn/{end}{cell}lstm_cell/{name}{suffix}"] = array
    return found


@settings(max_examples=150, deadline=None)
@given(**CELLS)
def test_variables_come_back_bit_for_bit(seed, forget_bias, **cells):
    theirs = random_variables(np.random.default_rng(seed), **cells)
    layer = from_tf1(theirs, forget_bias=forget_bias)
    assert_same_bits(to_tf1(layer, forget_bias=forget_bias, like=theirs), theirs)


@settings(max_examples=150, deadline=None)
@given(**CELLS)
def test_changed_weights_come_back_bit_for_bit_or_are_refused(seed, forget_bias, **cells):
    rng = np.random.default_rng(seed)
    theirs = random_variables(rng, **cells)
    layer = from_tf1(theirs, forget_bias=forget_bias)
    changed(layer, rng, share=0.02)
    there = to_tf1(layer, forget_bias=forget_bias, like=theirs, allow_rounding=True)
    back = from_tf1(there, forget_bias=forget_bias)
    lost = 0
    for ours, wanted in zip(back.params, layer.params, strict=True):
        differ = (bits_of(ours) != bits_of(wanted)) & ~(np.isnan(ours) & np.isnan(wanted))
        if differ.shape == (4 * H,):
            lost += differ[FORGET].sum()
            differ[FORGET] = False
        assert not differ.any()
    if lost:
        with pytest.raises(ConversionError, match=r"no float.* adds up with forget_bias = "):
            to_tf1(layer, forget_bias=forget_bias, like=theirs)
    else:
        assert_same_bits(to_tf1(layer, forget_bias=forget_bias, like=theirs), there)
    there = to_tf1(layer, forget_bias=0.0, like=theirs)
    assert_same_bits(from_tf1(there, forget_bias=0.0).params, layer.params, any_nan=True)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_training_step_on_a_fresh_cell_comes_back_bit_for_bit(dtype):
    theirs = {
        "rnn/basic_lstm_cell/kernel": draw(D + H, 4 * H, dtype=dtype),
        "rnn/basic_lstm_cell/bias": np.zeros(4 * H, dtype),
    }
    layer = from_tf1(theirs)
    layer.forward(draw(2, 4, D, dtype=dtype))
    layer.backward(draw(2, 4, H, dtype=dtype))
    for param, grad in zip(layer.params, layer.grads, strict=True):
        param[...] -= 0.01 * grad
    there = to_tf1(layer, like=theirs)
    assert not np.array_equal(there["rnn/basic_lstm_cell/bias"], theirs["rnn/basic_lstm_cell/bias"])
    assert_same_bits(from_tf1(there).params, layer.params)


def test_names_are_those_of_the_variables():
    stacks = [Stack([classic("lstm"), lstmp(D=H, P=0)]) for _ in range(2)]
    net = Bidirectional(*stacks, None)
    theirs = {f"{n}:0": a for n, a in to_tf1(net, forget_bias=0.0, cell_name="mine").items()}
    others = {"bidirectional_rnn_1/fw/basic_rnn_cell/bias:0": draw(H)}
    read = from_tf1(theirs | others, scope="bidirectional_rnn", kind="lstm")
    assert_same_bits(to_tf1(read, like=theirs | others, scope="bidirectional_rnn"), theirs)
    gru = {"w/gru_cell/" + n.removeprefix("rnn/gru_cell/"): a for n, a in GRU.items()}
    assert_same_bits(to_tf1(from_tf1(gru), like=gru), gru)


GRU = to_tf1(classic("gru-before"))


def test_other_variables_are_refused():
    layer, other = classic("lstm"), classic("lstm", D=H)
    theirs = to_tf1(layer, forget_bias=0.0)
    with pytest.raises(ConversionError, match=r"like has 1 cells, the layer has 2 cells"):
        to_tf1(Stack([layer, other]), like=theirs)
    with pytest.raises(
        ConversionError,
        match=r"like has kernel \(8, 20\), the layer has kernel \(10, 20\)",
    ):
        to_tf1(other, like=theirs)
    with pytest.raises(ConversionError, match=r"like has bias .* the layer has no bias"):
        to_tf1(classic("gru-before"), like=theirs)
    with pytest.raises(ConversionError, match=r"cell_name = 'mine' and like.*give one"):
        to_tf1(layer, like=theirs, cell_name="mine")
    with pytest.raises(ConversionError, match="to_tf1: like: dense/weights is no variable"):
        to_tf1(layer, like={"dense/weights": draw(2, 2)})


# ------------------------------------------------------------------------- without ``like``


@pytest.mark.parametrize(("dtype", "limit"), [("float32", 2.0**24), ("float64", 2.0**53)])
def test_a_forget_bias_comes_back_bit_for_bit_with_the_default(dtype, limit):
    rng = np.random.default_rng(0)
    b = np.concatenate(
        [rng.uniform(0.5, 3.0, 200), np.exp(rng.uniform(np.log(0.5), np.log(limit), 200)), [1.0]]
    ).astype(dtype)
    assert_same_bits([_there_and_back(b, 1.0)], [b])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_without_a_forget_bias_everything_comes_back(dtype):
    b = any_floats(np.random.default_rng(0), 400, dtype=dtype)
    for zero in (0.0, -0.0):
        assert_same_bits([_there_and_back(b, zero)], [b])


@pytest.mark.parametrize("forget_bias", [1.0, 0.1, -2.5, 3.0])
def test_a_forget_bias_that_no_number_adds_up_to_is_refused(forget_bias):
    rng = np.random.default_rng(1)
    sizes = np.exp(rng.uniform(-12.0, 20.0, 400))
    b = (sizes * rng.choice([-1.0, 1.0], 400)).astype("float32")
    back, added = _there_and_back(b, forget_bias, allow_rounding=True), np.float32(forget_bias)
    lost = b[back != b]
    assert 0 < len(lost) < len(b) // 2
    nearest = (lost.astype("float64") - float(added)).astype("float32")
    for end in (-np.inf, np.inf):
        near = nearest
        for _ in range(4):
            assert not np.any(near + added == lost)
            near = np.nextafter(near, np.float32(end))
    off = np.abs(back[back != b].astype("float64") - lost)
    assert np.all(off <= np.spacing(np.abs(nearest)))
    message = re.escape(
        f"to_tf1: rnn/basic_lstm_cell: no float32 adds up with forget_bias = {forget_bias:g} to "
        f"{len(lost)} of 400 forget biases (the first: {lost[0]}); forget_bias=0.0, for cells "
        "made with it, is exact, allow_rounding=True takes the nearest numbers"
    )
    with pytest.raises(ConversionError, match=f"^{message}$"):
        _there_and_back(b, forget_bias)
    assert_same_bits([_there_and_back(b[back == b], forget_bias)], [b[back == b]])


def _there_and_back(b, forget_bias, **options):
    H = len(b)
    shapes = ((1, 4 * H), (H, 4 * H))
    layer = TimeLSTM(*(np.zeros(shape, b.dtype) for shape in shapes), np.tile(b, 4))
    there = to_tf1(layer, forget_bias=forget_bias, **options)
    return from_tf1(there, forget_bias=forget_bias).params[2][H : 2 * H]
