"""`check_gradients` and `check_cell_gradients` pass what is right, and catch what is wrong."""

import re

import numpy as np
import pytest
from proof.usercell import LeakyCell

from rnn_xp.backend import to_host
from rnn_xp.cells import GRUCell, LSTMCell, RNNCell
from rnn_xp.errors import DTypeError
from rnn_xp.layers import (
    LSTM,
    RNN,
    TimeAffine,
    TimeDropout,
    TimeEmbedding,
    TimeLSTM,
    TimeRNN,
    TimeSoftmaxWithLoss,
)
from rnn_xp.namespace import namespace_of
from rnn_xp.testing import check_cell_gradients, check_gradients

N, T, D, H = 2, 3, 4, 5


@pytest.fixture
def draw(be, rng):
    """Random float64 arrays of the backend."""
    return lambda *shape: be.asarray(0.5 * rng.standard_normal(shape), "float64")


def weights(draw, gates):
    return draw(D, gates * H), draw(H, gates * H), draw(gates * H)


# ----------------------------------------------------------------- what is right passes


@pytest.mark.parametrize(("layer", "gates"), [(TimeRNN, 1), (TimeLSTM, 4)])
def test_time_layers_pass(draw, layer, gates):
    layer = layer(*weights(draw, gates))
    before = [to_host(p).copy() for p in layer.params]
    assert check_gradients(layer, draw(N, T, D)) < 1e-7
    assert check_gradients(layer, draw(N, T, D), lengths=[3, 1]) < 1e-7
    for param, host in zip(layer.params, before, strict=True):
        np.testing.assert_array_equal(to_host(param), host)


def test_a_stateful_layer_starts_from_the_same_state_each_time(draw):
    layer = TimeLSTM(*weights(draw, 4), stateful=True)
    assert check_gradients(layer, draw(N, T, D)) < 1e-7
    h, c = draw(N, H), draw(N, H)
    assert check_gradients(layer, draw(N, T, D), reset=lambda: layer.set_state(h, c)) < 1e-7


def test_one_step_layers_with_several_inputs_and_outputs_pass(draw):
    assert check_gradients(RNN(*weights(draw, 1)), draw(N, D), draw(N, H)) < 1e-7
    assert check_gradients(LSTM(*weights(draw, 4)), draw(N, D), draw(N, H), draw(N, H)) < 1e-7


def test_layers_with_integer_inputs_pass(draw):
    ids = np.array([[0, 2, 2], [5, 0, 2]])
    assert check_gradients(TimeEmbedding(draw(6, D)), ids) < 1e-7
    assert check_gradients(TimeSoftmaxWithLoss(), draw(N, T, 6), ids) < 1e-7
    assert check_gradients(TimeAffine(draw(D, 6), draw(6)), draw(N, T, D)) < 1e-7


def test_dropout_passes_when_its_counter_is_set_back(draw):
    layer = TimeDropout(0.5)
    assert check_gradients(layer, draw(N, T, D), reset=lambda: setattr(layer, "counter", 0)) < 1e-7


def test_a_function_that_returns_its_backward_passes(be, draw):
    def product(a, b, scale):
        return scale * (a @ b), lambda dout: (scale * dout @ b.T, scale * a.T @ dout)

    assert check_gradients(product, draw(2, 3), draw(3, 4), 2.0) < 1e-7

    def wrong(a, b):
        return a @ b, lambda dout: (2.0 * dout @ b.T, a.T @ dout)

    with pytest.raises(AssertionError, match=r"wrong: the gradient of input 0 disagrees"):
        check_gradients(wrong, draw(2, 3), draw(3, 4))


@pytest.mark.parametrize("cell", [RNNCell, LSTMCell, GRUCell])
def test_cells_pass(draw, cell):
    gates = cell.gates
    state = (draw(N, H), draw(N, H)) if cell is LSTMCell else draw(N, H)
    made = cell(*weights(draw, gates))
    made.grads[0][...] = draw(D, gates * H)
    before = to_host(made.grads[0]).copy()
    assert check_cell_gradients(made, draw(N, D), state) < 1e-7
    np.testing.assert_array_equal(to_host(made.grads[0]), before)


def test_a_users_cell_with_a_nested_state_passes(draw):
    cell = LeakyCell(draw(D, H), draw(H, H), draw(H, 3))
    assert check_cell_gradients(cell, draw(N, D), (draw(N, H), (draw(N, H),))) < 1e-7


# ------------------------------------------------------------------- what is wrong fails


class Broken(TimeRNN):
    """A correct layer whose backward ends with a mistake."""

    def __init__(self, *arrays, mistake):
        super().__init__(*arrays)
        self.mistake = mistake

    def backward(self, dhs):
        return self.mistake(self, super().backward(dhs))


def zero_dWh(layer, dxs):
    layer.grads[1][...] = namespace_of(dxs).zeros_like(layer.grads[1])
    return dxs


def transpose_dWh(layer, dxs):
    layer.grads[1][...] = layer.grads[1].T + 0.0
    return dxs


def slightly_wrong_bias(layer, dxs):
    layer.grads[2][...] = layer.grads[2] * (1.0 + 1e-5)
    return dxs


def scaled_dxs(layer, dxs):
    return 2.0 * dxs


def not_finite(layer, dxs):
    layer.grads[0][0, 0] = float("nan")
    return dxs


@pytest.mark.parametrize(
    ("mistake", "name"),
    [
        (zero_dWh, "params[1]"),
        (transpose_dWh, "params[1]"),
        (slightly_wrong_bias, "params[2]"),
        (scaled_dxs, "input 0"),
        (not_finite, "params[0]"),
    ],
)
def test_a_wrong_gradient_is_caught_and_named(draw, mistake, name):
    layer = Broken(*weights(draw, 1), mistake=mistake)
    with pytest.raises(AssertionError) as caught:
        check_gradients(layer, draw(N, T, D))
    message = str(caught.value)
    assert f"Broken: the gradient of {name} disagrees with central differences" in message
    table = message.splitlines()[1:]
    assert [line.split("  ")[0] for line in table[1:]] == [
        "input 0",
        *[f"params[{k}]" for k in range(3)],
    ]
    (wrong,) = [line for line in table if line.endswith("<-- wrong")]
    assert wrong.startswith(name)


def test_the_table_names_the_worst_entry_and_both_values(draw):
    layer = Broken(*weights(draw, 1), mistake=zero_dWh)
    xs = draw(N, T, D)
    with pytest.raises(AssertionError) as caught:
        check_gradients(layer, xs)
    (wrong,) = [line for line in str(caught.value).splitlines() if line.endswith("wrong")]
    found = re.fullmatch(r"params\[1\] +(\S+) +\[(\d), (\d)\] +(\S+) +(\S+)  <-- wrong", wrong)
    error, _, _, backward, differences = found.groups()
    assert float(error) == 1.0
    assert float(backward) == 0.0
    assert abs(float(differences)) > 1e-3


def test_gradients_that_are_added_or_replaced_or_missing_are_caught(draw):
    def added(layer, dxs):
        layer.sums = [
            g + s for g, s in zip(layer.grads, getattr(layer, "sums", [0.0] * 3), strict=True)
        ]
        for grad, total in zip(layer.grads, layer.sums, strict=True):
            grad[...] = total
        return dxs

    def replaced(layer, dxs):
        layer.grads[1] = layer.grads[1] + 0.0
        return dxs

    for mistake, match in (
        (added, "disagrees with central differences"),
        (replaced, "Broken: backward replaced an array in grads"),
        (
            lambda layer, dxs: None,
            r"backward returned \[\], expected a gradient for each of input 0",
        ),
        (lambda layer, dxs: (dxs, dxs), "expected a gradient for each of input 0"),
        (lambda layer, dxs: dxs[:, :, 1:], r"gradient of input 0 has shape \(2, 3, 3\), not"),
    ):
        with pytest.raises(AssertionError, match=match):
            check_gradients(Broken(*weights(draw, 1), mistake=mistake), draw(N, T, D))


class ForgetfulCell(RNNCell):
    """Loses one of the two gradients that come in, or overwrites instead of adding."""

    def __init__(self, *arrays, mistake):
        super().__init__(*arrays)
        self.mistake = mistake

    def backward(self, doutput, dstate, cache):
        if self.mistake == "dstate":
            dstate = None
        if self.mistake == "doutput" and dstate is not None:
            doutput = 0.0 * doutput
        if self.mistake == "overwrites":
            for grad in self.grads:
                grad[...] = 0.0 * grad
        dx, dh = super().backward(doutput, dstate, cache)
        return dx, (0.0 * dh if self.mistake == "dh" else dh)


@pytest.mark.parametrize(
    ("mistake", "match"),
    [
        ("dstate", "gradient into output and state: the gradient of"),
        ("doutput", "gradient into output and state: the gradient of"),
        ("overwrites", r"the gradient of params\["),
        ("dh", "the gradient of state 0"),
    ],
)
def test_a_wrong_cell_is_caught(draw, mistake, match):
    cell = ForgetfulCell(*weights(draw, 1), mistake=mistake)
    with pytest.raises(AssertionError, match=f"ForgetfulCell, .*{match}"):
        check_cell_gradients(cell, draw(N, D), draw(N, H))


def test_a_gradient_that_only_one_upstream_reveals_is_caught(draw):
    class OutputOnly(RNNCell):
        def backward(self, doutput, dstate, cache):
            dx, dh = super().backward(doutput, dstate, cache)
            return (dx if dstate is not None else 2.0 * dx), dh

    with pytest.raises(AssertionError, match="gradient into output only: the gradient of x"):
        check_cell_gradients(OutputOnly(*weights(draw, 1)), draw(N, D), draw(N, H))


def test_parameters_are_restored_after_an_error(draw):
    layer = Broken(*weights(draw, 1), mistake=zero_dWh)
    before = [to_host(p).copy() for p in layer.params]
    with pytest.raises(AssertionError):
        check_gradients(layer, draw(N, T, D))
    for param, host in zip(layer.params, before, strict=True):
        np.testing.assert_array_equal(to_host(param), host)


def test_float32_is_refused(be, draw):
    single = [be.asarray(to_host(a), "float32") for a in weights(draw, 1)]
    with pytest.raises(DTypeError, match=r"TimeRNN: input 0 has dtype .*float32, expected float64"):
        check_gradients(TimeRNN(*single), be.zeros((N, T, D), "float32"))
    with pytest.raises(ValueError, match="no floating-point input and no parameter"):
        check_gradients(lambda ids: (ids, lambda d: None), [1, 2])
