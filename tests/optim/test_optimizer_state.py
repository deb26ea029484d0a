"""What an optimiser keeps: saved, loaded, named, refused."""

import json

import numpy as np
import pytest
from optimizer_problems import NAMES, SHAPES, assert_same_bits, problem, run

from rnn_xp.backend import get_backend, to_host
from rnn_xp.errors import DTypeError, ShapeError
from rnn_xp.optim import SGD, Adam, Momentum, get_optimizer


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
