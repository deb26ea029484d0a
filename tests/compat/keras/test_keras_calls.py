"""The facade against Keras 3 on torch, where a call is not one layer over one batch."""

import numpy as np
import pytest
from keras_oracle import float64_kept, open_keras, run_keras, worst

from rnn_xp.backend import to_host
from rnn_xp.compat import keras as ours

keras = open_keras()

# Of Keras's own conversion of its variables to NumPy.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

FLOAT64 = 1e-12
KINDS = ("SimpleRNN", "LSTM", "GRU")


def draws(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


def pair(name, shape, *arguments, **options):
    """The layer of both libraries with the same weights."""
    mine = getattr(ours, name)(*arguments, dtype="float64", **options)
    theirs = getattr(keras.layers, name)(*arguments, dtype="float64", **options)
    mine.build(shape)
    theirs.build(shape)
    mine.set_weights([0.5 * draws(*w.shape, seed=k) for k, w in enumerate(mine.weights)])
    theirs.set_weights(mine.get_weights())
    return mine, theirs


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("as_list", [True, False])
def test_one_step_of_a_cell(kind, as_list):
    """Output, states in the structure given, and all gradients."""
    import torch

    if kind == "LSTM" and not as_list:
        pytest.skip("the LSTM's state is a list")
    mine, theirs = pair(f"{kind}Cell", (2, 4), 3)
    parts = [draws(2, 3, seed=5 + k) for k in range(2 if kind == "LSTM" else 1)]
    x, up = draws(2, 4, seed=9), [draws(2, 3, seed=20 + k) for k in range(3)]
    tensors = [torch.tensor(p, requires_grad=True) for p in parts]
    x_tensor = torch.tensor(x, requires_grad=True)
    with float64_kept():
        out, new = theirs(x_tensor, tensors if as_list else tensors[0])
    assert isinstance(new, list) is as_list
    news = new if as_list else [new]
    loss = (out * torch.tensor(up[0])).sum()
    loss = loss + sum((n * torch.tensor(u)).sum() for n, u in zip(news, up[1:], strict=False))
    sources = [x_tensor, *(w.value for w in theirs.trainable_weights), *tensors]
    expected = [g.numpy() for g in torch.autograd.grad(loss, sources)]

    given = mine(x, list(parts) if as_list else parts[0])
    assert isinstance(given[1], list) is as_list
    own = given[1] if as_list else [given[1]]
    assert own[0] is given[0]
    references = [a.detach().numpy() for a in (out, *news)]
    assert worst([given[0], *own], references) <= FLOAT64
    dx, dstate = mine.backward(up[0], up[1 : 1 + len(own)] if as_list else up[1])
    dstates = dstate if as_list else [dstate]
    assert isinstance(dstate, list) is as_list
    assert worst([dx, *mine.grads, *dstates], expected) <= FLOAT64


@pytest.mark.parametrize("kind", KINDS)
def test_stateful_calls(kind):
    """Three calls, one with a state of its own and a mask, then a reset."""
    import torch

    mine, theirs = pair(kind, (2, 3, 4), 3, stateful=True, return_state=True, return_sequences=True)
    parts = [draws(2, 3, seed=5 + k) for k in range(2 if kind == "LSTM" else 1)]
    mask = np.array([[True, False, True], [False, True, False]])
    for step in range(4):
        x = draws(2, 3, 4, seed=step)
        start, masked = (parts, mask) if step == 1 else (None, None)
        if step == 3:
            mine.reset_state()
            theirs.reset_state()
        with float64_kept(), torch.no_grad():
            reference = theirs(
                torch.tensor(x),
                initial_state=None if start is None else [torch.tensor(p) for p in start],
                mask=None if masked is None else torch.tensor(masked),
            )
        given = mine(x, initial_state=start, mask=masked)
        assert worst(given, [r.numpy() for r in reference]) <= FLOAT64
        held = [s.value.detach().numpy() for s in theirs.states]
        assert worst(mine.states, held) <= FLOAT64


def test_time_distributed():
    inner_mine, inner = pair("LSTM", (2, 4, 3), 5)
    mine = ours.TimeDistributed(inner_mine)
    theirs = keras.layers.TimeDistributed(inner, dtype="float64")
    x, mask = draws(2, 3, 4, 3), np.random.default_rng(1).random((2, 3, 4)) < 0.6
    up = draws(2, 3, 5, seed=3)
    outputs, gradients = run_keras(
        theirs, inner_mine.get_weights(), x, None, mask, lambda k, shape: up
    )
    assert worst([mine(x, mask=mask)], outputs) <= FLOAT64
    dx = mine.backward(up)
    references = gradients["x"] + gradients["weights"]
    assert worst([dx, *mine.grads], references) <= FLOAT64


def test_a_masked_first_step_is_zeros_whatever_the_initial_state():
    """Where Keras's backends disagree: ours is its TensorFlow and torch backends' answer."""
    mine, theirs = pair("GRU", (1, 3, 2), 2, return_sequences=True)
    x, h0 = draws(1, 3, 2), draws(1, 2, seed=2)
    mask = np.array([[False, True, False]])
    outputs, gradients = run_keras(
        theirs, mine.get_weights(), x, [h0], mask, lambda k, shape: np.ones(shape)
    )
    given = mine(x, [h0], mask=mask)
    assert not to_host(given)[0, 0].any()
    assert worst([given], outputs) <= FLOAT64
    mine.backward(np.ones((1, 3, 2)))
    assert worst(mine.dstate, gradients["state"]) <= FLOAT64


@pytest.mark.parametrize("name", ["relu", "elu", "softplus", "silu", "exponential", "selu", None])
def test_activations_by_name(name):
    mine, theirs = pair("LSTM", (2, 3, 4), 3, activation=name, return_sequences=True)
    x, up = 0.5 * draws(2, 3, 4), draws(2, 3, 3, seed=1)
    outputs, gradients = run_keras(theirs, mine.get_weights(), x, None, None, lambda k, shape: up)
    assert worst([mine(x)], outputs) <= FLOAT64
    dx = mine.backward(up)
    assert worst([dx, *mine.grads], gradients["x"] + gradients["weights"]) <= FLOAT64
