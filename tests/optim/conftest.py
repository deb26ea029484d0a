"""Backends that the optimisers run on, and the oracle.

What is missing is skipped with the reason, unless ``RNN_XP_TEST_REQUIRE`` names it.
"""

import importlib
import os

import pytest

from rnn_xp.backend import Backend, get_backend
from rnn_xp.errors import BackendUnavailable

SPECS = ("numpy", "array_api_strict:device1", "torch:cpu", "cupy")


@pytest.fixture(params=SPECS)
def backend(request) -> Backend:
    name = request.param.split(":")[0]
    try:
        return get_backend(request.param)
    except BackendUnavailable as problem:
        if _required(name):
            raise
        pytest.skip(str(problem))


@pytest.fixture
def torch():
    if _required("torch"):
        return importlib.import_module("torch")
    return pytest.importorskip("torch", reason="PyTorch, the oracle of this test, is not installed")


def _required(name: str) -> bool:
    return name in os.environ.get("RNN_XP_TEST_REQUIRE", "").split(",")
