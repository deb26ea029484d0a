"""`raw_rnn`: misuse gets one clear line, and what a loop function may give."""

import numpy as np
import pytest

from rnn_xp.compat import tf1
from rnn_xp.errors import DTypeError, ShapeError

X = np.ones((2, 4, 3))
STEP = X[:, 0]


def lstm():
    cell = tf1.BasicLSTMCell(3)
    cell.build(3, dtype="float64")
    return cell


def raw(change=lambda values: values, **options):
    cell = lstm()

    def loop(time, output, state, loop_state):
        start = cell.zero_state(2, "float64")
        state = start if output is None else state
        values = {
            "finished": np.full(2, time >= 3),
            "next_input": STEP,
            "next_state": state,
            "emit": output,
        }
        if time > 0:
            values |= change(values)
        return (*values.values(), None)

    with tf1.record() as tape:
        emitted, _, _ = tf1.raw_rnn(cell, loop, **options)
    return tape, emitted


RAW = {
    "finished": (lambda v: {"finished": np.zeros(3, bool)}, ShapeError, r"finished has shape"),
    "finished numbers": (lambda v: {"finished": np.zeros(2)}, DTypeError, "expected bool"),
    "finished at once": (lambda v: {"finished": True}, DTypeError, "finished is a bool, expected"),
    "a list emitted": (lambda v: {"emit": [v["emit"]]}, ShapeError, "emit_output is a list"),
    "a row emitted": (
        lambda v: {"emit": v["emit"][:1]},
        ShapeError,
        r"emit_output has shape \(1, 3\), expected \(N, \.\.\.\) with N = 2",
    ),
    "other things emitted": (
        lambda v: {"emit": (v["emit"],) if v["finished"].all() else v["emit"]},
        ShapeError,
        "emit_output is a tuple, expected an array .* the same at every step",
    ),
    "other shapes emitted": (
        lambda v: {"emit": v["emit"][:, : 2 if v["finished"].all() else 3]},
        ShapeError,
        r"emit_output has shape \(2, 2\), expected that of the first step = \(2, 3\)",
    ),
    "too much": (lambda v: {"more": 1}, TypeError, "at time 1 loop_fn returned 6 things, expected"),
    "input": (lambda v: {"next_input": X}, ShapeError, "next_input has shape"),
    "state": (lambda v: {"next_state": STEP}, ShapeError, "next_state is array"),
}


@pytest.mark.parametrize("name", RAW)
def test_raw_rnn_misuse(name):
    change, error, message = RAW[name]
    with pytest.raises(error, match=message):
        raw(change)


def test_raw_rnn_says_which_gradient_it_does_not_know():
    tape, emitted = raw(lambda v: {"emit": 2.0 * v["emit"]})
    with pytest.raises(TypeError, match="at time 3 loop_fn's emit_output is not cell_output"):
        tape.backward(emitted)
    tape, emitted = raw(lambda v: {"next_state": tuple(2 * s for s in v["next_state"])})
    with pytest.raises(TypeError, match="next_state is not cell_state itself"):
        tape.backward(emitted)
    tape, _ = raw(lambda v: {"next_state": tuple(2 * s for s in v["next_state"])})
    with pytest.raises(TypeError, match="next_state is not cell_state itself"):
        tape.backward(None, None)
    tape, _ = raw(lambda v: {"emit": 2.0 * v["emit"]})
    tape.backward(None, None)  # no gradient to lose
    with pytest.raises(TypeError, match="loop_fn is a int"):
        tf1.raw_rnn(lstm(), 3)
    tape, emitted = raw()
    with pytest.raises(ShapeError, match="doutputs has 2 steps, expected T = 3"):
        tape.backward(emitted[:2])
    with pytest.raises(ShapeError, match="doutputs is a int, expected one array, or a list"):
        tape.backward(3)
    tape, emitted = raw(loop_backward=lambda *gradients: None)
    with pytest.raises(TypeError, match="loop_backward returned a NoneType, expected"):
        tape.backward(emitted)


def test_raw_rnn_emits_structures_and_carries_a_loop_state(rng):
    cell = tf1.GRUCell(3)
    x = rng.standard_normal((2, 3, 3))

    def loop(time, output, state, loop_state):
        finished = np.full(2, time >= 3)
        step = x[:, min(time, 2)]
        if output is None:
            return finished, step, np.zeros((2, 3)), (None, None), 10
        return finished, step, state, (output, (step,)), loop_state + 1

    with tf1.record() as tape:
        (outputs, (steps,)), _, loop_state = tf1.raw_rnn(cell, loop)
    assert loop_state == 13
    assert outputs.size() == steps.size() == 3
    np.testing.assert_array_equal(steps.read(0), x[:, 1])
    d = rng.standard_normal((3, 2, 3))
    dinputs, _ = tape.backward((d, (None,)))
    grads = [g.copy() for g in cell.grads]
    with tf1.record() as tape:
        whole, _ = tf1.dynamic_rnn(cell, x, dtype="float64")
    np.testing.assert_allclose(outputs.stack().transpose(1, 0, 2), whole)
    dx, _ = tape.backward(d.transpose(1, 0, 2))
    np.testing.assert_allclose(np.stack(dinputs, axis=1), dx)
    for a, b in zip(cell.grads, grads, strict=True):
        np.testing.assert_allclose(a, b)


def test_nothing_emitted_is_said():
    def loop_fn(time, output, state, loop_state):
        x = np.ones((2, 3))
        return np.array([time > 1] * 2), x, cell.get_initial_state(x), None, None

    cell = tf1.BasicRNNCell(4)
    with pytest.raises(TypeError, match="loop_fn's emit_output is None at time 1"):
        tf1.raw_rnn(cell, loop_fn)
