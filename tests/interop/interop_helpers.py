"""What the tests of all formats share: optional packages, layers with random weights."""

import importlib.util
import itertools
import os

import backends
import numpy as np
import pytest

from rnn_xp import Bidirectional, Stack, TimeCell, TimeGRU, TimeLSTM, TimeRNN
from rnn_xp.cells import GRUCell, LSTMCell, RNNCell
from rnn_xp.cells.lstmp import LSTMPCell

D, H, P = 3, 5, 2


def optional(name: str):
    """The module `name`; without it the test is skipped, or fails where it is required."""
    if importlib.util.find_spec(name) is None and name.split(".")[0] in backends.required():
        pytest.fail(f"RNN_XP_TEST_REQUIRE asks for {name}, which is not installed")
    return pytest.importorskip(name, reason=f"{name} is not installed")


def torch_module():
    torch = optional("torch")
    torch.set_num_threads(1)
    return torch


def keras_module():
    os.environ.setdefault("KERAS_BACKEND", "torch")
    torch_module()
    return optional("keras")


def draw(*shape, seed=0, dtype="float64"):
    return np.random.default_rng([seed, *shape]).standard_normal(shape).astype(dtype)


def classic(kind: str, D=D, H=H, dtype="float64", seed=0, **options):
    """One of the classic layers with random weights."""
    G = {"rnn": 1, "lstm": 4, "gru": 3, "gru-before": 3}[kind]
    b_shape = (2, 3 * H) if kind == "gru" else (G * H,)
    weights = [draw(*s, seed=seed, dtype=dtype) for s in ((D, G * H), (H, G * H), b_shape)]
    return {"rnn": TimeRNN, "lstm": TimeLSTM}.get(kind, TimeGRU)(*weights, **options)


def lstmp(D=D, H=H, P=P, dtype="float64", peepholes=False, **options):
    Wx, Wh, b, p, Wp = (
        draw(*s, dtype=dtype) for s in ((D, 4 * H), (P or H, 4 * H), (4 * H,), (3, H), (H, P or 1))
    )
    options |= {"peepholes": p} if peepholes else {}
    return TimeCell(LSTMPCell(Wx, Wh, b, Wp=Wp if P else None, **options))


def cell_layer(kind: str, dtype="float64", **options):
    """`TimeCell` of a classic cell with options such as activations."""
    cell = {"rnn": RNNCell, "lstm": LSTMCell}.get(kind, GRUCell)
    return TimeCell(cell(*classic(kind, dtype=dtype).params, **options))


def nets(kinds=("rnn", "lstm", "gru"), dtype="float64", merge="concat"):
    """Named nets: each kind in one and two layers, one and two directions."""
    found = {}
    for kind, layers, directions in itertools.product(kinds, (1, 2), (1, 2)):
        levels, width = [], D
        for k in range(layers):
            one = [classic(kind, D=width, dtype=dtype, seed=10 * k + j) for j in range(directions)]
            levels.append(one[0] if directions == 1 else Bidirectional(*one, merge))
            width = H * directions if merge == "concat" else H
        found[f"{kind}-{layers}-{directions}"] = levels[0] if layers == 1 else Stack(levels)
    return found


def assert_same_params(given, expected):
    """Bit for bit, in the same order and dtype."""
    assert len(given.params) == len(expected.params)
    for a, b in zip(given.params, expected.params, strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a, b, strict=True)


def assert_same_arrays(given, expected):
    assert list(given) == list(expected)
    for name in given:
        np.testing.assert_array_equal(given[name], expected[name], strict=True)


def assert_near(given, expected, dtype):
    """Relative to the largest reference entry."""
    expected = np.asarray(expected)
    assert given.shape == expected.shape
    tolerance = 1e-6 if str(dtype) == "float32" else 1e-12
    assert np.abs(given - expected).max() <= tolerance * np.abs(expected).max()


def any_floats(rng, *shape, dtype="float32", finite=False):
    """Bell curve, or random bits: subnormal, huge, infinite, not a number, zeros of both signs."""
    bits = np.dtype(dtype).str.replace("f", "u")
    wild = rng.integers(0, np.iinfo(bits).max, shape, dtype=bits, endpoint=True).view(dtype)
    wild = np.where(np.isfinite(wild), wild, 0).astype(dtype) if finite else wild
    tame = rng.standard_normal(shape).astype(dtype)
    zeros = np.copysign(np.zeros(shape, dtype), tame)
    return np.choose(rng.choice(3, shape, p=(0.6, 0.3, 0.1)), (tame, wild, zeros))


def bits_of(array):
    """The bits of floats, which unlike their values tell -0.0 from 0.0."""
    array = np.ascontiguousarray(array)
    return array.view(array.dtype.str.replace("f", "u"))


def assert_same_bits(given, expected, any_nan=False):
    """Two dicts or lists of arrays; with `any_nan`, not a number equals any other such."""
    if isinstance(expected, dict):
        assert list(given) == list(expected)
        given, expected = given.values(), expected.values()
    for one, other in zip(given, expected, strict=True):
        one, other = np.asarray(one), np.asarray(other)
        assert (one.shape, one.dtype) == (other.shape, other.dtype)
        differ = bits_of(one) != bits_of(other)
        if any_nan:
            differ &= ~(np.isnan(one) & np.isnan(other))
        assert not differ.any(), (one[differ][:5], other[differ][:5])


def changed(layer, rng, share=0.3):
    """Change some of a layer's weights in place, as a training step does, or altogether."""
    for param in layer.params:
        dtype, shape = param.dtype, param.shape
        step = param + rng.standard_normal(shape).astype(dtype) * dtype.type(1e-3)
        new = np.where(rng.random(shape) < 0.5, step, any_floats(rng, *shape, dtype=dtype))
        param[...] = np.where(rng.random(shape) < share, new, param)
