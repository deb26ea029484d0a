"""Cells: names, sizes, states, weights, masks; and the programs of two articles."""

import backends
import numpy as np
import pytest

from rnn_xp import LSTM
from rnn_xp.backend import to_host
from rnn_xp.compat import tf1
from rnn_xp.optim import SGD
from rnn_xp.testing import check_gradients


def normal(rng, *shape):
    return rng.standard_normal(shape)


def test_an_article_s_basic_cells(rng):
    tf = tf1
    cell = tf.nn.rnn_cell.BasicRNNCell(num_units=128)
    assert cell.state_size == 128
    inputs = normal(rng, 32, 100).astype(np.float32)
    h0 = cell.zero_state(32, np.float32)
    output, h1 = cell.call(inputs, h0)
    assert h1.shape == (32, 128)
    assert output is h1

    lstm = tf.nn.rnn_cell.BasicLSTMCell(num_units=128)
    h0 = lstm.zero_state(32, np.float32)
    output, h1 = lstm.call(inputs, h0)
    assert h1.h.shape == h1.c.shape == (32, 128)
    assert output is h1.h
    assert lstm.state_size == tf.nn.rnn_cell.LSTMStateTuple(128, 128)
    assert h1._fields == ("c", "h")
    assert h1.dtype == np.float32

    sequences = normal(rng, 32, 5, 100).astype(np.float32)
    outputs, state = tf.nn.dynamic_rnn(lstm, sequences, initial_state=h0)
    assert outputs.shape == (32, 5, 128)
    np.testing.assert_array_equal(state.h, outputs[:, -1])


def test_two_steps_unrolled_by_hand_by_static_rnn_and_by_dynamic_rnn():
    X0 = np.array([[0.0, 1, 2], [3, 4, 5], [6, 7, 8], [9, 0, 1]])
    X1 = np.array([[9.0, 8, 7], [0, 0, 0], [6, 5, 4], [3, 2, 1]])
    cell = tf1.BasicRNNCell(num_units=5)
    (Y0, Y1), state = tf1.static_rnn(cell, [X0, X1], dtype=tf1.float64)
    kernel, bias = cell.variables
    by_hand0 = np.tanh(X0 @ kernel[:3] + bias)
    by_hand1 = np.tanh(by_hand0 @ kernel[3:] + X1 @ kernel[:3] + bias)
    np.testing.assert_allclose(Y0, by_hand0, rtol=1e-13)
    np.testing.assert_allclose(Y1, by_hand1, rtol=1e-13)
    np.testing.assert_array_equal(state, Y1)
    outputs, _ = tf1.dynamic_rnn(cell, np.stack([X0, X1], axis=1), dtype=tf1.float64)
    np.testing.assert_array_equal(outputs[:, 0], Y0)
    np.testing.assert_array_equal(outputs[:, 1], Y1)


def test_sizes():
    assert tf1.LSTMCell(5, num_proj=3).state_size == (5, 3)
    assert tf1.LSTMCell(5, num_proj=3).output_size == 3
    assert tf1.LSTMCell(5, num_proj=3, state_is_tuple=False).state_size == 8
    multi = tf1.MultiRNNCell([tf1.BasicLSTMCell(2), tf1.GRUCell(3)])
    assert multi.state_size == ((2, 2), 3)
    assert multi.output_size == 3
    zero = multi.zero_state(4, "float64")
    assert isinstance(zero[0], tf1.LSTMStateTuple)
    assert zero[1].shape == (4, 3)


def test_initial_values(be):
    cell = tf1.GRUCell(50)
    cell.build((None, 30), backend=be, rng=1)
    gates, gates_bias, candidate, candidate_bias = cell.get_weights()
    assert np.all(gates_bias == 1.0)
    assert np.all(candidate_bias == 0.0)
    for kernel in (gates, candidate):
        limit = np.sqrt(6 / sum(kernel.shape))
        assert 0.98 * limit < np.abs(kernel).max() <= limit
    again = tf1.GRUCell(50)
    again.build(30, rng=1)
    np.testing.assert_array_equal(again.get_weights()[0], gates)
    constant = tf1.LSTMCell(3, initializer=lambda shape, rng: np.full(shape, 0.5), num_proj=2)
    constant.build(4)
    assert [float(w.flat[0]) for w in constant.get_weights()] == [0.5, 0.0, 0.5]


def test_initializers_of_tensorflow_s_names():
    def kernel(initializer, seed=0):
        cell = tf1.LSTMCell(40, initializer=initializer)
        cell.build(30, dtype="float64", rng=seed)
        return cell.get_weights()[0]

    values = kernel(tf1.random_uniform_initializer(-0.1, 0.1))
    assert -0.1 <= values.min() < -0.099 < 0.099 < values.max() <= 0.1
    values = kernel(tf1.truncated_normal_initializer(stddev=0.5))
    assert 0.98 < abs(values).max() <= 1.0
    assert abs(values.std() - 0.44) < 0.01
    assert abs(kernel(tf1.random_normal_initializer(3.0, 0.1)).mean() - 3.0) < 0.01
    assert np.all(kernel(tf1.constant_initializer(0.5)) == 0.5)
    seeded = [kernel(tf1.random_normal_initializer(seed=4), seed) for seed in (0, 1)]
    np.testing.assert_array_equal(*seeded)


def test_seeded_cells_differ_from_each_other_but_not_from_run_to_run():
    def two():
        tf1.set_random_seed(7)
        cells = [tf1.BasicRNNCell(3), tf1.BasicRNNCell(3)]
        for cell in cells:
            cell.build(2)
        return [cell.get_weights()[0] for cell in cells]

    first, second = two(), two()
    assert not np.array_equal(first[0], first[1])
    np.testing.assert_array_equal(first, second)


def test_weights_go_in_and_out_and_an_optimiser_changes_what_the_cell_computes(be, rng):
    cell = tf1.BasicLSTMCell(4)
    cell.build(3, backend=be, dtype="float64")
    weights = [normal(rng, *w.shape) for w in cell.get_weights()]
    cell.set_weights(weights)
    for a, b in zip(cell.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(a, b)
    x = be.asarray(normal(rng, 2, 5, 3))
    with tf1.record() as tape:
        outputs, _ = tf1.dynamic_rnn(cell, x, dtype="float64")
    tape.backward(outputs)
    SGD(0.1).update(cell.variables, cell.grads)
    after, _ = tf1.dynamic_rnn(cell, x, dtype="float64")
    assert np.sum(to_host(after) ** 2) < np.sum(to_host(outputs) ** 2)


def test_it_is_the_core_s_lstm(rng):
    cell = tf1.BasicLSTMCell(4, forget_bias=1.0)
    x, h, c = normal(rng, 2, 3), normal(rng, 2, 4), normal(rng, 2, 4)
    output, _ = cell(x, tf1.LSTMStateTuple(c, h))
    kernel, bias = cell.variables
    i, j, f, o = np.split(kernel, 4, axis=1)
    K = np.concatenate([i, f, j, o], axis=1)
    b = np.concatenate([bias[:4], bias[8:12] + 1.0, bias[4:8], bias[12:]])
    h_core, _ = LSTM(K[:3], K[3:], b).forward(x, h, c)
    np.testing.assert_allclose(output, h_core, rtol=1e-13)


def test_a_step_asks_the_device_for_nothing(strict, rng):
    cell = tf1.MultiRNNCell(
        [
            tf1.DropoutWrapper(tf1.BasicLSTMCell(3), 0.5, 0.5, 0.5, seed=0),
            tf1.ResidualWrapper(tf1.LSTMCell(3, use_peepholes=True, cell_clip=1.0)),
        ]
    )
    cell.build(3, backend=strict, dtype="float64")
    x = strict.asarray(rng.standard_normal((2, 4, 3)))
    with backends.no_host_transfer(), tf1.record() as tape:
        outputs, state = tf1.dynamic_rnn(cell, x, [4, 0], dtype="float64")
        pair, _ = tf1.bidirectional_dynamic_rnn(cell, cell, x, [4, 0], dtype="float64")
        tape.backward(pair)
        tape.backward(outputs, state)


class AsLayer:
    """`dynamic_rnn` as a layer, for `check_gradients`."""

    def __init__(self, cell, lengths=None):
        self.cell, self.lengths = cell, lengths
        self.params, self.grads = cell.variables, cell.grads

    def forward(self, x, *state):
        self.single = len(state) == 1
        initial = state[0] if self.single else tf1.LSTMStateTuple(*state)
        with tf1.record() as self.tape:
            outputs, final = tf1.dynamic_rnn(self.cell, x, self.lengths, initial)
        return (outputs, final) if self.single else (outputs, *final)

    def backward(self, doutputs, *dstate):
        dx, dinitial = self.tape.backward(
            doutputs, dstate[0] if self.single else tf1.LSTMStateTuple(*dstate)
        )
        return (dx, dinitial) if self.single else (dx, *dinitial)


@pytest.mark.parametrize("variational", [False, True])
@pytest.mark.parametrize("keep", [(0.6, 0.7, 1.0), (1.0, 1.0, 0.5), (0.6, 0.7, 0.5), (0, 1, 0)])
@pytest.mark.parametrize("make", [tf1.BasicLSTMCell, tf1.GRUCell])
def test_dropout_gradients(make, keep, variational, rng):
    cell = tf1.DropoutWrapper(make(4), *keep, variational_recurrent=variational, seed=3)
    cell.build(3, dtype="float64")

    def start():
        cell.counter = 0

    parts = 2 if make is tf1.BasicLSTMCell else 1
    state = [normal(rng, 3, 4) for _ in range(parts)]
    check_gradients(AsLayer(cell, [4, 0, 2]), normal(rng, 3, 4, 3), *state, reset=start)


def test_dropout_masks(be, rng):
    x = be.asarray(normal(rng, 2, 6, 50))
    cell = tf1.DropoutWrapper(tf1.BasicRNNCell(50), output_keep_prob=0.5, seed=1)
    cell.build(50, backend=be, dtype="float64")
    plain, _ = tf1.dynamic_rnn(cell.cell, x, dtype="float64")
    dropped, state = tf1.dynamic_rnn(cell, x, dtype="float64")
    plain, dropped = to_host(plain), to_host(dropped)
    zero = dropped == 0.0
    assert 0.4 < zero.mean() < 0.6
    np.testing.assert_allclose(dropped[~zero], 2 * plain[~zero])
    assert not np.array_equal(zero[:, 0], zero[:, 1])
    np.testing.assert_allclose(to_host(state), plain[:, -1])  # the state is left alone
    cell.output_keep_prob = 1.0
    np.testing.assert_array_equal(to_host(tf1.dynamic_rnn(cell, x, dtype="float64")[0]), plain)


def test_a_variational_mask_is_shared_by_steps_and_rows_of_one_call(rng):
    cell = tf1.DropoutWrapper(
        tf1.GRUCell(50), output_keep_prob=0.5, variational_recurrent=True, dtype="float64"
    )
    x = normal(rng, 2, 6, 3)
    zero = [tf1.dynamic_rnn(cell, x, dtype="float64")[0] == 0.0 for _ in range(2)]
    assert np.all(zero[0] == zero[0][:1, :1])
    assert not np.array_equal(zero[0], zero[1])
    state = cell.zero_state(2, "float64")
    by_hand = [cell(x[:, 0], state)[0] == 0.0 for _ in range(2)]
    np.testing.assert_array_equal(*by_hand)


def test_state_dropout_leaves_c_alone(rng):
    cell = tf1.DropoutWrapper(tf1.BasicLSTMCell(50), state_keep_prob=0.5, seed=1)
    output, (c, h) = cell(normal(rng, 2, 3), cell.zero_state(2, "float64"))
    assert not np.any(c == 0.0)
    assert 0.3 < np.mean(h == 0.0) < 0.7
    assert not np.any(output == 0.0)


def test_one_cell_twice_shares_its_weights(rng):
    cell = tf1.BasicRNNCell(3)
    with pytest.warns(UserWarning, match="one cell is given twice"):
        multi = tf1.MultiRNNCell([cell, cell])
    multi.build(3, dtype="float64")
    assert len(multi.variables) == 2
    layer = AsLayer(multi)
    x = normal(rng, 2, 4, 3)
    with tf1.record() as tape:
        tf1.dynamic_rnn(multi, x, dtype="float64")
    tape.backward(np.ones((2, 4, 3)))

    def loss():
        return tf1.dynamic_rnn(multi, x, dtype="float64")[0].sum()

    kernel = cell.variables[0]
    kernel[1, 2] += 1e-6
    up = loss()
    kernel[1, 2] -= 2e-6
    assert abs((up - loss()) / 2e-6 - layer.grads[0][1, 2]) < 1e-6
