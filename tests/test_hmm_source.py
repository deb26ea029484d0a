"""The dice source is what it says, and its exact log loss is exact."""

import itertools
import time

import hmm
import numpy as np
import pytest


def enumerated(ids) -> float:
    """Probability of a whole sequence, summed over every path of dice."""
    total = 0.0
    for path in itertools.product(range(hmm.STATES), repeat=len(ids)):
        p = hmm.START[path[0]]
        for before, after in itertools.pairwise(path):
            p *= hmm.TRANSITION[before, after]
        for die, symbol in zip(path, ids, strict=True):
            p *= hmm.EMISSION[die, symbol]
        total += p
    return total


def test_the_tables_are_distributions_and_the_start_is_stationary():
    np.testing.assert_allclose(hmm.TRANSITION.sum(axis=1), 1.0)
    np.testing.assert_allclose(hmm.EMISSION.sum(axis=1), 1.0)
    np.testing.assert_allclose(hmm.START @ hmm.TRANSITION, hmm.START)
    assert hmm.TRANSITION[0, 0] == pytest.approx(0.95 + 0.05 / 3)
    assert hmm.TRANSITION[0, 1] == pytest.approx(0.05 / 3)


@pytest.mark.parametrize("length", [1, 2, 3, 4])
def test_the_probabilities_of_all_sequences_sum_to_one(length):
    total = sum(
        np.exp(-hmm.log_loss_per_symbol(np.array(ids)).sum())
        for ids in itertools.product(range(hmm.SYMBOLS), repeat=length)
    )
    assert total == pytest.approx(1.0, abs=1e-12)


def test_the_forward_algorithm_agrees_with_the_sum_over_all_paths():
    for ids in [(0,), (7,), (3, 5), (0, 7, 0), (0, 1, 2, 3), (7, 7, 4, 0, 5), *sampled(20, 6)]:
        loss = hmm.log_loss_per_symbol(np.array(ids)).sum()
        assert loss == pytest.approx(-np.log(enumerated(ids)), rel=1e-12)


def sampled(count, length):
    return hmm.sample(count * length, seed=1).reshape(count, length)


def test_a_long_sequence_is_fast_and_does_not_underflow():
    ids = hmm.sample(200_000, seed=0)
    start = time.perf_counter()
    losses = hmm.log_loss_per_symbol(ids)
    assert time.perf_counter() - start < 5.0
    assert losses.shape == ids.shape
    assert np.isfinite(losses).all()


def test_samples_have_the_frequencies_of_the_tables():
    n = 400_000
    ids = hmm.sample(n, seed=3)
    assert ids.dtype.kind == "i"
    frequencies = np.bincount(ids, minlength=hmm.SYMBOLS) / n
    # Neighbours are correlated for about 20 throws, hence wider than 1/sqrt(n).
    np.testing.assert_allclose(frequencies, hmm.START @ hmm.EMISSION, atol=0.005)
    pairs = np.zeros((hmm.SYMBOLS, hmm.SYMBOLS))
    np.add.at(pairs, (ids[:-1], ids[1:]), 1.0 / (n - 1))
    expected = hmm.EMISSION.T @ (hmm.START[:, None] * hmm.TRANSITION) @ hmm.EMISSION
    np.testing.assert_allclose(pairs, expected, atol=0.002)


def test_samples_depend_on_the_seed_alone():
    np.testing.assert_array_equal(hmm.sample(1000, seed=5), hmm.sample(1000, seed=5))
    assert (hmm.sample(1000, seed=5) != hmm.sample(1000, seed=6)).any()
    assert len(hmm.sample(0, seed=0)) == 0


def test_no_model_of_order_one_comes_within_three_percent():
    train, held_out = hmm.sample(1_000_000, seed=0), hmm.sample(200_000, seed=1)
    exact = hmm.log_loss_per_symbol(held_out)
    order1 = hmm.order1_log_loss_per_symbol(train, held_out)
    assert order1.mean() > 1.03 * exact.mean()
    # The bound does not hang on this sample: neither mean is off by more than chance.
    assert order1.mean() == pytest.approx(hmm.order1_entropy(), abs=4 * error(order1))
    assert (order1 - exact).mean() - 4 * error(order1 - exact) > 0.03 * exact.mean()


def error(losses) -> float:
    """Standard error of a mean of correlated numbers, from means of blocks of 500."""
    blocks = losses.reshape(-1, 500).mean(axis=1)
    return float(blocks.std(ddof=1) / np.sqrt(len(blocks)))


def test_the_exact_loss_lies_between_the_entropies_with_and_without_the_die():
    exact = hmm.log_loss_per_symbol(hmm.sample(200_000, seed=2)).mean()
    given_the_die = np.mean([np.log(faces) for faces in hmm.FACES])
    unigram = hmm.START @ hmm.EMISSION
    assert given_the_die < exact < hmm.order1_entropy() < -(unigram * np.log(unigram)).sum()
