"""Weights of torch modules: same function, exact way there and back, clear refusals."""

import itertools

import numpy as np
import pytest
from interop_helpers import (
    D,
    H,
    P,
    assert_near,
    assert_same_arrays,
    assert_same_params,
    cell_layer,
    classic,
    draw,
    lstmp,
    nets,
    optional,
    torch_module,
)

from rnn_xp import Bidirectional, Stack, TimeDropout, TimeGRU, TimeLSTM, TimeRNN
from rnn_xp.cells import LayerNormLSTMPCell
from rnn_xp.errors import ConversionError, DTypeError, ShapeError
from rnn_xp.interop.torch_weights import from_torch, to_torch
from rnn_xp.layers import TimeCell
from rnn_xp.layers.reverse import Reversed
from rnn_xp.layers.weight_drop import WeightDrop

MODULES = {
    "RNN": {},
    "RNN relu": {"nonlinearity": "relu"},
    "LSTM": {},
    "GRU": {},
    "LSTM proj": {"proj_size": P},
}
GRID = list(itertools.product(MODULES, (1, 2, 3), (False, True), (True, False)))


def make_module(torch, name, layers=1, bidirectional=False, bias=True, dtype="float32"):
    torch.manual_seed(0)
    return getattr(torch.nn, name.split()[0])(
        D,
        H,
        num_layers=layers,
        bidirectional=bidirectional,
        bias=bias,
        batch_first=True,
        dtype=getattr(torch, dtype),
        **MODULES[name],
    )


@pytest.mark.filterwarnings("ignore:LSTM with projections is not supported")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("name", "layers", "bidirectional", "bias"), GRID)
def test_a_torch_module_and_its_layer_compute_the_same(name, layers, bidirectional, bias, dtype):
    torch = torch_module()
    module = make_module(torch, name, layers, bidirectional, bias, dtype)
    nonlinearity = MODULES[name].get("nonlinearity", "tanh")
    layer = from_torch(module.state_dict(), nonlinearity=nonlinearity)
    x = torch.from_numpy(draw(2, 4, D, dtype=dtype))
    with torch.no_grad():
        expected = module(x)[0].numpy()
    assert_near(layer.forward(x.numpy(), train=False), expected, dtype)

    back = to_torch(layer, bias=bias)
    assert list(back) == list(module.state_dict())
    assert_same_params(from_torch(back, nonlinearity=nonlinearity), layer)
    for key, array in back.items():  # weights are bit for bit torch's; two biases are one here
        if "weight" in key or name == "GRU":
            np.testing.assert_array_equal(array, module.state_dict()[key].numpy(), strict=True)
    module.load_state_dict({key: torch.from_numpy(array) for key, array in back.items()})
    with torch.no_grad():
        assert_near(module(x)[0].numpy(), expected, dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", nets())
def test_our_weights_come_back_bit_for_bit(name, dtype):
    layer = nets(dtype=dtype)[name]
    there = to_torch(layer)
    assert_same_params(from_torch(there), layer)
    assert_same_arrays(to_torch(from_torch(there)), there)


def test_the_only_bias_becomes_bias_ih_and_a_gru_keeps_both():
    lstm, gru = classic("lstm"), classic("gru")
    assert not np.any(to_torch(lstm)["bias_hh_l0"])
    np.testing.assert_array_equal(to_torch(lstm)["bias_ih_l0"], lstm.params[2])
    np.testing.assert_array_equal(to_torch(gru)["bias_hh_l0"], gru.params[2][1])


def test_projection_and_relu_make_cells_and_plain_modules_make_fast_layers():
    assert type(from_torch(to_torch(classic("rnn")))) is TimeRNN
    assert type(from_torch(to_torch(classic("lstm")))) is TimeLSTM
    assert type(from_torch(to_torch(classic("gru")))) is TimeGRU
    layer = from_torch(to_torch(lstmp()))
    assert layer.cell.state_size == (P, H)
    assert_same_params(layer, lstmp())
    relu = cell_layer("rnn", activation="relu")
    assert from_torch(to_torch(relu), nonlinearity="relu").cell.activation.name == "relu"


@pytest.mark.parametrize("name", ["RNNCell", "LSTMCell", "GRUCell"])
def test_a_cell_module_is_read(name):
    torch = torch_module()
    cell = getattr(torch.nn, name)(D, H)
    layer = from_torch(cell.state_dict())
    x, h = draw(2, D, dtype="float32"), np.zeros((2, H), "float32")
    state = (torch.from_numpy(h),) * 2 if name == "LSTMCell" else torch.from_numpy(h)
    with torch.no_grad():
        new = cell(torch.from_numpy(x), state)
    expected = new[0] if name == "LSTMCell" else new
    assert_near(layer.forward(x[:, None])[:, 0], expected.numpy(), "float32")


def test_a_module_inside_a_model_is_found_by_its_prefix():
    weights = to_torch(classic("lstm"), prefix="encoder.rnn.") | {"head.weight": np.zeros((2, 2))}
    assert_same_params(from_torch(weights, prefix="encoder.rnn."), classic("lstm"))
    with pytest.raises(ConversionError, match=r"found encoder.rnn.bias_hh_l0, .*give prefix="):
        from_torch(weights)
    with pytest.raises(ConversionError, match=r"no name that starts with 'decoder\.'"):
        from_torch(weights, prefix="decoder.")


def test_layers_without_weights_of_their_own_leave_no_trace():
    first, second = classic("gru"), classic("gru", D=H, seed=1)
    net = Stack([TimeDropout(0.5), WeightDrop(first, 0.5), TimeDropout(0.5), second])
    assert_same_params(from_torch(to_torch(net)), Stack([first, second]))


def test_options_of_the_layer(be):
    weights = to_torch(classic("lstm", dtype="float32"))
    layer = from_torch(weights, backend=be, dtype="float64", stateful=True, time_major=True)
    assert layer.stateful
    assert layer.time_major
    assert type(layer.params[0]) is type(be.zeros((1,), "float64"))
    assert layer.params[0].dtype == be.dtype("float64")


def test_half_precision_needs_a_dtype():
    weights = {k: a.astype(np.float16) for k, a in to_torch(classic("lstm")).items()}
    with pytest.raises(DTypeError, match="weights of float16, expected all float32 or all float64"):
        from_torch(weights)
    assert from_torch(weights, dtype="float32").params[0].dtype == np.float32
    with pytest.raises(DTypeError, match="int64"):
        from_torch({k: a.astype(np.int64) for k, a in weights.items()})
    with pytest.raises(DTypeError, match="dtype = 'float16'"):
        from_torch(weights, dtype="float16")
    torch = optional("torch")
    odd = {k: torch.from_numpy(a).bfloat16() for k, a in weights.items()}
    with pytest.raises(DTypeError, match=r"weight_ih_l0 is a Tensor that NumPy cannot read"):
        from_torch(odd)


def layer_norm():
    """A subclass of the cell that converts, with another step."""
    gains = (draw(2, 4 * H), draw(H), draw(H))
    return TimeCell(LayerNormLSTMPCell(*classic("lstm").params, *gains))


BEFORE = "resets before the recurrent product.*cannot be converted"
REFUSED = {
    "gru-before": (lambda: classic("gru-before"), BEFORE),
    "reverse": (lambda: Reversed(classic("lstm")), "one direction alone"),
    "merge": (lambda: Bidirectional(classic("rnn"), classic("rnn"), "sum"), "merged by 'sum'"),
    "sizes": (
        lambda: Stack([classic("rnn"), classic("rnn", D=H, H=2)]),
        "differ in kind, hidden",
    ),
    "kinds": (lambda: Stack([classic("rnn"), classic("gru", D=H)]), "layers differ in kind"),
    "mixed": (
        lambda: Stack([Bidirectional(classic("rnn"), classic("rnn")), classic("rnn", D=2 * H)]),
        "some layers have one direction, others two",
    ),
    "peepholes": (lambda: lstmp(P=0, peepholes=True), "peepholes or clipping"),
    "clip": (lambda: lstmp(cell_clip=1.0), "peepholes or clipping"),
    "layer norm": (layer_norm, "TimeCell of LayerNormLSTMPCell has no equal there"),
    "wide": (lambda: lstmp(P=H), "proj_size must be less than H"),
    "activation": (lambda: cell_layer("rnn", activation="sigmoid"), "activation sigmoid"),
    "gates": (lambda: cell_layer("gru", recurrent_activation="hard_sigmoid"), "tanh and sigmoid"),
    "dropout only": (lambda: TimeDropout(0.5), "no recurrent layer"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_torch_does_not_have_is_refused_with_the_reason(case):
    make, reason = REFUSED[case]
    with pytest.raises(ConversionError, match=reason):
        to_torch(make())


def test_a_bias_that_is_not_zero_is_not_dropped():
    with pytest.raises(ConversionError, match="bias=False, but the bias of a layer is not zero"):
        to_torch(classic("lstm"), bias=False)


def broken(change):
    weights = to_torch(nets()["lstm-2-2"])
    change(weights)
    return weights


DAMAGE = {
    "missing": (lambda w: w.pop("weight_hh_l1"), ConversionError, "weight_hh_l1 is missing"),
    "half a bias": (lambda w: w.pop("bias_hh_l0"), ConversionError, "bias_hh_l0 is missing"),
    "no layer 0": (lambda w: [w.pop(k) for k in list(w) if "_l0" in k], ConversionError, "missing"),
    "unknown": (lambda w: w.update(gain=1), ConversionError, "found gain, expected names such as"),
    "shape of ih": (
        lambda w: w.update(weight_ih_l1=draw(4 * H, 3)),
        ShapeError,
        rf"weight_ih_l1 has shape \({4 * H}, 3\), expected \(G\*H, D\) = \({4 * H}, {2 * H}\)",
    ),
    "shape of hh": (lambda w: w.update(weight_hh_l0=draw(7, 5)), ShapeError, "no recurrent matrix"),
    "shape of a bias": (
        lambda w: w.update(bias_ih_l0_reverse=draw(3)),
        ShapeError,
        r"bias_ih_l0_reverse has shape \(3,\)",
    ),
    "vector": (lambda w: w.update(weight_hh_l0=draw(5)), ShapeError, r"\(G\*H, H\) = \(any, any\)"),
}


@pytest.mark.parametrize("case", DAMAGE)
def test_damaged_state_dicts_are_named(case):
    change, error, message = DAMAGE[case]
    with pytest.raises(error, match=message):
        from_torch(broken(change))


def test_an_unknown_nonlinearity_is_refused():
    with pytest.raises(ConversionError, match="nonlinearity = 'gelu', expected one of tanh, relu"):
        from_torch(to_torch(classic("rnn")), nonlinearity="gelu")
