"""CuPy's updates, norm, clipping and dropout masks against the generic ones and the host's."""

import math

import numpy as np
import pytest

from rnn_xp.backend import to_host
from rnn_xp.kernels import GENERIC
from rnn_xp.rng import DropoutKey, draw_dropout_mask

UPDATES = [
    ("sgd_update", 0, {"lr": 0.1}),
    ("sgd_update", 0, {"lr": 0.1, "weight_decay": 0.01}),
    ("momentum_update", 1, {"lr": 0.1, "momentum": 0.9}),
    ("nesterov_update", 1, {"lr": 0.1, "momentum": 0.9}),
    ("adagrad_update", 1, {"lr": 0.1}),
    ("rmsprop_update", 1, {"lr": 0.1, "decay": 0.95, "eps": 1e-8}),
    ("adam_update", 2, {"lr": 0.1}),
    ("adam_update", 2, {"lr": 0.1, "beta1": 0.0, "weight_decay": 0.1}),
    ("adam_update", 2, {"lr": 0.1, "weight_decay": 0.1, "decoupled": True, "eps_hat": False}),
]
# Relative to the largest entry of the generic result.
TOLERANCE = {"float32": 1e-6, "float64": 1e-12}
# One thread, a block and a rest, more elements than the largest grid has threads.
SIZES = [(), (0,), (1,), (7, 37), (262_145,)]


def draw(name, states, shape, dtype):
    """Parameter, gradient, and what the update keeps; running squares are not negative."""
    rng = np.random.default_rng(3)
    p, g = (np.asarray(rng.standard_normal(shape), dtype) for _ in range(2))
    held = [p, g, *(np.asarray(rng.random(shape), dtype) for _ in range(states))]
    return [*held, np.asarray(2.0, dtype)] if name == "adam_update" else held


def close(got, expected, dtype):
    got = to_host(got)
    assert got.dtype == dtype
    assert got.shape == expected.shape
    bound = TOLERANCE[dtype] * max(np.abs(expected).max(initial=0.0), 1e-30)
    np.testing.assert_allclose(got, expected, rtol=0, atol=bound)


@pytest.mark.parametrize("shape", SIZES, ids=str)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("name", "states", "settings"), UPDATES)
@pytest.mark.parametrize("on_device", [False, True])
def test_an_update_is_the_generic_one(cuda_be, name, states, settings, dtype, shape, on_device):
    theirs = draw(name, states, shape, dtype)
    ours = [cuda_be.asarray(a) for a in theirs]
    scale, ok = np.asarray(0.3, dtype), np.asarray(True)
    given = [cuda_be.asarray(a) for a in (scale, ok)] if on_device else [0.3, True]
    for _ in range(2):  # twice: the counter of the blocks is back at zero
        getattr(GENERIC, name)(*theirs, scale=scale, ok=ok, **settings)
        getattr(cuda_be.kernels(dtype), name)(*ours, scale=given[0], ok=given[1], **settings)
    for a, b in zip(ours, theirs, strict=True):
        close(a, b, dtype)


@pytest.mark.parametrize(("name", "states", "settings"), UPDATES)
@pytest.mark.parametrize("on_device", [False, True])
def test_not_ok_changes_no_bit(cuda_be, name, states, settings, on_device):
    before = draw(name, states, (300,), "float32")
    before[0][3] = -0.0
    before[1][:3] = [np.nan, np.inf, 3e38]
    held = [cuda_be.asarray(a) for a in before]
    ok = cuda_be.asarray(np.asarray(False)) if on_device else False
    getattr(cuda_be.kernels("float32"), name)(*held, scale=math.nan, ok=ok, **settings)
    assert [to_host(a).tobytes() for a in held] == [a.tobytes() for a in before]


@pytest.mark.parametrize(("name", "states", "settings"), UPDATES)
def test_other_layouts_take_the_generic_form(cuda_be, name, states, settings):
    theirs = draw(name, states, (6, 5), "float64")
    ours = [cuda_be.asarray(a.T).T if a.shape else cuda_be.asarray(a) for a in theirs]
    getattr(GENERIC, name)(*theirs, **settings)
    getattr(cuda_be.kernels("float64"), name)(*ours, **settings)
    for a, b in zip(ours, theirs, strict=True):
        close(a, b, "float64")


class TestNorm:
    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    @pytest.mark.parametrize("shapes", [[(1,)], [(0,)], [(7, 37), (), (0,), (262_145,)]], ids=str)
    def test_it_is_the_norm_every_time_with_the_same_bits(self, cuda_be, shapes, dtype):
        rng = np.random.default_rng(0)
        host = [np.asarray(rng.standard_normal(s), dtype) for s in shapes]
        held = [cuda_be.asarray(a) for a in host]
        norms = [cuda_be.kernels(dtype).global_norm(held) for _ in range(2)]
        exact = math.sqrt(math.fsum(float(x) ** 2 for a in host for x in a.ravel()))
        close(norms[0], np.asarray(exact, dtype), dtype)
        assert to_host(norms[0]).tobytes() == to_host(norms[1]).tobytes()

    def test_an_array_of_another_layout(self, cuda_be):
        host = np.arange(12.0).reshape(3, 4)
        norm = cuda_be.kernels("float64").global_norm([cuda_be.asarray(host).T])
        close(norm, np.asarray(math.sqrt(506.0)), "float64")

    @pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
    @pytest.mark.parametrize("place", [0, 1])
    def test_what_is_not_finite_comes_out(self, cuda_be, bad, place):
        host = [np.ones(300, "float32") for _ in range(2)]
        host[place][299] = bad
        norm = to_host(cuda_be.kernels("float32").global_norm([cuda_be.asarray(a) for a in host]))
        assert np.isnan(norm) if np.isnan(bad) else norm == np.inf

    @pytest.mark.parametrize(("value", "dtype"), [(1.9e19, "float32"), (1e300, "float64")])
    def test_a_sum_that_overflows_is_infinite(self, cuda_be, value, dtype):
        kernels = cuda_be.kernels(dtype)
        assert to_host(kernels.global_norm([cuda_be.asarray(np.asarray([value], dtype))])) == np.inf
        below = kernels.global_norm([cuda_be.asarray(np.asarray([1.8e19], "float32"))])
        assert to_host(below) == np.float32(1.8e19)

    def test_no_arrays(self, cuda_be):
        with pytest.raises(ValueError, match="at least one array"):
            cuda_be.kernels("float32").global_norm([])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("norm", [0.0, 0.2, 0.25, 7.7, 1e30, np.inf, np.nan])
@pytest.mark.parametrize("loss", [None, 2.0, np.nan, np.inf])
@pytest.mark.parametrize("max_norm", [None, 0.25])
def test_clipping_is_the_generic_one(cuda_be, norm, loss, max_norm, dtype):
    host = [a if a is None else np.asarray(a, dtype) for a in (norm, loss)]
    given = [a if a is None else cuda_be.asarray(a) for a in host]
    scale, ok = cuda_be.kernels(dtype).clip_coefficient(given[0], max_norm, given[1])
    expected, fine = GENERIC.clip_coefficient(host[0], max_norm, host[1])
    assert bool(to_host(ok)) is bool(fine)
    if max_norm is None:
        assert scale == 1.0
    else:
        close(scale, np.asarray(expected), dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("ok", [False, True])
@pytest.mark.parametrize("scale", [1.0, 2.0, 2.0**23, 2.0**24])
@pytest.mark.parametrize("good", [0.0, 1.0, 2.0])
def test_the_loss_scale_is_the_generic_one(cuda_be, scale, good, ok, dtype):
    host = [np.asarray(scale, dtype), np.asarray(good, dtype), np.asarray(ok)]
    given = [cuda_be.asarray(a) for a in host]
    bounds = {"interval": 3, "least": 1.0, "most": 2.0**24}
    ours = cuda_be.kernels(dtype).loss_scale_update(*given, **bounds)
    for a, b in zip(ours, GENERIC.loss_scale_update(*host, **bounds), strict=True):
        assert (a.dtype, a.shape) == (dtype, ())
        assert to_host(a) == b
    assert [to_host(a) for a in given] == host


@pytest.mark.parametrize("shape", [(1,), (0, 3), (3, 5), (1, 2, 8), (4, 3, 700)], ids=str)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("ratio", [0.0, 1e-6, 0.3, 0.5, 0.99])
@pytest.mark.parametrize(
    "key", [DropoutKey(0, 0, 0), DropoutKey(2**64 - 1, 2**63 + 5, 7), DropoutKey(11, 2, 2**40)]
)
def test_a_mask_is_the_host_s_bit_for_bit(cuda_be, shape, dtype, ratio, key):
    like = cuda_be.zeros((1,), dtype)
    mask = cuda_be.kernels(dtype).dropout_mask(shape, ratio, key, like)
    expected = draw_dropout_mask(shape, ratio, key).astype(dtype)
    assert mask.dtype == dtype
    assert to_host(mask).shape == shape
    assert to_host(mask).tobytes() == expected.tobytes()
