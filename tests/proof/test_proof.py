"""The proof grid: every layer, with every option, on every backend, against three oracles.

Central differences in float64, torch's own layers with its automatic differentiation, and
the generic kernels against the fast ones. The rows are in `proof.grid`, the oracles and
tolerances in `proof.oracles`.
"""

import backends
import pytest
from proof.grid import ROWS
from proof.oracles import (
    DIFFERENCES,
    FLOAT32_FORWARD,
    FLOAT32_GRADIENT,
    FLOAT64,
    autograd,
    differences,
    worst,
)

from rnn_xp.backend import get_backend

rows = pytest.mark.parametrize("row", ROWS, ids=repr)


def within(given, references, tolerance, what):
    error, name = worst(given, references)
    assert error <= tolerance, f"{what}: {name} is off by {error:.2e}, tolerance {tolerance:.0e}"


def generic(row, chosen):
    """The specification's own answer, in float64."""
    with backends.kernel_mode("generic"):
        return row.gradients(get_backend("numpy"), "float64", chosen)


@rows
def test_gradients_match_central_differences(row, be):
    for chosen in row.subsets:
        _, gradients = row.gradients(be, "float64", chosen)
        within(gradients, differences(row, chosen), DIFFERENCES, f"upstream {chosen}")


@rows
def test_outputs_and_gradients_match_torch_autograd(row, be, torch_backend):
    for chosen in row.subsets:
        outputs, gradients = row.gradients(be, "float64", chosen)
        references = autograd(row, chosen)
        within(outputs, references[0], FLOAT64, "outputs")
        within(gradients, references[1], FLOAT64, f"upstream {chosen}")


@rows
def test_every_backend_matches_the_generic_kernels(row, be):
    for chosen in row.subsets:
        outputs, gradients = row.gradients(be, "float64", chosen)
        references = generic(row, chosen)
        within(outputs, references[0], FLOAT64, "outputs")
        within(gradients, references[1], FLOAT64, f"upstream {chosen}")


@rows
def test_float32(row, be):
    chosen = row.subsets[-1]
    outputs, gradients = row.gradients(be, "float32", chosen)
    references = generic(row, chosen)
    assert {v.dtype.name for v in (*outputs.values(), *gradients.values())} == {"float32"}
    within(outputs, references[0], FLOAT32_FORWARD, "outputs")
    within(gradients, references[1], FLOAT32_GRADIENT, "gradients")


@rows
def test_a_pass_without_train_gives_the_same_outputs(row, be):
    kept, _ = row.gradients(be, "float64", row.subsets[-1])
    within(row.forward(row.inputs, be, "float64"), kept, FLOAT64, "outputs")
