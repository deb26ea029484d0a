"""Numbers that Keras's own tests expect (keras/src/layers/rnn/*_test.py), on every backend.

Weights are constants, inputs count up from 0. And the numbers of the post about one Keras
cell: 6, then 22.
"""

import numpy as np
import pytest

from rnn_xp.backend import to_host
from rnn_xp.compat.keras import (
    GRU,
    LSTM,
    RNN,
    Bidirectional,
    GRUCell,
    LSTMCell,
    SimpleRNN,
    SimpleRNNCell,
    StackedRNNCells,
)
from rnn_xp.compat.keras.initializers import Constant

CONSTANTS = {
    "kernel_initializer": Constant(0.01),
    "recurrent_initializer": Constant(0.02),
    "bias_initializer": Constant(0.03),
}
RNN_SIZES, GATED_SIZES = (2, 3, 4), (3, 6, 4)
HOLES = [[True, True, False, True], [True, False, False, True]]
RIGHT = [[True, True, True, False], [True, True, False, False]]

OUTPUTS = [
    (SimpleRNN, 4, RNN_SIZES, {}, [0.405432, 0.73605347]),
    (SimpleRNN, 4, RNN_SIZES, {"unroll": True}, [0.405432, 0.73605347]),
    (SimpleRNN, 4, RNN_SIZES, {"go_backwards": True}, [0.11144729, 0.5528889]),
    (LSTM, 3, GATED_SIZES, {}, [0.6288687, 0.86899155, 0.9460773]),
    (LSTM, 3, GATED_SIZES, {"implementation": 1}, [0.6288687, 0.86899155, 0.9460773]),
    (LSTM, 3, GATED_SIZES, {"go_backwards": True}, [0.35622165, 0.74789524, 0.8872726]),
    (LSTM, 3, GATED_SIZES, {"unit_forget_bias": False}, [0.57019705, 0.8661914, 0.9459622]),
    (LSTM, 3, GATED_SIZES, {"use_bias": False}, [0.54986924, 0.86226785, 0.9443936]),
    (GRU, 3, GATED_SIZES, {}, [0.5217289, 0.6371659, 0.39384964]),
    (GRU, 3, GATED_SIZES, {"go_backwards": True}, [0.24406259, 0.611516, 0.3928808]),
    (GRU, 3, GATED_SIZES, {"reset_after": False}, [0.51447755, 0.6426879, 0.40208298]),
    (GRU, 3, GATED_SIZES, {"use_bias": False}, [0.49988455, 0.64701194, 0.4103359]),
]


def counting(be, *shape):
    return be.asarray(np.arange(np.prod(shape)).reshape(shape), "float32")


def close(given, expected):
    """Keras prints 7 or 8 digits and allows 1e-6."""
    np.testing.assert_allclose(to_host(given), expected, rtol=1e-6, atol=1e-6)


def rows(values, units):
    """Constant weights make all units alike."""
    return np.repeat(np.asarray(values)[..., None], units, axis=-1)


@pytest.mark.parametrize(("layer", "units", "sizes", "options", "expected"), OUTPUTS)
def test_outputs(be, layer, units, sizes, options, expected):
    made = layer(units, **CONSTANTS, **options, backend=be)
    close(made(counting(be, *sizes)), rows(expected, units))


@pytest.mark.parametrize(
    ("layer", "second"),
    [
        (SimpleRNN, [0.40559256, 0.7361247]),
        (LSTM, [0.3124785, 0.6863672]),
        (GRU, [0.29542392, 0.5885018]),
    ],
)
def test_a_stateful_layer_goes_on_and_can_be_reset(be, layer, second):
    made = layer(4, stateful=True, **CONSTANTS, backend=be)
    xs = counting(be, *RNN_SIZES)
    for _ in range(2):
        made(xs)
        close(made(xs), rows(second, 4))
        made.reset_state()


@pytest.mark.parametrize(
    ("layer", "units", "parts", "options", "expected"),
    [
        (SimpleRNN, 4, 1, {}, rows([0.33621645, 0.6262637], 4)),
        (SimpleRNN, 4, 1, {"go_backwards": True}, rows([0.07344437, 0.43043602], 4)),
        (LSTM, 2, 2, {}, [[0.20574439, 0.3558822], [0.64930826, 0.66276]]),
        (LSTM, 2, 2, {"go_backwards": True}, [[0.13281618, 0.2790356], [0.5839337, 0.5992567]]),
        (GRU, 2, 1, {}, [[0.23774096, 0.33508456], [0.83659905, 1.0227708]]),
        (GRU, 2, 1, {"go_backwards": True}, [[0.13486053, 0.23261218], [0.78257304, 0.9691353]]),
    ],
)
def test_initial_state(be, layer, units, parts, options, expected):
    state = [counting(be, 2, units)] * parts
    made = layer(units, **CONSTANTS, **options, return_state=True, backend=be)
    output, *final = made(counting(be, 2, 4, 3), initial_state=state)
    close(output, expected)
    close(final[0], expected)
    if parts == 1:  # without its list
        close(made(counting(be, 2, 4, 3), initial_state=state[0])[0], expected)


HELD = {
    SimpleRNN: (
        HOLES,
        [
            [0.0599281, 0.15122814, 0.15122814, 0.32394567],
            [0.3969304, 0.3969304, 0.3969304, 0.608085],
        ],
    ),
    LSTM: (
        RIGHT,
        [
            [0.01588910, 0.05552048, 0.11755939, 0.11755939],
            [0.14185596, 0.28556206, 0.28556206, 0.28556206],
        ],
    ),
    GRU: (
        HOLES,
        [
            [0.03606692, 0.09497581, 0.09497581, 0.19393763],
            [0.16051409, 0.16051409, 0.16051409, 0.30818558],
        ],
    ),
}


@pytest.mark.parametrize("layer", HELD)
@pytest.mark.parametrize("zeros", [False, True])
def test_masked_steps_repeat_the_output_before_or_are_zero(be, layer, zeros):
    mask, expected = HELD[layer]
    made = layer(2, **CONSTANTS, return_sequences=True, zero_output_for_mask=zeros, backend=be)
    expected = np.where(mask, expected, 0.0) if zeros else expected
    close(made(counting(be, 2, 4, 3), mask=np.array(mask)), rows(expected, 2))


@pytest.mark.parametrize(
    ("layer", "units", "mask", "options", "expected"),
    [
        (SimpleRNN, 4, HOLES, {}, [0.32951632, 0.61799484]),
        (SimpleRNN, 4, HOLES, {"go_backwards": True}, [0.07376196, 0.43645123]),
        (LSTM, 2, RIGHT, {}, [0.11755939, 0.28556206]),
        (GRU, 2, HOLES, {}, [0.19393763, 0.30818558]),
        (GRU, 2, HOLES, {"go_backwards": True}, [0.11669192, 0.28380975]),
    ],
)
def test_last_output_under_a_mask(be, layer, units, mask, options, expected):
    made = layer(units, **CONSTANTS, **options, backend=be)
    close(made(counting(be, 2, 4, 3), mask=np.array(mask)), rows(expected, units))


def test_the_mask_is_turned_with_the_input(be):
    made = LSTM(2, **CONSTANTS, go_backwards=True, backend=be)
    mask = np.array(RIGHT)[:, ::-1]
    close(made(counting(be, 2, 4, 3), mask=mask), rows([0.15341201, 0.3844719], 2))


BOTH = [[0.39687276, 0.10004295], [0.7237238, 0.53391594]]  # forward, backward of each row


def test_bidirectional_merges(be):
    xs = counting(be, *RNN_SIZES)
    layer = SimpleRNN(2, **CONSTANTS, backend=be)
    close(Bidirectional(layer)(xs), np.repeat(BOTH, 2, axis=1))
    close(Bidirectional(layer, merge_mode="ave")(xs), rows([0.24845785, 0.6288199], 2))
    there, back = Bidirectional(layer, merge_mode=None)(xs)
    close(there, rows([r[0] for r in BOTH], 2))
    close(back, rows([r[1] for r in BOTH], 2))
    other = SimpleRNN(
        2,
        kernel_initializer=Constant(0.03),
        recurrent_initializer=Constant(0.02),
        bias_initializer=Constant(0.01),
        go_backwards=True,
        backend=be,
    )
    product = Bidirectional(layer, merge_mode="mul", backward_layer=other)
    close(product(xs), rows([0.08374989, 0.6740834], 2))
    layer = GRU(2, **CONSTANTS, return_sequences=True, backend=be)
    expected = [[0.20937867, 0.34462988, 0.40290534], [0.59829646, 0.6734641, 0.6479671]]
    close(Bidirectional(layer, merge_mode="sum")(xs), rows(expected, 2))


def test_bidirectional_states(be):
    xs = counting(be, 2, 4, 3)
    layer = Bidirectional(LSTM(2, **CONSTANTS, stateful=True, backend=be))
    for _ in range(2):
        layer(xs)
        expected = [[0.26234663, 0.16959146], [0.6137073, 0.5381646]]
        close(layer(xs), np.repeat(expected, 2, axis=1))
        layer.reset_state()
    start = [counting(be, 2, 2) * k for k in (1.0, 2.0, 3.0, 4.0)]
    layer = Bidirectional(LSTM(2, **CONSTANTS, return_state=True, backend=be))
    expected = [
        [0.20794602, 0.4577124, 0.14046375, 0.48191673],
        [0.6682636, 0.6711909, 0.60943645, 0.60950446],
    ]
    close(layer(xs, initial_state=start)[0], expected)
    output, h1, c1, h2, c2 = layer(xs)
    close(output, np.repeat([[0.1990008, 0.12659755], [0.52335435, 0.44717982]], 2, axis=1))
    for part, values in (
        (h1, [0.1990008, 0.52335435]),
        (c1, [0.35567185, 1.0492687]),
        (h2, [0.12659755, 0.44717982]),
        (c2, [0.2501858, 0.941473]),
    ):
        close(part, rows(values, 2))


def test_bidirectional_under_a_mask(be):
    layer = Bidirectional(GRU(2, **CONSTANTS, backend=be))
    expected = [[0.19393763, 0.11669192], [0.30818558, 0.28380975]]
    close(layer(counting(be, 2, 4, 3), mask=np.array(HOLES)), np.repeat(expected, 2, axis=1))


def test_the_post_about_one_cell(be):
    """2 + 1 + 3 = 6, then 3 + 3 * 6 + 1 = 22; output and state are one object."""
    cell = SimpleRNNCell(
        units=1,
        activation=None,
        use_bias=True,
        kernel_initializer="ones",
        recurrent_initializer="ones",
        bias_initializer=Constant(value=3),
        backend=be,
    )
    cell.build(input_shape=[None, 1])
    assert [to_host(v).tolist() for v in cell.variables] == [[[1.0]], [[1.0]], [3.0]]
    assert cell.get_config()["units"] == 1
    out, state = cell(be.asarray([[2.0]], "float32"), be.asarray([[1.0]], "float32"))
    assert to_host(out).tolist() == [[6.0]]
    assert out is state
    listed, states = cell(be.asarray([[2.0]], "float32"), [be.asarray([[1.0]], "float32")])
    assert states[0] is listed
    second = SimpleRNNCell(
        units=1,
        activation=None,
        kernel_initializer="ones",
        recurrent_initializer=Constant(value=3),
        bias_initializer="ones",
        backend=be,
    )
    out, _ = second(be.asarray([[3.0]], "float32"), state)
    assert to_host(out).tolist() == [[22.0]]


@pytest.mark.parametrize("kind", [SimpleRNNCell, LSTMCell, GRUCell])
def test_a_cell_step_by_step_is_the_layer(be, kind):
    """Outputs, states and gradients of T calls of a cell, and of `RNN` over T steps."""
    cell = kind(3, seed=4, dtype="float64", backend=be)
    layer = RNN(cell, return_sequences=True, return_state=True)
    xs = be.asarray(np.random.default_rng(0).standard_normal((2, 4, 5)), "float64")
    outputs, *final = layer(xs)
    dx = layer.backward(outputs, *final)
    grads, dstate = [to_host(g).copy() for g in cell.grads], layer.dstate
    states, steps = cell.get_initial_state(2), []
    for t in range(4):
        out, states = cell(xs[:, t, :], states, training=True)
        steps.append(out)
        np.testing.assert_allclose(to_host(out), to_host(outputs[:, t, :]), rtol=1e-12)
    d = list(final)
    for t in reversed(range(4)):
        dxt, d = cell.backward(steps[t], d)
        np.testing.assert_allclose(to_host(dxt), to_host(dx[:, t, :]), rtol=1e-9, atol=1e-12)
    for given, expected in zip([*cell.grads, *d], [*grads, *dstate], strict=True):
        np.testing.assert_allclose(to_host(given), to_host(expected), rtol=1e-9, atol=1e-12)


def test_a_stack_as_a_cell_is_the_layer(be):
    cells = [LSTMCell(3, backend=be), GRUCell(2, backend=be), SimpleRNNCell(4, backend=be)]
    stack = StackedRNNCells(cells)
    layer = RNN(stack, return_state=True)
    assert stack.state_size == [[3, 3], 2, 4]
    xs = be.asarray(np.random.default_rng(0).standard_normal((2, 3, 5)), "float32")
    output, *final = layer(xs)
    states = stack.get_initial_state(2)
    for t in range(3):
        out, states = stack(xs[:, t, :], states, training=True)
    close(out, to_host(output))
    assert [len(s) for s in states] == [len(s) for s in final] == [2, 1, 1]
    dx = layer.backward(output)
    grads = [to_host(g).copy() for g in stack.grads]
    d, dstates = out, None
    for t in reversed(range(3)):
        dxt, dstates = stack.backward(d, dstates)
        close(dxt, to_host(dx[:, t, :]))
        d = None
    for given, expected in zip(stack.grads, grads, strict=True):
        close(given, expected)
