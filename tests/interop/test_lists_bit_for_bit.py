"""Lists and files of Keras and of the book come in and go out without a bit lost."""

import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from interop_helpers import D, H, any_floats, assert_same_bits, optional

from rnn_xp.interop import (
    from_dlfs2,
    from_keras,
    read_keras,
    read_pickle_arrays,
    save_keras,
    save_rnnlm_pickle,
    to_dlfs2,
    to_keras,
)
from rnn_xp.interop.dlfs2 import rnnlm_weights

GATES = {"rnn": 1, "lstm": 4, "gru": 3, "gru-before": 3}
LISTS = {
    "kind": st.sampled_from(list(GATES)),
    "layers": st.integers(1, 2),
    "directions": st.integers(1, 2),
    "dtype": st.sampled_from(["float32", "float64"]),
    "seed": st.integers(0, 2**32),
}


def random_list(rng, kind, layers, directions, dtype, bias=True):
    G = GATES[kind]
    b = [((2, 3 * H) if kind == "gru" else (G * H,))] if bias else []
    return [
        any_floats(rng, *shape, dtype=dtype)
        for _ in range(directions)
        for layer in range(layers)
        for shape in ((H if layer else D, G * H), (H, G * H), *b)
    ]


@settings(max_examples=60, deadline=None)
@given(bias=st.booleans(), **LISTS)
def test_the_lists_of_keras(kind, layers, directions, dtype, seed, bias):
    theirs = random_list(np.random.default_rng(seed), kind, layers, directions, dtype, bias)
    options = {"use_bias": bias, "reset_after": kind == "gru"}
    layer = from_keras(theirs, bidirectional=directions == 2, **options)
    assert_same_bits(to_keras(layer, use_bias=bias), theirs)


@settings(max_examples=30, deadline=None)
@given(**LISTS)
def test_the_files_of_keras(tmp_path_factory, kind, layers, directions, dtype, seed):
    optional("h5py")
    theirs = random_list(np.random.default_rng(seed), kind, layers, directions, dtype)
    layer = from_keras(theirs, bidirectional=directions == 2)
    path = tmp_path_factory.getbasetemp() / "bits.weights.h5"
    name = "bidirectional" if directions == 2 else "rnn"
    save_keras(path, {name: layer})
    assert_same_bits(read_keras(path)[name], theirs)


@settings(max_examples=60, deadline=None)
@given(**LISTS)
def test_the_lists_of_the_book(kind, layers, directions, dtype, seed):
    kind = kind.replace("gru", "gru-before") if kind == "gru" else kind
    theirs = random_list(np.random.default_rng(seed), kind, layers, directions, dtype)
    layer = from_dlfs2(theirs, bidirectional=directions == 2)
    assert_same_bits(to_dlfs2(layer), theirs)


@pytest.mark.parametrize("dtype", ["float16", "float32"])
@pytest.mark.parametrize("kind", ["rnn", "lstm"])
def test_the_files_of_the_book(tmp_path, kind, dtype):
    rng, V = np.random.default_rng(0), 7
    recurrent = random_shapes(kind)
    shapes = [(V, D), *recurrent, (H, V), (V,)]
    theirs = [any_floats(rng, *shape, dtype=dtype, finite=True) for shape in shapes]
    (tmp_path / "theirs.pkl").write_bytes(pickle.dumps(theirs))
    read = read_pickle_arrays(tmp_path / "theirs.pkl")
    model = rnnlm_weights(read, "theirs.pkl")
    save_rnnlm_pickle(tmp_path / "ours.pkl", model.parameters, model.config, dtype)
    assert_same_bits(read_pickle_arrays(tmp_path / "ours.pkl"), theirs)


def random_shapes(kind):
    G = GATES[kind]
    return [(D, G * H), (H, G * H), (G * H,), (H, G * H), (H, G * H), (G * H,)]
