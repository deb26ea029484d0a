"""Layers of the book: same function, exact way there and back, clear refusals."""

import numpy as np
import pytest
from interop_helpers import (
    D,
    H,
    assert_near,
    assert_same_params,
    cell_layer,
    classic,
    draw,
    lstmp,
)

from rnn_xp import Bidirectional, Rnnlm, Stack
from rnn_xp.errors import CheckpointError, ConversionError, ShapeError
from rnn_xp.interop.dlfs2 import read_pickle_arrays, rnnlm_weights, save_rnnlm_pickle
from rnn_xp.interop.dlfs2_weights import from_dlfs2, to_dlfs2

KINDS = ("rnn", "lstm", "gru-before")


def sigmoid(x):
    return 1.0 / (1.0 + np.exp(-x))


def book_gru(Wx, Wh, b, x, h):
    """``GRU.forward`` of ``common/time_layers.py``, from its equations."""
    Wxz, Wxr, Wxh = np.split(Wx, 3, axis=1)
    Whz, Whr, Whh = np.split(Wh, 3, axis=1)
    bz, br, bh = np.split(b, 3)
    z = sigmoid(x @ Wxz + h @ Whz + bz)
    r = sigmoid(x @ Wxr + h @ Whr + br)
    new = np.tanh(x @ Wxh + (r * h) @ Whh + bh)
    return (1 - z) * h + z * new


def test_the_books_gru_computes_the_same():
    params = [draw(D, 3 * H), draw(H, 3 * H), draw(3 * H)]
    x, h, expected = draw(2, 4, D), np.zeros((2, H)), []
    for t in range(4):
        h = book_gru(*params, x[:, t], h)
        expected.append(h)
    assert_near(from_dlfs2(params).forward(x), np.stack(expected, axis=1), "float64")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kind", KINDS)
def test_weights_come_back_bit_for_bit(kind, dtype):
    one, two = (classic(kind, dtype=dtype, seed=k) for k in (0, 1))
    stack, both = Stack([one, classic(kind, D=H, dtype=dtype)]), Bidirectional(one, two)
    assert_same_params(from_dlfs2(to_dlfs2(one)), one)
    assert_same_params(from_dlfs2(to_dlfs2(stack)), stack)
    assert_same_params(from_dlfs2(to_dlfs2(both), bidirectional=True), both)
    for given, wanted in zip(to_dlfs2(from_dlfs2(to_dlfs2(stack))), to_dlfs2(stack), strict=True):
        np.testing.assert_array_equal(given, wanted, strict=True)


REFUSED = {
    "gru": (lambda: classic("gru"), "resets after the recurrent product.*cannot be converted"),
    "relu": (lambda: cell_layer("rnn", activation="relu"), "have tanh and sigmoid"),
    "projection": (lstmp, "no peepholes, projection"),
    "merge": (lambda: Bidirectional(classic("rnn"), classic("rnn"), "sum"), "concatenates"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_the_book_does_not_have_is_refused_with_the_reason(case):
    make, reason = REFUSED[case]
    with pytest.raises(ConversionError, match=reason):
        to_dlfs2(make())


def test_wrong_lists_are_named():
    with pytest.raises(ConversionError, match="got 2 arrays, expected Wx, Wh and b"):
        from_dlfs2(to_dlfs2(classic("rnn"))[:2])
    with pytest.raises(ConversionError, match="of both directions"):
        from_dlfs2(to_dlfs2(classic("rnn")), bidirectional=True)
    with pytest.raises(ShapeError, match="no recurrent matrix"):
        from_dlfs2([draw(D, 10), draw(H, 10), draw(10)])


@pytest.mark.parametrize("cell", ["rnn", "lstm"])
def test_a_float32_pickle_is_exact(tmp_path, cell):
    model = Rnnlm(11, 4, 5, cell=cell)
    config, path = model.config.to_json(), tmp_path / "model.pkl"
    save_rnnlm_pickle(path, model.named_parameters, config, dtype="float32")
    back = rnnlm_weights(read_pickle_arrays(path), str(path))
    for name, array in model.named_parameters.items():
        np.testing.assert_array_equal(back.parameters[name], array, strict=True)
    with pytest.raises(CheckpointError, match="dtype = 'float64', expected 'float16' or 'float32'"):
        save_rnnlm_pickle(path, model.named_parameters, config, dtype="float64")
