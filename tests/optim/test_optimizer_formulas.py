"""Optimisers against the literal formulas of the book, and against PyTorch's."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from optimizer_problems import NAMES, assert_same, problem, run

from rnn_xp.backend import get_backend
from rnn_xp.optim import Adam, get_optimizer


# The formulas once more, as literally as possible, for one float64 array: p, g, step number
# (from 1) and a dictionary of state to p.
def book_sgd(p, g, n, s, lr=0.01):
    return p - lr * g


def book_momentum(p, g, n, s, lr=0.01, momentum=0.9):
    s["v"] = momentum * s.get("v", 0.0) - lr * g
    return p + s["v"]


def book_nesterov(p, g, n, s, lr=0.01, momentum=0.9):
    before = s.get("v", np.zeros_like(p))
    s["v"] = momentum * before - lr * g
    return p + momentum * momentum * before - (1 + momentum) * lr * g


def book_adagrad(p, g, n, s, lr=0.01):
    s["h"] = s.get("h", 0.0) + g * g
    return p - lr * g / (np.sqrt(s["h"]) + 1e-7)


def book_rmsprop(p, g, n, s, lr=0.01, decay_rate=0.99):
    s["h"] = s.get("h", 0.0) * decay_rate + (1 - decay_rate) * g * g
    return p - lr * g / (np.sqrt(s["h"]) + 1e-7)


def book_adam(p, g, n, s, lr=0.001, beta1=0.9, beta2=0.999):
    s["m"] = s.get("m", 0.0) + (1 - beta1) * (g - s.get("m", 0.0))
    s["v"] = s.get("v", 0.0) + (1 - beta2) * (g**2 - s.get("v", 0.0))
    lr_t = lr * np.sqrt(1.0 - beta2**n) / (1.0 - beta1**n)
    return p - lr_t * s["m"] / (np.sqrt(s["v"]) + 1e-7)


def paper_adamw(p, g, n, s, lr=0.001, weight_decay=0.01):
    s["m"] = 0.9 * s.get("m", 0.0) + 0.1 * g
    s["v"] = 0.999 * s.get("v", 0.0) + 0.001 * g**2
    m_hat, v_hat = s["m"] / (1 - 0.9**n), s["v"] / (1 - 0.999**n)
    return p - lr * weight_decay * p - lr * m_hat / (np.sqrt(v_hat) + 1e-8)


FORMULAS = {
    "sgd": book_sgd,
    "momentum": book_momentum,
    "nesterov": book_nesterov,
    "adagrad": book_adagrad,
    "rmsprop": book_rmsprop,
    "adam": book_adam,
    "adamw": paper_adamw,
}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("dtype", "rtol"), [("float64", 1e-12), ("float32", 2e-5)])
def test_is_the_literal_formula(name, dtype, rtol, backend):
    params, grads = problem(dtype)
    got, held = run(get_optimizer(name), backend, params, grads)
    expected = []
    for i, p in enumerate(params):
        state, p = {}, p.astype("float64")
        for n, step in enumerate(grads, start=1):
            p = FORMULAS[name](p, step[i].astype("float64"), n, state)
        expected.append(p)
    assert_same(got, expected, rtol)
    for array in held:
        assert array.dtype == backend.dtype(dtype)
        assert array.device == backend.device


def torch_optimizer(torch, name, params):
    return {
        "sgd": lambda: torch.optim.SGD(params, lr=0.3, weight_decay=0.1),
        "momentum": lambda: torch.optim.SGD(params, lr=0.01, momentum=0.9),
        "nesterov": lambda: torch.optim.SGD(params, lr=0.01, momentum=0.9, nesterov=True),
        "adagrad": lambda: torch.optim.Adagrad(params, lr=0.01, eps=1e-7),
        "rmsprop": lambda: torch.optim.RMSprop(params, lr=0.01, alpha=0.99, eps=1e-7),
        "adam": lambda: torch.optim.Adam(params, lr=0.001, weight_decay=0.1),
        "adamw": lambda: torch.optim.AdamW(params, lr=0.001, weight_decay=0.01),
    }[name]()


# Settings that make ours the same function as PyTorch's (its velocity has no learning rate
# in it: the same while the rate does not change).
LIKE_TORCH = {
    "sgd": {"lr": 0.3, "weight_decay": 0.1},
    "adam": {"eps": 1e-8, "eps_hat": False, "weight_decay": 0.1},
}


@pytest.mark.parametrize("name", NAMES)
def test_is_torch_optim(name, backend, torch):
    params, grads = problem()
    theirs = [torch.nn.Parameter(torch.tensor(p)) for p in params]
    oracle = torch_optimizer(torch, name, theirs)
    for step in grads:
        for p, g in zip(theirs, step, strict=True):
            p.grad = torch.tensor(g)
        oracle.step()
    got, _ = run(get_optimizer(name, **LIKE_TORCH.get(name, {})), backend, params, grads)
    assert_same(got, [p.detach().numpy() for p in theirs])


def test_eps_hat_matters_for_small_gradients():
    numpy = get_backend("numpy")
    params, grads = [np.ones(3)], [[np.full(3, 1e-7)]] * 5
    book, _ = run(Adam(eps=1e-8), numpy, params, grads)
    paper, _ = run(Adam(eps=1e-8, eps_hat=False), numpy, params, grads)
    assert np.all(np.abs(book[0] - paper[0]) > 1e-4)


@settings(max_examples=60, deadline=None)
@given(
    beta1=st.floats(0.0, 0.999),
    beta2=st.floats(0.0, 0.99999),
    g=st.floats(1e-3, 1e3),
    sign=st.sampled_from([-1.0, 1.0]),
)
def test_the_first_step_of_adam_has_the_length_of_the_rate(beta1, beta2, g, sign):
    p = np.zeros(1)
    Adam(0.1, beta1, beta2, eps=1e-12, eps_hat=False).update([p], [np.full(1, sign * g)])
    np.testing.assert_allclose(p, -0.1 * sign, rtol=1e-6)


def test_beta_near_one_keeps_the_bias_correction():
    p = np.zeros(1, "float32")
    Adam(0.1, beta2=1 - 1e-10, eps_hat=False).update([p], [np.ones(1, "float32")])
    np.testing.assert_allclose(p, -0.1, rtol=1e-3)
