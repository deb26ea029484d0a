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
