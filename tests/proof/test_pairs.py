"""All pairs of options against the oracles, and what cannot be had together is refused.

The pairs are made from the list in `proof.catalogue`. Here central differences go along
random directions, and all upstream gradients are on; the full Jacobians of every option alone
are in `test_proof`.
"""

from collections import Counter
from itertools import combinations

import pytest
from proof.catalogue import BY_NAME, OPTIONS
from proof.incompatible import ONE_WAY, REFUSALS, contradiction, why_not
from proof.oracles import (
    DIFFERENCES,
    FLOAT64,
    autograd,
    generic,
    results,
    slopes_off,
    worst,
)
from proof.pairs import CHOSEN, OTHER_WAYS, PAIR_ROWS, PAIRS

rows = pytest.mark.parametrize("row", PAIR_ROWS, ids=repr)


def within(given, references, tolerance, what):
    error, name = worst(given, references)
    assert error <= tolerance, f"{what}: {name} is off by {error:.2e}, tolerance {tolerance:.0e}"


@rows
def test_gradients_match_central_differences(row):
    _, gradients = results(row, "numpy", "float64", row.subsets[-1])
    for name, error in slopes_off(row, gradients).items():
        assert error <= DIFFERENCES, f"{name} is off by {error:.2e}, tolerance {DIFFERENCES:.0e}"


@rows
def test_outputs_and_gradients_match_torch_autograd(row, torch_backend):
    outputs, gradients = results(row, "numpy", "float64", row.subsets[-1])
    references = autograd(row, row.subsets[-1])
    within(outputs, references[0], FLOAT64, "outputs")
    within(gradients, references[1], FLOAT64, "gradients")


@rows
def test_every_backend_matches_the_generic_kernels(row, variant, be):
    outputs, gradients = results(row, variant.name, "float64", row.subsets[-1])
    references = generic(row, row.subsets[-1])
    within(outputs, references[0], FLOAT64, "outputs")
    within(gradients, references[1], FLOAT64, "gradients")


def test_every_pair_is_proved_or_cannot_be():
    for pair in combinations(BY_NAME, 2):
        assert bool(PAIRS.get(pair)) != (why_not(*pair) is not None), pair


def test_only_known_pairs_are_left_out():
    left_out = [pair for pair in combinations(BY_NAME, 2) if why_not(*pair) is not None]
    by_setting = Counter(contradiction(*pair) for pair in left_out)
    assert by_setting == {"merge": 10, "widths": 1, "between": 1, None: len(REFUSALS)}


def test_every_option_meets_every_kind_that_has_it():
    met = {(option, kind) for pair, kinds in CHOSEN.items() for option in pair for kind in kinds}
    assert met == {(option.name, kind) for option in OPTIONS for kind in option.kinds}
    assert all(option.because for option in OPTIONS if len(option.kinds) < 5)


@pytest.mark.parametrize("refused", REFUSALS, ids=lambda r: " + ".join(sorted(r.pair)))
def test_what_is_refused_says_so(refused):
    with pytest.raises(refused.error, match=refused.message):
        refused.attempt()


@pytest.mark.parametrize("pair", ONE_WAY, ids=lambda pair: " + ".join(sorted(pair)))
def test_what_goes_one_way_only_says_so(pair):
    _, error, message = ONE_WAY[pair]
    (row,) = (row for names, row in OTHER_WAYS.items() if pair == set(names))
    with pytest.raises(error, match=message):
        results(row, "numpy", "float64", row.subsets[-1])


def test_the_directions_see_a_wrong_gradient():
    row = PAIR_ROWS[0]
    _, gradients = results(row, "numpy", "float64", row.subsets[-1])
    for name, gradient in gradients.items():
        wrong = gradient.copy()
        wrong.flat[-1] += 1e-4 * abs(gradient).max()
        assert slopes_off(row, gradients | {name: wrong})[name] > DIFFERENCES
