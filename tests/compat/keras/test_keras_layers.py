"""The facade without Keras, on every backend: state, dropout, training, copies."""

import copy
import random

import numpy as np
import pytest
from backends import no_host_transfer

from rnn_xp.backend import get_backend, to_host
from rnn_xp.compat.keras import (
    GRU,
    LSTM,
    RNN,
    Bidirectional,
    LSTMCell,
    SimpleRNN,
    SimpleRNNCell,
    TimeDistributed,
    activations,
    initializers,
)
from rnn_xp.errors import StaleCacheError
from rnn_xp.layers import TimeAffine, TimeGRU, TimeLSTM, TimeRNN


def draws(be, *shape, seed=0, dtype="float64"):
    return be.asarray(np.random.default_rng(seed).standard_normal(shape), dtype)


def test_fast_layers_run_where_they_can():
    """And the general one where activations or a mask for each gate ask for it."""
    xs = draws(get_backend("numpy"), 2, 3, 4, dtype="float32")
    for kind, fast in ((SimpleRNN, TimeRNN), (LSTM, TimeLSTM), (GRU, TimeGRU)):
        for options, expected in (
            ({}, fast.__name__),
            ({"dropout": 0.5}, fast.__name__),
            ({"recurrent_dropout": 0.5}, "TimeCell"),
            ({"activation": "relu"}, "TimeCell"),
        ):
            layer = kind(3, **options)
            layer(xs, training=True)
            assert type(layer._runs[0]._used[0]).__name__ == expected


def test_dropout_masks_hold_for_all_steps_and_repeat_with_the_seed(be):
    xs = be.asarray(np.ones((4, 5, 3)), "float32")
    made = [GRU(3, dropout=0.5, return_sequences=True, seed=5, backend=be) for _ in range(2)]
    for layer in made:
        layer.build((4, 5, 3))
        layer.set_weights(made[0].get_weights())
    first, second = (to_host(layer(xs, training=True)) for layer in made)
    np.testing.assert_array_equal(first, second)
    assert not np.array_equal(first, to_host(made[0](xs, training=True)))
    plain = to_host(made[0](xs))
    np.testing.assert_array_equal(plain, to_host(made[1](xs, training=False)))
    assert not np.array_equal(first, plain)


def test_a_cells_masks_stay_until_they_are_reset(be):
    cell = LSTMCell(4, dropout=0.5, recurrent_dropout=0.5, seed=1, backend=be)
    x, state = be.asarray(np.ones((3, 4)), "float32"), [be.asarray(np.ones((3, 4)), "float32")] * 2
    first = to_host(cell(x, state, training=True)[0])
    np.testing.assert_array_equal(first, to_host(cell(x, state, training=True)[0]))
    cell.reset_dropout_mask()
    cell.reset_recurrent_dropout_mask()
    assert not np.array_equal(first, to_host(cell(x, state, training=True)[0]))


@pytest.mark.parametrize(("kind", "drops"), [(SimpleRNNCell, True), (LSTMCell, False)])
def test_a_share_of_one_is_what_keras_makes_of_it(kind, drops):
    cell = kind(2, dropout=1.5, kernel_initializer="ones", bias_initializer="ones")
    assert cell.dropout == 1.0
    x = np.ones((1, 3), "float32")
    state = cell.get_initial_state(1)
    dropped, kept = (cell(x, state, training=t)[0] for t in (True, False))
    assert np.array_equal(dropped, kept) is not drops


@pytest.mark.parametrize("kind", [LSTM, GRU])
@pytest.mark.parametrize("mask", [None, [[1, 1, 0]]])
def test_layers_treat_a_share_of_one_as_their_cells_do(kind, mask):
    """In Keras on torch a fused path of the layer, without a mask, drops everything instead."""
    layer = kind(2, dropout=1.0, recurrent_dropout=1.0)
    xs = np.ones((1, 3, 4), "float32")
    kept, dropped = (layer(xs, mask=mask, training=t) for t in (False, True))
    np.testing.assert_array_equal(kept, dropped)


def test_lists_are_masks(be):
    xs = draws(be, 2, 3, 4, dtype="float32")
    lists = [[1, 1, 0], [0, 1, 1]]
    mask = be.asarray(np.array(lists), "int64")
    lstm = LSTM(3, return_sequences=True, backend=be)
    for layer in (lstm, Bidirectional(lstm)):
        expected = to_host(layer(xs, mask=mask))
        for given in (lists, [[bool(v) for v in row] for row in lists], tuple(lists)):
            np.testing.assert_array_equal(to_host(layer(xs, mask=given)), expected)
    clips = draws(be, 2, 3, 2, 4, dtype="float32")
    over = TimeDistributed(LSTM(3, backend=be))
    steps = [[[1, 1], [1, 0], [0, 1]]] * 2
    given, expected = (to_host(over(clips, mask=m)) for m in (steps, np.array(steps)))
    np.testing.assert_array_equal(given, expected)


def test_numpy_s_integers_are_units():
    layer = LSTM(np.int64(3))
    assert type(layer.units) is int
    assert layer(np.ones((1, 2, 4), "float32")).shape == (1, 3)


def test_activations_are_attributes_too():
    assert activations.tanh is activations.get("tanh")
    assert activations.swish is activations.silu
    assert activations.linear is activations.get(None)
    assert not hasattr(activations, "than")
    layer = LSTM(3, activation=activations.relu)
    assert layer.get_config()["activation"] == "relu"
    assert GRU(3, activation=activations.tanh).cell.is_fast()


@pytest.mark.parametrize("sequences", [False, True])
@pytest.mark.parametrize("state", [False, True])
def test_output_shapes_without_a_call(sequences, state):
    options = {"return_sequences": sequences, "return_state": state}
    layers = [kind(3, **options) for kind in (SimpleRNN, LSTM, GRU)]
    layers.append(RNN([LSTMCell(3), SimpleRNNCell(2)], **options))
    layers += [Bidirectional(LSTM(3, **options), mode) for mode in ("concat", "sum", None)]
    xs = np.ones((2, 5, 4), "float32")
    for layer in layers:
        assert layer.compute_output_shape(xs.shape) == shapes_of(layer(xs))
    lstm = LSTM(3, **options)
    first = (None, None, 3) if sequences else (None, 3)
    whole = (first, (None, 3), (None, 3)) if state else first
    assert lstm.compute_output_shape((None, None, 4)) == whole
    if not state:
        over = TimeDistributed(LSTM(3, **options))
        clips = np.ones((2, 6, 5, 4), "float32")
        assert over.compute_output_shape(clips.shape) == over(clips).shape
    with pytest.raises(TypeError, match="a TimeAffine has no compute_output_shape"):
        TimeDistributed(TimeAffine(np.ones((4, 2)))).compute_output_shape((1, 2, 4))


def shapes_of(outputs):
    """The shapes in a structure of arrays."""
    if isinstance(outputs, tuple | list):
        return type(outputs)(shapes_of(part) for part in outputs)
    return tuple(outputs.shape)


def test_stateful_layers(be):
    """Two halves are the whole; a given state is used once; the gradient stops between."""
    layer = LSTM(3, stateful=True, return_sequences=True, dtype="float64", backend=be)
    whole = LSTM(3, return_sequences=True, dtype="float64", backend=be)
    xs = draws(be, 2, 6, 4)
    layer.build((2, None, 4))
    whole.build((2, 6, 4))
    whole.set_weights(layer.get_weights())
    first, second = layer(xs[:, :2, :]), layer(xs[:, 2:, :])
    together = np.concatenate([to_host(first), to_host(second)], axis=1)
    np.testing.assert_allclose(together, to_host(whole(xs)), rtol=1e-12)
    assert len(layer.states) == 2
    start = [draws(be, 2, 3, seed=k) for k in range(2)]
    np.testing.assert_allclose(
        to_host(layer(xs, initial_state=start)), to_host(whole(xs, initial_state=start))
    )
    with pytest.raises(ValueError, match="batch size is 1, but the states are for 2 rows"):
        layer(xs[:1, :, :])
    layer.reset_state()
    assert tuple(layer(xs[:1, :, :]).shape) == (1, 6, 3)


def test_what_the_caller_does_to_returned_states_changes_nothing():
    layer = GRU(3, stateful=True, return_state=True)
    xs = np.random.default_rng(0).standard_normal((2, 3, 4)).astype("float32")
    _, state = layer(xs)
    kept = layer.states[0].copy()
    state[...] = 7.0
    np.testing.assert_array_equal(layer.states[0], kept)


def test_backward_once_for_each_call():
    layer = SimpleRNN(3)
    xs = np.ones((2, 3, 4), "float32")
    with pytest.raises(StaleCacheError):
        layer.backward(np.ones((2, 3), "float32"))
    output = layer(xs)
    layer.backward(output)
    with pytest.raises(StaleCacheError):
        layer.backward(output)
    cell = SimpleRNNCell(3)
    out, _ = cell(xs[:, 0], cell.get_initial_state(2))
    out, _ = cell(xs[:, 0], cell.get_initial_state(2))
    cell.backward(out)
    with pytest.raises(StaleCacheError, match="training=True"):
        cell.backward(out)


@pytest.mark.parametrize("kind", [SimpleRNN, LSTM, GRU])
def test_writing_into_the_weights_trains(be, kind):
    random.seed(2)
    layer = Bidirectional(kind(4, backend=be), merge_mode="sum")
    xs, target = (draws(be, 3, *s, dtype="float32") for s in ((5, 2), (4,)))
    losses = []
    for _ in range(30):
        error = layer(xs, training=True) - target
        losses.append(float((to_host(error) ** 2).sum()))
        layer.backward(2.0 * error)
        for weight, grad in zip(layer.weights, layer.grads, strict=True):
            weight[...] = weight - 0.05 * grad
    assert losses[-1] < 0.3 * losses[0]


def test_a_training_step_stays_on_the_device(strict):
    layer = Bidirectional(
        GRU(4, dropout=0.5, recurrent_dropout=0.5, return_state=True, backend=strict)
    )
    xs = draws(strict, 3, 5, 2, dtype="float32")
    mask = strict.asarray(np.random.default_rng(0).random((3, 5)) < 0.7)
    layer.build((3, 5, 2))
    with no_host_transfer():
        output, *states = layer(xs, mask=mask, training=True)
        layer.backward(output, *states)
    assert to_host(layer.grads[0]).any()


def test_given_weights():
    first = Bidirectional(LSTM(3))
    first.build((2, 3, 4))
    second = Bidirectional(LSTM(3), weights=first.get_weights())
    xs = np.random.default_rng(0).standard_normal((2, 3, 4)).astype("float32")
    np.testing.assert_array_equal(first(xs), second(xs))
    assert first.count_params() == 2 * (4 * 12 + 3 * 12 + 12)
    assert len(first.trainable_variables) == 6
    assert LSTM(3, trainable=False).trainable_weights == []


@pytest.mark.parametrize("kind", [SimpleRNN, LSTM, GRU])
def test_the_same_seeds_on_every_backend(be, kind):
    """Weights and dropout masks."""
    options = {"dropout": 0.5, "recurrent_dropout": 0.5, "seed": 3}
    seeded = {
        "kernel_initializer": initializers.GlorotUniform(seed=1),
        "recurrent_initializer": initializers.Orthogonal(seed=2),
    }
    outputs = []
    for backend in (be, get_backend("numpy")):
        layer = kind(3, **seeded, **options, dtype="float64", backend=backend)
        outputs.append(to_host(layer(draws(backend, 2, 4, 5), training=True)))
    np.testing.assert_allclose(*outputs, rtol=1e-12)


def test_layers_copy():
    layer = Bidirectional(GRU(3))
    xs = np.random.default_rng(0).standard_normal((2, 3, 4)).astype("float32")
    expected = layer(xs)
    np.testing.assert_array_equal(copy.deepcopy(layer)(xs), expected)
