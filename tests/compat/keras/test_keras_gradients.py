"""The facade on every backend: gradients against central differences, your own cells."""

import random

import numpy as np
import pytest
from proof.usercell import LeakyCell

from rnn_xp.backend import to_host
from rnn_xp.cells import Activation
from rnn_xp.compat.keras import (
    GRU,
    LSTM,
    RNN,
    Bidirectional,
    GRUCell,
    LSTMCell,
    SimpleRNN,
    SimpleRNNCell,
    TimeDistributed,
    initializers,
)
from rnn_xp.compat.keras.nest import flatten
from rnn_xp.layers import TimeAffine
from rnn_xp.testing import check_gradients

HOLES = np.array([[True, False, True, True], [False, False, True, False]])
SEQUENCES = {"return_sequences": True, "return_state": True}


def draws(be, *shape, seed=0, dtype="float64"):
    return be.asarray(np.random.default_rng(seed).standard_normal(shape), dtype)


class Flat:
    """A layer and its initial state with the signature that `check_gradients` runs."""

    def __init__(self, layer, **options):
        self.layer, self.options = layer, options

    @property
    def params(self):
        return self.layer.weights

    @property
    def grads(self):
        return self.layer.grads

    def forward(self, x, *state):
        for cell in self.options.get("rewind", ()):
            cell.masks.counter = 0
        options = {k: v for k, v in self.options.items() if k != "rewind"}
        found = self.layer(x, initial_state=list(state) or None, **options)
        self.given = bool(state)
        return tuple(flatten(found))

    def backward(self, *d):
        dx = self.layer.backward(*d)
        return (dx, *flatten(self.layer.dstate)) if self.given else dx


FORMS = {
    "simple": lambda be: SimpleRNN(3, **SEQUENCES, dtype="float64", backend=be),
    "lstm": lambda be: LSTM(3, **SEQUENCES, dtype="float64", backend=be),
    "gru": lambda be: GRU(3, **SEQUENCES, dtype="float64", backend=be),
    "gru-before": lambda be: GRU(
        3, reset_after=False, use_bias=False, **SEQUENCES, dtype="float64", backend=be
    ),
    "lstm-activations": lambda be: LSTM(
        3, "softsign", "softplus", return_state=True, go_backwards=True, dtype="float64", backend=be
    ),
    "gru-last": lambda be: GRU(3, return_state=True, dtype="float64", backend=be),
}
DROPPED = {"dropout": 0.3, "recurrent_dropout": 0.4, "seed": 3, "dtype": "float64"}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("mask", [None, HOLES], ids=["plain", "mask"])
def test_gradients_match_central_differences(be, form, mask):
    random.seed(1)
    layer = FORMS[form](be)
    layer.build((2, 4, 2))
    layer.set_weights([0.5 * draws(be, *w.shape, seed=k) for k, w in enumerate(layer.weights)])
    state = [draws(be, 2, 3, seed=9 + k) for k in range(len(layer.state_size))]
    check_gradients(Flat(layer, mask=mask), draws(be, 2, 4, 2), *state)


@pytest.mark.parametrize("kind", [SimpleRNN, LSTM, GRU])
@pytest.mark.parametrize("reset_after", [True, False])
def test_gradients_under_dropout(be, kind, reset_after):
    if kind is not GRU and not reset_after:
        pytest.skip("only the GRU has two variants")
    options = {"reset_after": reset_after} if kind is GRU else {}
    random.seed(1)
    layer = kind(3, **SEQUENCES, **DROPPED, **options, backend=be)
    layer.build((2, 4, 2))
    check = Flat(layer, mask=HOLES, training=True, rewind=[layer.cell])
    state = [draws(be, 2, 3, seed=9 + k) for k in range(len(layer.state_size))]
    check_gradients(check, draws(be, 2, 4, 2), *state)


@pytest.mark.parametrize("merge", ["concat", "sum", "mul", "ave", None])
@pytest.mark.parametrize("sequences", [True, False])
def test_bidirectional_gradients(be, merge, sequences):
    random.seed(1)
    inner = LSTM(2, return_sequences=sequences, return_state=True, dtype="float64", backend=be)
    layer = Bidirectional(inner, merge_mode=merge)
    state = [draws(be, 2, 2, seed=9 + k) for k in range(4)]
    layer.build((2, 4, 2))
    check_gradients(Flat(layer, mask=HOLES), draws(be, 2, 4, 2), *state)


@pytest.mark.parametrize("kind", [SimpleRNN, LSTM, GRU])
def test_a_cell_of_your_own(be, kind):
    """Inside a list, in two directions, under a mask."""
    shapes = ((3, 4), (4, 4), (4, 2))
    own = LeakyCell(*(draws(be, *s, seed=k) for k, s in enumerate(shapes)))
    cells = {SimpleRNN: SimpleRNNCell, LSTM: LSTMCell, GRU: GRUCell}
    first = cells[kind](3, dtype="float64", backend=be)
    layer = RNN([first, own], return_sequences=True, return_state=True)
    assert layer.output_size == 2
    assert layer.state_size[1] == [4, [4]]
    layer.build((2, 4, 2))
    assert [len(layer.weights), len(layer.grads)] == [6, 6]
    output, *states = layer(draws(be, 2, 4, 2), mask=HOLES)
    assert tuple(output.shape) == (2, 4, 2)
    assert [tuple(a.shape) for a in flatten(states[1])] == [(2, 4), (2, 4)]
    single = RNN(own, return_sequences=True)
    both = Bidirectional(single)
    check_gradients(Flat(both, mask=HOLES), draws(be, 2, 4, 3))
    assert both.forward_layer.cell.cell is not own
    with pytest.raises(TypeError, match=r"LeakyCell has no get_config\(\)"):
        layer.get_config()


def test_time_distributed(be):
    """A recurrent layer at every step of a longer sequence; an affine map; gradients."""
    inner = LSTM(3, dtype="float64", backend=be)
    layer = TimeDistributed(inner)
    xs = draws(be, 2, 3, 4, 2)
    mask = np.random.default_rng(0).random((2, 3, 4)) < 0.7
    outputs = layer(xs, mask=be.asarray(mask))
    for t in range(3):
        alone = inner(xs[:, t, :, :], mask=mask[:, t, :])
        np.testing.assert_allclose(to_host(outputs[:, t, :]), to_host(alone), rtol=1e-12)
    check_gradients(Distributed(layer, be.asarray(mask)), xs)
    affine = TimeDistributed(TimeAffine(draws(be, 2, 5), draws(be, 5)))
    assert tuple(affine(xs[:, :, 0, :]).shape) == (2, 3, 5)
    check_gradients(Distributed(affine), xs[:, :, 0, :])


class Distributed:
    def __init__(self, layer, mask=None):
        self.layer, self.mask = layer, mask
        self.params, self.grads = layer.weights, layer.grads
        self.backward = layer.backward

    def forward(self, xs):
        return self.layer(xs, mask=self.mask)


def test_your_own_activation_and_initializer_survive_a_clone():
    def halves(shape, dtype=None):
        return initializers.Constant(0.5)(shape)

    cube = Activation("cube", lambda x, xp: x * x * x, lambda x, xp: 3.0 * x * x, of_input=True)
    inner = SimpleRNN(2, activation=cube, kernel_initializer=halves, dtype="float64")
    layer = Bidirectional(inner)
    layer.build((2, 3, 4))
    np.testing.assert_array_equal(layer.weights[0], np.full((4, 2), 0.5))
    check_gradients(Flat(layer), np.random.default_rng(0).standard_normal((2, 3, 4)) * 0.3)
    config = layer.get_config()
    again = Bidirectional.from_config(config, {"cube": cube, "halves": halves})
    assert again.get_config() == config
    with pytest.raises(ValueError, match="unknown activation 'cube'"):
        SimpleRNN.from_config(inner.get_config())
