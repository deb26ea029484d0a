"""Optimisers against the book's formulas, PyTorch's optimisers, and themselves."""

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnn_xp.backend import get_backend, to_host
from rnn_xp.errors import DTypeError, MixedBackendError, ShapeError
from rnn_xp.optim import (
    OPTIMIZERS,
    SGD,
    AdaGrad,
    Adam,
    AdamW,
    Momentum,
    Nesterov,
    RMSprop,
    clip_coefficient,
    get_optimizer,
    global_norm,
)

NAMES = tuple(OPTIMIZERS)
SHAPES = [(3, 4), (5,), ()]
STEPS = 20


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


def problem(dtype="float64", steps=STEPS, shapes=SHAPES, seed=0):
    """Parameters, and gradients for each step; some gradients are zero, some tiny."""
    rng = np.random.default_rng(seed)
    params = [np.asarray(rng.standard_normal(s), dtype=dtype) for s in shapes]
    size = [np.asarray(rng.choice([0.0, 1e-6, 1.0, 30.0], size=s)) for s in shapes]
    grads = [
        [np.asarray(k * rng.standard_normal(k.shape), dtype=dtype) for k in size]
        for _ in range(steps)
    ]
    return params, grads


def run(optimizer, backend, params, grads, **kwargs):
    held = [backend.asarray(p) for p in params]
    for step in grads:
        optimizer.update(held, [backend.asarray(g) for g in step], **kwargs)
    return [to_host(p) for p in held], held


def assert_same(got, expected, rtol=1e-12):
    for a, b in zip(got, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol * np.max(np.abs(b), initial=1.0))


def assert_same_bits(got, expected):
    for a, b in zip(got, expected, strict=True):
        assert a.dtype == b.dtype
        assert a.tobytes() == b.tobytes()


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


@pytest.mark.parametrize("name", NAMES)
def test_one_flat_buffer_is_a_list_of_views(name):
    params, grads = problem(shapes=[(3, 4), (5,)])
    numpy = get_backend("numpy")
    separate, _ = run(get_optimizer(name), numpy, params, grads)
    flat = [np.concatenate([p.ravel() for p in params])]
    flat_grads = [[np.concatenate([g.ravel() for g in step])] for step in grads]
    together, _ = run(get_optimizer(name), numpy, flat, flat_grads)
    assert together[0].tobytes() == b"".join(p.tobytes() for p in separate)


@pytest.mark.parametrize("name", NAMES)
def test_gradients_are_only_read(name, backend):
    params, grads = problem(steps=1)
    held = [backend.asarray(g) for g in grads[0]]
    optimizer = get_optimizer(name)
    kept = [to_host(g).copy() for g in held]
    optimizer.update([backend.asarray(p) for p in params], held, scale=0.5)
    assert_same_bits([to_host(g) for g in held], kept)
    if backend.name == "numpy":
        for g in held:
            g.flags.writeable = False
        optimizer.update([backend.asarray(p) for p in params], held, scale=0.5)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("max_norm", [None, 0.25])
def test_a_norm_that_is_not_finite_changes_nothing(name, bad, max_norm, backend):
    params, grads = problem("float32")
    optimizer = get_optimizer(name)
    _, held = run(optimizer, backend, params, grads)
    before = [to_host(a).copy() for a in (*held, *optimizer.state_dict().values())]
    broken = [g.copy() for g in grads[0]]
    broken[0][1, 2] = bad
    uploaded = [backend.asarray(g) for g in broken]
    scale, ok = clip_coefficient(global_norm(uploaded), max_norm)
    optimizer.update(held, uploaded, scale=scale, ok=ok)
    after = [to_host(a) for a in (*held, *optimizer.state_dict().values())]
    assert_same_bits(after, before)
    optimizer.update(held, uploaded, scale=scale, ok=False)
    assert_same_bits([to_host(p) for p in held], before[: len(held)])


@pytest.mark.parametrize("name", NAMES)
def test_scale_is_a_factor_of_the_gradient(name, backend):
    params, grads = problem()
    scale = backend.asarray(np.asarray(0.25))
    ok = backend.asarray(np.asarray(True))
    got, _ = run(get_optimizer(name), backend, params, grads, scale=scale, ok=ok)
    scaled = [[0.25 * g for g in step] for step in grads]
    expected, _ = run(get_optimizer(name), backend, params, scaled)
    assert_same(got, expected)


@pytest.mark.parametrize("name", NAMES)
def test_a_rate_of_zero_changes_no_parameter(name, backend):
    params, grads = problem("float32")
    got, _ = run(get_optimizer(name, lr=0.0), backend, params, grads)
    assert_same_bits(got, params)


@pytest.mark.parametrize("name", NAMES)
def test_a_rate_set_between_updates_counts(name):
    numpy = get_backend("numpy")
    params, grads = problem(steps=1)
    optimizer = get_optimizer(name, lr=5.0)
    optimizer.lr = 0.01
    got, _ = run(optimizer, numpy, params, grads)
    expected, _ = run(get_optimizer(name, lr=0.01), numpy, params, grads)
    assert_same_bits(got, expected)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_saved_state_continues_bit_for_bit(name, dtype, backend):
    params, grads = problem(dtype)
    whole, _ = run(get_optimizer(name), backend, params, grads)

    first = get_optimizer(name)
    half, _ = run(first, backend, params, grads[:7])
    saved = {key: to_host(a).copy() for key, a in first.state_dict().items()}
    settings_ = json.loads(json.dumps(first.hyperparameters))
    second = get_optimizer(first.name, **settings_)
    second.load_state_dict(saved)
    assert set(second.state_dict()) == set(saved)
    resumed, _ = run(second, backend, half, grads[7:])
    assert_same_bits(resumed, whole)


def test_a_loaded_state_is_a_copy(backend):
    params, grads = problem()
    first, second = Adam(), Adam()
    _, held = run(first, backend, params, grads)
    kept = {key: to_host(a).copy() for key, a in first.state_dict().items()}
    run(second, backend, params, grads[:1])
    second.load_state_dict(first.state_dict())
    second.update(held, [backend.asarray(g) for g in grads[0]])
    assert_same_bits([to_host(a) for a in first.state_dict().values()], kept.values())


def test_a_state_loaded_before_the_first_update_is_a_copy(backend):
    """The optimiser that it came from goes on, in place, before the other one starts."""
    params, grads = problem()
    whole, _ = run(Adam(), backend, params, grads)
    first, second = Adam(), Adam()
    live, held = run(first, backend, params, grads[:7])
    half = [p.copy() for p in live]
    second.load_state_dict(first.state_dict())
    first.update(held, [backend.asarray(g) for g in grads[7]])
    resumed, _ = run(second, backend, half, grads[7:])
    assert_same_bits(resumed, whole)


@pytest.mark.parametrize("name", NAMES)
def test_a_state_saved_before_the_first_update_is_a_fresh_start(name):
    numpy = get_backend("numpy")
    params, grads = problem()
    whole, _ = run(get_optimizer(name), numpy, params, grads)
    second = get_optimizer(name)
    second.load_state_dict(get_optimizer(name).state_dict())
    assert_same_bits(run(second, numpy, params, grads)[0], whole)
    second.load_state_dict({})
    assert_same_bits(run(second, numpy, params, grads)[0], whole)


def test_state_names_and_shapes(backend):
    params, grads = problem(steps=3)
    optimizer = Adam()
    assert optimizer.state_dict() == {}
    run(optimizer, backend, params, grads)
    shapes = {key: tuple(a.shape) for key, a in optimizer.state_dict().items()}
    assert shapes == {
        f"{i}.{key}": shape if key != "t" else ()
        for i, shape in enumerate(SHAPES)
        for key in ("m", "v", "t")
    }
    assert float(to_host(optimizer.state_dict()["2.t"])) == 3.0


def test_a_state_of_something_else_is_refused():
    numpy = get_backend("numpy")
    params, grads = problem(steps=1)
    adam, momentum = Adam(), Momentum()
    run(adam, numpy, params, grads)
    run(momentum, numpy, params, grads)
    with pytest.raises(ShapeError, match=r"Momentum.*0\.m.*expected 0\.v"):
        momentum.load_state_dict(adam.state_dict())
    with pytest.raises(ShapeError, match=r"0\.v has shape \(4, 3\)"):
        momentum.load_state_dict({**momentum.state_dict(), "0.v": np.zeros((4, 3))})
    with pytest.raises(DTypeError, match=r"0\.v has dtype float32"):
        momentum.load_state_dict({**momentum.state_dict(), "0.v": np.zeros((3, 4), "float32")})
    late = SGD()
    late.load_state_dict(adam.state_dict())
    with pytest.raises(ShapeError, match="expected \\(none\\)"):
        run(late, numpy, params, grads)


@pytest.mark.parametrize("name", NAMES)
def test_lists_that_do_not_match_are_refused(name):
    params, grads = problem(steps=1)
    optimizer = get_optimizer(name)
    with pytest.raises(ShapeError, match="3 parameters and 2 gradients"):
        optimizer.update(params, grads[0][:2])
    with pytest.raises(ShapeError, match=r"gradient 1 has shape \(5, 1\)"):
        optimizer.update(params, [grads[0][0], grads[0][1][:, None], grads[0][2]])
    with pytest.raises(DTypeError, match="gradient 0 has dtype float32"):
        optimizer.update(params, [g.astype("float32") for g in grads[0]])
    with pytest.raises(ShapeError, match="no parameters"):
        optimizer.update([], [])
    with pytest.raises(DTypeError, match="expected float32 or float64"):
        optimizer.update([np.zeros(2, "float16")], [np.zeros(2, "float16")])


@pytest.mark.parametrize("name", NAMES)
def test_other_parameters_than_before_are_refused(name):
    params, grads = problem(steps=1)
    optimizer = get_optimizer(name)
    optimizer.update(params, grads[0])
    with pytest.raises(ShapeError, match="got 2 parameters, the updates before had 3"):
        optimizer.update(params[:2], grads[0][:2])
    with pytest.raises(ShapeError, match=r"parameter 0 is float64 \(4, 3\).* was float64 \(3, 4\)"):
        optimizer.update([params[0].T, *params[1:]], [grads[0][0].T, *grads[0][1:]])


def test_two_libraries_in_one_call_are_refused():
    strict = get_backend("array_api_strict:device1")
    p = np.zeros(3)
    with pytest.raises(MixedBackendError, match="gradient 0 is a array_api_strict"):
        SGD().update([p], [strict.asarray(p)])
    elsewhere = get_backend("array_api_strict")
    with pytest.raises(MixedBackendError, match="on device"):
        SGD().update([strict.asarray(p)], [elsewhere.asarray(p)])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SGD(-1.0), "lr is -1.0"),
        (lambda: SGD(math.nan), "lr is nan"),
        (lambda: SGD(0.1, weight_decay=-1.0), "weight_decay is -1.0"),
        (lambda: Momentum(momentum=1.0), "momentum is 1.0"),
        (lambda: Nesterov(momentum=-0.1), "momentum is -0.1"),
        (lambda: AdaGrad(eps=0.0), "eps is 0.0"),
        (lambda: RMSprop(decay_rate=1.5), "decay_rate is 1.5"),
        (lambda: Adam(beta1=1.0), "beta1 is 1.0"),
        (lambda: AdamW(beta2=1.0), "beta2 is 1.0"),
        (lambda: get_optimizer("adamax"), "unknown optimizer 'adamax', expected one of sgd, "),
        (lambda: get_optimizer("sgd", momentum=0.9), "no setting 'momentum', expected one of lr"),
    ],
)
def test_settings_that_make_no_sense_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_the_name_is_not_case_sensitive():
    assert type(get_optimizer("AdamW")) is AdamW


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
