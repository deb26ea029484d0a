"""Fixtures of the tests of formats."""

from pathlib import Path

import pytest
from interop_helpers import keras_module


@pytest.fixture
def float64_kept():
    """Keras' torch backend rounds products of float64 to float32 without this."""
    keras_module()
    from keras.src.backend.common import dtypes

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(dtypes.BIT64_TO_BIT32_DTYPE, "float64", "float64")
        yield


@pytest.fixture
def write(tmp_path):
    """Function from the bytes of a pickle to the path of its file."""

    def write(data: bytes) -> Path:
        path = tmp_path / "weights.pkl"
        path.write_bytes(data)
        return path

    return write
