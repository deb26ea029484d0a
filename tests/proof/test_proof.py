"""The proof grid: every layer, with every option, on every backend, against three oracles.

Central differences in float64, torch's own layers with its automatic differentiation, and
the generic kernels against the fast ones. The rows are in `proof.grid`, the oracles and
tolerances in `proof.oracles`.
"""

import pytest
from proof.grid import ROWS
from proof.oracles import (
    DIFFERENCES,
    FLOAT32_FORWARD,
    FLOAT32_GRADIENT,
    FLOAT64,
    autograd,
    differences,
    generic,
    results,
    worst,
)

rows = pytest.mark.parametrize("row", ROWS, ids=repr)


def within(given, references, tolerance, what):
    error, name = worst(given, references)
    assert error <= tolerance, f"{what}: {name} is off by {error:.2e}, tolerance {tolerance:.0e}"


@pytest.fixture
def name(be, variant):
    """Name of the backend, after it is found to be usable."""
    return variant.name


@rows
def test_gradients_match_central_differences(row, name):
    for chosen in row.subsets:
        _, gradients = results(row, name, "float64", chosen)
        within(gradients, differences(row, chosen), DIFFERENCES, f"upstream {chosen}")


@rows
def test_outputs_and_gradients_match_torch_autograd(row, name, torch_backend):
    for chosen in row.subsets:
        outputs, gradients = results(row, name, "float64", chosen)
        references = autograd(row, chosen)
        within(outputs, references[0], FLOAT64, "outputs")
        within(gradients, references[1], FLOAT64, f"upstream {chosen}")


@rows
def test_every_backend_matches_the_generic_kernels(row, name):
    for chosen in row.subsets:
        outputs, gradients = results(row, name, "float64", chosen)
        references = generic(row, chosen)
        within(outputs, references[0], FLOAT64, "outputs")
        within(gradients, references[1], FLOAT64, f"upstream {chosen}")


@rows
def test_float32(row, name):
    chosen = row.subsets[-1]
    outputs, gradients = results(row, name, "float32", chosen)
    references = generic(row, chosen)
    assert {v.dtype.name for v in (*outputs.values(), *gradients.values())} == {"float32"}
    within(outputs, references[0], FLOAT32_FORWARD, "outputs")
    within(gradients, references[1], FLOAT32_GRADIENT, "gradients")


@rows
def test_a_pass_without_train_gives_the_same_outputs(row, name, be):
    kept, _ = results(row, name, "float64", row.subsets[-1])
    within(row.forward(row.inputs, be, "float64"), kept, FLOAT64, "outputs")
