"""Weights of the book: recognised by shape, brought into our gate order, and back again."""

import hashlib
import pickle
from pathlib import Path

import numpy as np
import pytest

from rnn_xp.errors import CheckpointError, ShapeError
from rnn_xp.interop.dlfs2 import (
    BookWeights,
    gates_from_book,
    gates_to_book,
    read_pickle_arrays,
    rnnlm_weights,
    save_rnnlm_pickle,
)

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
V, D, H = 11, 4, 5


def book_arrays(model: str, dtype=np.float16) -> list:
    """Random weights in the book's order."""
    rng = np.random.default_rng(0)

    def draw(*shape):
        return rng.standard_normal(shape).astype(dtype)

    if model == "SimpleRnnlm":
        return [draw(V, D), draw(D, H), draw(H, H), draw(H), draw(H, V), draw(V)]
    if model == "Rnnlm":
        return [draw(V, D), draw(D, 4 * H), draw(H, 4 * H), draw(4 * H), draw(H, V), draw(V)]
    embed = draw(V, H)
    lstms = [draw(*s) for _ in range(2) for s in ((H, 4 * H), (H, 4 * H), (4 * H,))]
    affine = {"BetterRnnlm": [embed.T], "BetterRnnlm, 8": [], "untied": [draw(H, V)]}[model]
    return [embed, *lstms, *affine, draw(V)]


def config(cell="lstm", embed=D, layers=1, tied=False):
    return {
        "cell": cell,
        "vocab_size": V,
        "embed": embed,
        "hidden": H,
        "layers": layers,
        "tied": tied,
    }


MODELS = {
    "SimpleRnnlm": config("rnn"),
    "Rnnlm": config(),
    "BetterRnnlm": config(embed=H, layers=2, tied=True),
    "BetterRnnlm, 8": config(embed=H, layers=2, tied=True),
    "untied": config(embed=H, layers=2),
}


# --------------------------------------------------------------------------------- gates


def test_gate_blocks_go_from_f_g_i_o_to_i_f_g_o_and_back():
    book = np.array([*"ffggiioo"])
    np.testing.assert_array_equal(gates_from_book(book), [*"iiffggoo"])
    np.testing.assert_array_equal(gates_to_book(np.array([*"iiffggoo"])), book)


@pytest.mark.parametrize("shape", [(4,), (12,), (3, 8), (2, 3, 20)])
def test_gate_orders_round_trip(shape):
    array = np.random.default_rng(0).standard_normal(shape)
    assert gates_from_book(array).shape == shape
    np.testing.assert_array_equal(gates_to_book(gates_from_book(array)), array)
    np.testing.assert_array_equal(gates_from_book(gates_to_book(array)), array)


def test_gates_need_four_blocks():
    with pytest.raises(ShapeError, match=r"\(3, 6\), expected a last axis of 4H"):
        gates_from_book(np.zeros((3, 6)))


# --------------------------------------------------------------------------- recognising


@pytest.mark.parametrize("model", MODELS)
def test_models_are_recognised_by_count_and_shape(model):
    arrays = book_arrays(model)
    weights = rnnlm_weights(arrays, "x.pkl")
    assert isinstance(weights, BookWeights)
    assert weights.config == MODELS[model]
    layers, tied = weights.config["layers"], weights.config["tied"]
    names = [f"layers.{k}.{name}" for k in range(layers) for name in ("Wx", "Wh", "b")]
    expected = ["embedding.W", *names, *([] if tied else ["output.W"]), "output.b"]
    assert list(weights.parameters) == expected
    for array in weights.parameters.values():
        assert array.dtype == np.float32
        assert array.flags.c_contiguous
    np.testing.assert_array_equal(weights.parameters["embedding.W"], arrays[0])
    np.testing.assert_array_equal(weights.parameters["output.b"], arrays[-1])
    for name, array in zip(names, arrays[1:], strict=False):
        ours = weights.parameters[name]
        if model == "SimpleRnnlm":
            np.testing.assert_array_equal(ours, array)
        else:
            f, g, i, o = np.split(array, 4, axis=-1)
            np.testing.assert_array_equal(ours, np.concatenate([i, f, g, o], axis=-1))


def test_what_is_not_a_model_is_an_error_that_lists_the_shapes():
    good = book_arrays("Rnnlm")
    for wrong in (
        [],
        good[:3],
        good[:5] + good[4:],  # seven arrays
        good[1:] + good[:1],
        [a.T for a in good],
        [*good[:3], good[3][:-1], *good[4:]],
        [*good[:5], good[5][:-1]],
        [a.reshape(-1) for a in good],
        [a[:0] for a in good],
        [*good[:4], good[5]],  # no output matrix although D and H differ
    ):
        with pytest.raises(CheckpointError, match=r"x\.pkl: not a language model") as caught:
            rnnlm_weights(wrong, "x.pkl")
        assert ", ".join(str(a.shape) for a in wrong) in str(caught.value)
        assert "embed_W (V, D)" in str(caught.value)


def test_integer_and_non_finite_weights_are_errors():
    arrays = book_arrays("Rnnlm")
    with pytest.raises(CheckpointError, match="arrays of float16, int64, expected floating"):
        rnnlm_weights([*arrays[:5], np.zeros(V, dtype=np.int64)], "x.pkl")
    for value, dtype in ((np.nan, np.float16), (np.inf, np.float16), (1e300, np.float64)):
        arrays[2] = np.full((H, 4 * H), value, dtype=dtype)
        with pytest.raises(CheckpointError, match=r"x\.pkl: layers\.0\.Wh holds numbers that"):
            rnnlm_weights(arrays, "x.pkl")


# --------------------------------------------------------------------------------- files


def test_only_lists_of_arrays_are_weight_files(tmp_path):
    path = tmp_path / "x.pkl"
    for value, match in (
        ({"W": np.zeros(2)}, r"x\.pkl: holds a dict, expected a list"),
        (np.zeros(2), "holds a ndarray, expected a list"),
        ([np.zeros(2), [np.zeros(2)]], "entry 1 of the list is a list, expected a NumPy array"),
        ([None], "entry 0 of the list is a NoneType"),
    ):
        path.write_bytes(pickle.dumps(value))
        with pytest.raises(CheckpointError, match=match):
            read_pickle_arrays(path)


@pytest.mark.parametrize("model", MODELS)
def test_the_books_files_survive_a_round_trip(tmp_path, model):
    arrays = book_arrays(model)
    path = tmp_path / "x.pkl"
    path.write_bytes(pickle.dumps(arrays))
    weights = rnnlm_weights(read_pickle_arrays(path), "x.pkl")
    back = tmp_path / "back.pkl"
    save_rnnlm_pickle(back, weights.parameters, weights.config)
    expected = arrays if model != "BetterRnnlm, 8" else [*arrays[:-1], arrays[0].T, arrays[-1]]
    with back.open("rb") as file:
        saved = pickle.load(file)  # as the book's load_params does
    assert [a.dtype for a in saved] == [np.float16] * len(expected)
    for got, array in zip(saved, expected, strict=True):
        np.testing.assert_array_equal(got, array)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["back.pkl", "x.pkl"]


def test_saving_what_the_book_cannot_hold_is_an_error_and_leaves_the_old_file(tmp_path):
    weights = rnnlm_weights(book_arrays("Rnnlm"), "x.pkl")
    path = tmp_path / "x.pkl"
    path.write_bytes(b"old")
    gru = weights.config | {"cell": "gru"}
    with pytest.raises(CheckpointError, match=r"x\.pkl: the book has no language model with cell"):
        save_rnnlm_pickle(path, weights.parameters, gru)
    with pytest.raises(CheckpointError, match=r"got parameters .*, expected .*layers\.1\.Wx"):
        save_rnnlm_pickle(path, weights.parameters, weights.config | {"layers": 2})
    for value in (1e5, np.nan):
        parameters = weights.parameters | {"output.b": np.full(V, value, dtype=np.float32)}
        with pytest.raises(CheckpointError, match=r"output\.b holds numbers beyond float16"):
            save_rnnlm_pickle(path, parameters, weights.config)
    assert path.read_bytes() == b"old"
    with pytest.raises(CheckpointError, match=r"x\.pkl"):
        save_rnnlm_pickle(tmp_path / "no" / "x.pkl", weights.parameters, weights.config)


def test_arrays_of_another_backend_can_be_saved(tmp_path):
    xp = pytest.importorskip("array_api_strict", reason="array-api-strict is not installed")
    weights = rnnlm_weights(book_arrays("Rnnlm"), "x.pkl")
    device = xp.Device("device1")
    parameters = {n: xp.asarray(a, device=device) for n, a in weights.parameters.items()}
    save_rnnlm_pickle(tmp_path / "x.pkl", parameters, weights.config)
    for got, array in zip(
        read_pickle_arrays(tmp_path / "x.pkl"), book_arrays("Rnnlm"), strict=True
    ):
        np.testing.assert_array_equal(got, array)


# --------------------------------------------------------------------- the book's own file


def data_file(name: str) -> Path:
    path = DATA / name
    if not path.exists():
        pytest.skip(f"{name} is not in ../shared/data")
    sums = dict(reversed(line.split()) for line in (DATA / "SHA256SUMS").read_text().splitlines())
    assert hashlib.sha256(path.read_bytes()).hexdigest() == sums[f"./{name}"]
    return path


def words(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").replace("\n", "<eos>").split()


def sigmoid(a):
    return 1 / (1 + np.exp(-a))


def losses(embed_W, Wx, Wh, b, affine_W, affine_b, order: str, xs, ts):
    """Mean loss of each (N, T) block by a plain LSTM whose gate blocks are in `order`."""
    N, H = xs[0].shape[0], Wh.shape[0]
    h, c = np.zeros((N, H)), np.zeros((N, H))
    means = []
    for x, t in zip(xs, ts, strict=True):
        hs = []
        for step in range(x.shape[1]):
            blocks = np.split(embed_W[x[:, step]] @ Wx + h @ Wh + b, 4, axis=1)
            a = dict(zip(order, blocks, strict=True))
            c = sigmoid(a["f"]) * c + sigmoid(a["i"]) * np.tanh(a["g"])
            h = sigmoid(a["o"]) * np.tanh(c)
            hs.append(h)
        logits = np.stack(hs, axis=1) @ affine_W + affine_b
        logits -= logits.max(axis=2, keepdims=True)
        log_p = logits - np.log(np.exp(logits).sum(axis=2, keepdims=True))
        means.append(-np.take_along_axis(log_p, t[:, :, None], axis=2).mean())
    return np.array(means)


def test_the_books_rnnlm_gives_the_same_losses_in_both_gate_orders():
    """The first blocks of the book's own evaluation: batch 10, time 35, state carried on.

    The order matters: with the blocks left as they are, the loss is far off. The mean of
    the first six blocks is near log(136.08), the perplexity of the whole file.
    """
    arrays = [a.astype(np.float64) for a in read_pickle_arrays(data_file("dlfs2/Rnnlm.pkl"))]
    ids = {}
    for word in words(data_file("ptb/ptb.train.txt")):
        ids.setdefault(word, len(ids))
    corpus = np.array([ids[word] for word in words(data_file("ptb/ptb.test.txt"))])
    offsets = np.arange(10) * ((len(corpus) - 1) // 10)
    places = [offsets[:, None] + np.arange(35 * k, 35 * (k + 1)) for k in range(6)]
    xs, ts = [corpus[p] for p in places], [corpus[p + 1] for p in places]
    parameters = rnnlm_weights(arrays, "Rnnlm.pkl").parameters

    book = losses(*arrays, "fgio", xs, ts)
    ours = losses(*[p.astype(np.float64) for p in parameters.values()], "ifgo", xs, ts)
    wrong = losses(*arrays, "ifgo", xs, ts)
    np.testing.assert_allclose(ours, book, rtol=1e-6)
    assert np.exp(book.mean()) == pytest.approx(136.08, rel=0.15)
    assert wrong.mean() > book.mean() + 1


def test_the_books_seq2seq_file_is_read_but_is_no_language_model():
    arrays = read_pickle_arrays(data_file("dlfs2/AttentionSeq2seq.pkl"))
    assert [a.shape for a in arrays[:4]] == [(59, 16), (16, 1024), (256, 1024), (1024,)]
    with pytest.raises(CheckpointError, match="10 arrays, not 3L"):
        rnnlm_weights(arrays, "AttentionSeq2seq.pkl")
