"""Generation against what the model itself says the distribution is."""

from importlib import import_module

import numpy as np
import pytest

from rnn_xp.backend import to_host
from rnn_xp.data import ByteTokenizer, CharTokenizer, WordTokenizer
from rnn_xp.errors import DataError, DTypeError, NonFiniteError, ShapeError
from rnn_xp.generate import generate, sample_text, start_ids, stream_text
from rnn_xp.models import Rnnlm

V = 7


def sharp_model(backend="numpy", cell="lstm", layers=2, **settings):
    """A small model whose scores differ enough to matter."""
    model = Rnnlm(V, 5, 6, backend=backend, cell=cell, layers=layers, dtype="float64", **settings)
    rng = np.random.default_rng(3)
    for name, array in model.named_parameters.items():
        model.set_parameter(name, rng.normal(size=tuple(array.shape)))
    return model


def collect(*args, **kwargs):
    rows = list(generate(*args, **kwargs))
    return np.stack(rows, axis=1) if rows else np.zeros((kwargs.get("samples", 1), 0), int)


def softmax(scores):
    e = np.exp(scores - scores.max())
    return e / e.sum()


def chi_square_limit(degrees):
    """A value that chi-square exceeds about once in 100,000 (Wilson and Hilferty, 1931)."""
    z = 4.265
    return degrees * (1 - 2 / (9 * degrees) + z * (2 / (9 * degrees)) ** 0.5) ** 3


@pytest.mark.parametrize("temperature", [1.0, 0.6])
def test_tokens_have_the_distribution_that_predict_gives(temperature):
    model = sharp_model()
    prompt = [1, 4, 2]
    n = 20_000
    (first,) = collect(model, prompt, 1, samples=n, seed=1, temperature=temperature).T
    with model.fresh_state():
        scores = model.predict(np.array([prompt]))[0, -1]
    expected = n * softmax(scores / temperature)
    observed = np.bincount(first, minlength=V)
    assert ((observed - expected) ** 2 / expected).sum() < chi_square_limit(V - 1)


def test_the_second_token_is_drawn_given_the_first():
    model = sharp_model()
    n = 20_000
    tokens = collect(model, [3], 2, samples=n, seed=5)
    for first in np.flatnonzero(np.bincount(tokens[:, 0], minlength=V) > 1000):
        followers = tokens[tokens[:, 0] == first, 1]
        with model.fresh_state():
            scores = model.predict(np.array([[3, first]]))[0, -1]
        expected = len(followers) * softmax(scores)
        observed = np.bincount(followers, minlength=V)
        assert ((observed - expected) ** 2 / expected).sum() < chi_square_limit(V - 1)


@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
def test_every_backend_draws_what_numpy_draws(be, cell):
    settings = {"samples": 3, "seed": 11, "temperature": 0.8}
    ours = collect(sharp_model(be, cell), [0, 6, 1], 12, **settings)
    on_numpy = collect(sharp_model("numpy", cell), [0, 6, 1], 12, **settings)
    assert ours.shape == (3, 12)
    np.testing.assert_array_equal(ours, on_numpy)


def test_seed_decides_and_rows_do_not_depend_on_how_many_there_are():
    model = sharp_model()
    four = collect(model, [1, 2], 20, seed=8, samples=4)
    np.testing.assert_array_equal(four, collect(model, [1, 2], 20, seed=8, samples=4))
    np.testing.assert_array_equal(four[:1], collect(model, [1, 2], 20, seed=8))
    assert len({tuple(row) for row in four.tolist()}) == 4
    assert not np.array_equal(four, collect(model, [1, 2], 20, seed=9, samples=4))
    assert not np.array_equal(
        collect(model, [1, 2], 30, samples=4), collect(model, [1, 2], 30, samples=4)
    )


def test_a_long_prompt_is_read_in_chunks_with_the_same_result(monkeypatch):
    model = sharp_model()
    prompt = np.random.default_rng(0).integers(0, V, size=23)
    whole = collect(model, prompt, 15, seed=2, samples=2)
    monkeypatch.setattr(import_module("rnn_xp.generate"), "PROMPT_CHUNK", 4)
    np.testing.assert_array_equal(whole, collect(model, prompt, 15, seed=2, samples=2))
    step = collect(model, prompt, 10, greedy=True)
    with model.fresh_state():
        for k in range(10):
            model.reset_state()
            scores = model.predict(np.concatenate([prompt, step[0, :k]])[None])[0, -1]
            assert step[0, k] == np.argmax(scores)


def test_greedy_is_temperature_zero_and_ignores_the_seed():
    model = sharp_model()
    greedy = collect(model, [5], 12, greedy=True, seed=1)
    np.testing.assert_array_equal(greedy, collect(model, [5], 12, temperature=0.0, seed=2))
    np.testing.assert_array_equal(greedy, collect(model, [5], 12, top_k=1, seed=3))
    np.testing.assert_array_equal(greedy, collect(model, [5], 12, top_p=1e-9, seed=3))
    np.testing.assert_array_equal(greedy, collect(model, [5], 12, temperature=1e-300, seed=3))


def test_the_training_state_and_the_dropout_counters_are_left_alone():
    model = sharp_model(dropout=0.25)
    xs = np.arange(6).reshape(2, 3)
    model.forward(xs, xs)
    model.backward()
    before = [tuple(a.copy() for a in part) for part in model.state]
    counters = model.dropout_counters
    tokens = generate(model, [1, 2, 3], 4, samples=5, seed=1)
    next(tokens)
    for part, kept in zip(model.state, before, strict=True):
        for a, b in zip(part, kept, strict=True):
            np.testing.assert_array_equal(a, b)
    assert model.dropout_counters == counters
    model.forward(xs, xs)  # the batch size is still 2, in the middle of a generation
    rest = np.stack(list(tokens), axis=1)
    np.testing.assert_array_equal(rest, collect(model, [1, 2, 3], 4, samples=5, seed=1)[:, 1:])


def test_two_generations_side_by_side_do_not_mix():
    model = sharp_model()
    a, b = generate(model, [1], 8, seed=1), generate(model, [2], 8, seed=2, samples=2)
    ones, twos = zip(*zip(a, b, strict=True), strict=True)
    np.testing.assert_array_equal(np.stack(ones, 1), collect(model, [1], 8, seed=1))
    np.testing.assert_array_equal(np.stack(twos, 1), collect(model, [2], 8, seed=2, samples=2))


def test_what_the_caller_does_to_a_token_changes_nothing():
    model = sharp_model()
    seen = []
    for ids in generate(model, [1], 8, seed=1):
        seen.append(int(ids[0]))
        ids[:] = 0
    assert seen == collect(model, [1], 8, seed=1)[0].tolist()


def test_without_a_prompt_the_first_token_is_uniform():
    model = sharp_model()
    first = collect(model, [], 1, samples=7_000, seed=4, top_k=1, temperature=0.1, skip_ids=[2])
    observed = np.bincount(first[:, 0], minlength=V)
    assert observed[2] == 0
    expected = 7_000 / (V - 1)
    rest = np.delete(observed, 2)
    assert ((rest - expected) ** 2 / expected).sum() < chi_square_limit(V - 2)
    assert collect(model, [], 3).shape == (1, 3)
    assert collect(model, [1], 0).shape == (1, 0)


def test_skipped_ids_never_come():
    model = sharp_model()
    tokens = collect(model, [1], 40, samples=20, seed=6, skip_ids=(0, 3))
    assert not np.isin(tokens, (0, 3)).any()
    greedy = collect(model, [1], 40, greedy=True, skip_ids=(0, 3))
    assert not np.isin(greedy, (0, 3)).any()


@pytest.mark.parametrize(
    ("arguments", "settings", "error", "message"),
    [
        (([1], -1), {}, ValueError, "length is -1"),
        (([1], 1), {"samples": 0}, ValueError, "samples is 0"),
        (([1], 1), {"seed": -3}, ValueError, "seed is -3"),
        (([1], 1), {"top_k": 0}, ValueError, "top_k is 0"),
        (([1], 1), {"top_k": 2.5}, ValueError, "top_k is 2.5, expected an integer from 1 on"),
        (([1], 2.0), {}, ValueError, "length is 2.0, expected an integer from 0 on"),
        (([1], 1), {"samples": 1.5}, ValueError, "samples is 1.5, expected an integer from 1 on"),
        (([1], 1), {"seed": 0.5}, ValueError, "seed is 0.5, expected an integer from 0 on"),
        (([[1]], 1), {}, ShapeError, r"\(1, 1\), expected \(M,\)"),
        (([0.5], 1), {}, DTypeError, "expected integers"),
        (([7], 1), {}, DataError, "expected 0 to 6"),
        (([1], 1), {"skip_ids": [7]}, DataError, "skip_ids"),
        (([1], 1), {"skip_ids": range(7)}, ValueError, "leaves none of the 7 tokens"),
    ],
)
def test_bad_arguments_are_refused_at_the_call(arguments, settings, error, message):
    with pytest.raises(error, match=message):
        generate(sharp_model(), *arguments, **settings)


def test_text_has_the_prompt_in_front():
    tokenizer = CharTokenizer("\nabcdef")
    model = sharp_model()
    texts = sample_text(model, tokenizer, "abba", 30, samples=3, seed=1)
    ids = collect(model, tokenizer.encode("abba"), 30, samples=3, seed=1)
    assert texts == ["abba" + tokenizer.decode(row) for row in ids]
    pieces = list(stream_text(model, tokenizer, "abba", 30, samples=3, seed=1))
    assert pieces[0] == ["abba"] * 3
    assert len(pieces) == 32


def test_text_without_a_prompt_starts_as_after_a_line_end():
    model = sharp_model()
    tokenizer = CharTokenizer("abcd\nef")
    assert start_ids(tokenizer).tolist() == [4]
    (text,) = sample_text(model, tokenizer, "", 12, seed=1)
    assert text == tokenizer.decode(collect(model, [4], 12, seed=1)[0])
    assert start_ids(CharTokenizer("abcdefg")).size == 0
    assert len(sample_text(model, CharTokenizer("abcdefg"), "", 12, seed=1)[0]) == 12
    assert start_ids(ByteTokenizer()).tolist() == [10]


def test_words_are_joined_by_spaces_and_unknown_ones_read_as_such():
    tokenizer = WordTokenizer(["the", "cat", "<eos>", "sat", "on", "<unk>", "mat"])
    model = sharp_model()
    assert start_ids(tokenizer).tolist() == [2]
    (text,) = sample_text(model, tokenizer, "the dog", 10, seed=1, skip_ids=[5])
    assert text.startswith("the <unk>")
    assert len(tokenizer.encode(text)) == 12


def test_bytes_that_are_no_character_are_still_text():
    model = Rnnlm(256, 4, 4, backend="numpy")
    tokenizer = ByteTokenizer()
    texts = sample_text(model, tokenizer, "é", 50, seed=1, samples=2)
    assert all(text.startswith("é") for text in texts)
    ids = collect(model, tokenizer.encode("é"), 50, samples=2, seed=1)
    assert texts == ["é" + tokenizer.decode(row) for row in ids]


def test_unknown_characters_and_a_foreign_vocabulary_are_named():
    model = sharp_model()
    with pytest.raises(DataError, match=r"prompt: not in the vocabulary: 'x' .*U\+0078"):
        stream_text(model, CharTokenizer("\nabcdef"), "abx", 3)
    with pytest.raises(DataError, match="3 tokens, the model 7"):
        sample_text(model, CharTokenizer("abc"), "a", 3)


def test_weights_that_diverged_are_reported():
    model = sharp_model()
    model.set_parameter("output.b", np.full(V, np.nan))
    with pytest.raises(NonFiniteError, match="diverged"):
        collect(model, [1], 1)
    assert not np.isfinite(to_host(model.named_parameters["output.b"])).any()
