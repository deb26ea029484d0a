"""What all optimisers share: scale, norms that are not finite, rates, refusals."""

import math

import numpy as np
import pytest
from optimizer_problems import NAMES, assert_same, assert_same_bits, problem, run

from rnn_xp.backend import get_backend, to_host
from rnn_xp.errors import DTypeError, MixedBackendError, ShapeError
from rnn_xp.optim import (
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
