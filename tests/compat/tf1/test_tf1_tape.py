"""`record` and `Tape`: what is recorded, how calls are gone back through."""

import numpy as np
import pytest

from rnn_xp.compat import tf1
from rnn_xp.errors import RnnXpError, ShapeError, StaleCacheError


@pytest.fixture
def cell():
    cell = tf1.BasicRNNCell(3)
    cell.build(3, dtype="float64", rng=0)
    return cell


def test_calls_of_one_cell_add_up_and_a_new_tape_starts_anew(cell, rng):
    x = rng.standard_normal((2, 4, 3))
    ones = np.ones((2, 4, 3))
    with tf1.record() as tape:
        tf1.dynamic_rnn(cell, x, dtype="float64")
        tf1.dynamic_rnn(cell, x, dtype="float64")
    assert tape.calls == ["dynamic_rnn", "dynamic_rnn"]
    tape.backward(ones)
    once = [g.copy() for g in cell.grads]
    tape.backward(ones)
    for twice, g in zip(cell.grads, once, strict=True):
        np.testing.assert_allclose(twice, 2 * g)
    with pytest.raises(StaleCacheError, match="no call is left"):
        tape.backward(ones)
    with tf1.record() as tape:
        tf1.dynamic_rnn(cell, x, dtype="float64")
    tape.backward(ones)
    for again, g in zip(cell.grads, once, strict=True):
        np.testing.assert_array_equal(again, g)


def test_two_calls_joined_by_a_state_are_one_longer_call(cell, rng):
    x = rng.standard_normal((2, 7, 3))
    d = rng.standard_normal((2, 7, 3))
    with tf1.record() as tape:
        tf1.dynamic_rnn(cell, x, dtype="float64")
    dx, dinitial = tape.backward(d)
    whole = [g.copy() for g in cell.grads]
    with tf1.record() as tape:
        _, state = tf1.dynamic_rnn(cell, x[:, :4], dtype="float64")
        tf1.dynamic_rnn(cell, x[:, 4:], initial_state=state)
    dx2, dstate = tape.backward(d[:, 4:])
    dx1, dinitial1 = tape.backward(d[:, :4], dstate)
    np.testing.assert_allclose(np.concatenate([dx1, dx2], axis=1), dx)
    np.testing.assert_allclose(dinitial1, dinitial)
    for g, expected in zip(cell.grads, whole, strict=True):
        np.testing.assert_allclose(g, expected)


def test_none_is_zeros_everywhere(rng):
    cell = tf1.BasicLSTMCell(3)
    x = rng.standard_normal((2, 4, 3))
    dh = rng.standard_normal((2, 3))
    results = []
    for dstate in (tf1.LSTMStateTuple(None, dh), (np.zeros((2, 3)), dh)):
        with tf1.record() as tape:
            tf1.dynamic_rnn(cell, x, dtype="float64")
        results.append(tape.backward(None, dstate)[0])
    np.testing.assert_array_equal(*results)
    with tf1.record() as tape:
        tf1.dynamic_rnn(cell, x, dtype="float64")
        cell(x[:, 0], cell.zero_state(2, "float64"))
    for _ in range(2):
        dx, dinitial = tape.backward()
        assert not dx.any()
        assert not any(part.any() for part in dinitial)
        assert not any(g.any() for g in cell.grads)


def test_nothing_is_kept_outside_a_block_and_the_innermost_one_records(cell, rng):
    x = rng.standard_normal((2, 4, 3))
    with tf1.record() as outer:
        with tf1.record() as inner:
            tf1.dynamic_rnn(cell, x, dtype="float64")
        cell(x[:, 0], cell.zero_state(2, "float64"))
    tf1.dynamic_rnn(cell, x, dtype="float64")
    assert inner.calls == ["dynamic_rnn"]
    assert outer.calls == ["BasicRNNCell"]


def test_a_refused_gradient_leaves_the_call_on_the_tape(cell, rng):
    with tf1.record() as tape:
        outputs, _ = tf1.dynamic_rnn(cell, rng.standard_normal((2, 4, 3)), dtype="float64")
    with pytest.raises(ShapeError, match=r"doutputs has shape \(2, 3, 3\), expected"):
        tape.backward(outputs[:, :3])
    with pytest.raises(RnnXpError, match="doutputs has dtype float32"):
        tape.backward(outputs.astype(np.float32))
    with pytest.raises(ShapeError, match=r"dstate is \(array,\), expected array"):
        tape.backward(outputs, (outputs[:, 0],))
    tape.backward(outputs)


def test_inputs_and_results_are_not_changed(rng):
    cell = tf1.MultiRNNCell([tf1.LSTMCell(3, use_peepholes=True), tf1.GRUCell(2)])
    x, d = rng.standard_normal((2, 4, 3)), rng.standard_normal((2, 4, 2))
    initial = ((rng.standard_normal((2, 3)), rng.standard_normal((2, 3))), np.ones((2, 2)))
    for array in (x, d, *initial[0], initial[1]):
        array.flags.writeable = False
    with tf1.record() as tape:
        outputs, state = tf1.dynamic_rnn(cell, x, [4, 0], initial)
    kept = [a.copy() for a in (outputs, *state[0], state[1])]
    dx, _ = tape.backward(d, state)
    kept_dx = dx.copy()
    with tf1.record() as tape:
        tf1.dynamic_rnn(cell, 2 * x, [4, 1], initial)
    tape.backward(d)
    for a, b in zip((outputs, *state[0], state[1], dx), [*kept, kept_dx], strict=True):
        np.testing.assert_array_equal(a, b)
    for part, start in zip((*state[0], state[1]), (*initial[0], initial[1]), strict=True):
        np.testing.assert_array_equal(part[1], start[1])  # length 0
