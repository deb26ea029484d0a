"""Files as Keras 1 and 2 wrote them."""

import numpy as np
import pytest
from interop_helpers import (
    assert_same_params,
    classic,
    keras_module,
    optional,
)
from keras_helpers import QUIET, sample_model

from rnn_xp.interop.keras_files import read_keras
from rnn_xp.interop.keras_weights import from_keras, to_keras

pytestmark = QUIET


def old_layout(h5py, path, inside=False, chunks=False):
    """A file as Keras 1 and 2 wrote it."""
    layer = classic("gru", dtype="float32")
    with h5py.File(path, "w") as file:
        root = file.create_group("model_weights") if inside else file
        if chunks:
            root.attrs["layer_names0"], root.attrs["layer_names1"] = [b"embed"], [b"my_gru"]
        else:
            root.attrs["layer_names"] = [b"embed", b"my_gru"]
        root.create_group("embed").attrs["weight_names"] = []
        group = root.create_group("my_gru")
        names = [f"my_gru/gru_cell/{n}:0" for n in ("kernel", "recurrent_kernel", "bias")]
        group.attrs["weight_names"] = [name.encode() for name in names]
        for name, array in zip(names, to_keras(layer), strict=True):
            group[name] = array
    return layer


@pytest.mark.parametrize(("inside", "chunks"), [(False, False), (True, False), (False, True)])
def test_the_older_layout(tmp_path, inside, chunks):
    layer = old_layout(optional("h5py"), tmp_path / "old.h5", inside, chunks)
    found = read_keras(tmp_path / "old.h5")
    assert list(found) == ["my_gru"]
    assert_same_params(from_keras(found["my_gru"]), layer)


def test_the_older_layout_as_keras_itself_writes_it(tmp_path):
    optional("h5py")
    keras = keras_module()
    model = sample_model(keras)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("absl.logging.warning", lambda *_: None)
        model.save(tmp_path / "model.h5")
    found = read_keras(tmp_path / "model.h5")
    wanted = {layer.name: layer.get_weights() for layer in model.layers if layer.weights}
    assert list(found) == list(wanted)
    for name, arrays in wanted.items():
        for given, array in zip(found[name], arrays, strict=True):
            np.testing.assert_array_equal(given, array, strict=True)
