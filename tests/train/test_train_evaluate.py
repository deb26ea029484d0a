import itertools
import math

import numpy as np
import pytest

from rnn_xp import Rnnlm
from rnn_xp.backend import to_host
from rnn_xp.errors import DataError
from rnn_xp.train import evaluate


@pytest.fixture
def ids(rng):
    return rng.integers(0, 7, 400)


@pytest.fixture
def model(be):
    return Rnnlm(7, 5, 6, layers=2, dropout=0.5, init="glorot", dtype="float64", backend=be)


def one_by_one(model, ids):
    """Losses of each token from a plain pass, one row, one call."""
    with model.fresh_state():
        return to_host(model.token_losses(ids[None, :-1], ids[None, 1:]))[0]


@pytest.mark.parametrize("bptt", [None, 1, 7, 399, 1000])
def test_exact_counts_every_token_once_with_all_its_past(model, ids, bptt):
    result = evaluate(model, ids, bptt=bptt)
    assert result.tokens == 399
    assert result.nats_per_token == pytest.approx(one_by_one(model, ids).mean(), rel=1e-12)
    assert result.bits_per_token == pytest.approx(result.nats_per_token / math.log(2))
    assert result.perplexity == pytest.approx(math.exp(result.nats_per_token))


def test_rows_lose_only_the_past_of_their_first_tokens(model, ids):
    result = evaluate(model, ids, rows=4, bptt=30)
    starts = [0, 100, 200, 300, 399]
    parts = [one_by_one(model, ids[a : b + 1]) for a, b in itertools.pairwise(starts)]
    assert result.tokens == 399
    assert result.nats_per_token == pytest.approx(np.concatenate(parts).mean(), rel=1e-12)


def test_the_books_protocol(model, rng):
    ids = rng.integers(0, 7, 10 * 90 + 1)
    result = evaluate(model, ids, "dlfs2")
    rows = [one_by_one(model, ids[n * 90 : n * 90 + 71]) for n in range(10)]
    assert result.tokens == 700
    assert result.nats_per_token == pytest.approx(np.mean(rows), rel=1e-12)


def test_the_state_and_the_training_are_left_alone(model, ids):
    xs, ts = ids[None, :9], ids[None, 1:10]
    model.forward(xs, ts)
    before = [to_host(part) for state in model.state for part in state]
    counters = model.dropout_counters
    evaluate(model, ids)
    after = [to_host(part) for state in model.state for part in state]
    assert all(np.array_equal(a, b) for a, b in zip(before, after, strict=True))
    assert model.dropout_counters == counters


def test_progress_and_json(model, ids):
    seen = []
    result = evaluate(model, ids, bptt=100, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(100, 399), (200, 399), (300, 399), (399, 399)]
    assert set(result.to_json()) == {"perplexity", "bits_per_token", "nats_per_token", "tokens"}


def test_bad_input(model):
    with pytest.raises(ValueError, match="--protocol fair: expected one of exact, dlfs2"):
        evaluate(model, np.arange(5), "fair")
    with pytest.raises(DataError, match="1 tokens, but to predict one takes 2"):
        evaluate(model, np.arange(1))
    with pytest.raises(DataError, match="needs 351"):
        evaluate(model, np.zeros(100, dtype=int), "dlfs2")


def test_a_perplexity_too_large_for_a_float_is_infinite():
    from rnn_xp.train import perplexity

    assert perplexity(800.0) == math.inf
    assert math.isnan(perplexity(math.nan))


@pytest.fixture(scope="module")
def book(shared):
    from rnn_xp.data import TextFile, WordTokenizer
    from rnn_xp.interop.dlfs2 import read_pickle_arrays, rnnlm_weights
    from rnn_xp.models import LMConfig

    path = shared("dlfs2/Rnnlm.pkl")
    weights = rnnlm_weights(read_pickle_arrays(path), str(path))
    model = Rnnlm.from_config(LMConfig(**weights.config), "numpy")
    model.set_parameters(weights.parameters)
    tokenizer = WordTokenizer.build(TextFile(shared("ptb/ptb.train.txt")))
    ids = tokenizer.encode("".join(TextFile(shared("ptb/ptb.test.txt"))))
    return model, ids


def test_the_books_weights_by_the_books_protocol(book):
    result = evaluate(*book, "dlfs2")
    assert result.perplexity == pytest.approx(136.0776, abs=5e-4)
    assert result.tokens == 82250


@pytest.mark.slow
def test_the_books_weights_token_by_token(book):
    result = evaluate(*book, "exact")
    assert result.perplexity == pytest.approx(135.844, abs=1e-3)
    assert result.tokens == 82429
