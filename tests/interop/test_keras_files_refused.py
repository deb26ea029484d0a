"""Keras' files that are damaged, hostile or describe what has no equal here are named."""

import zipfile

import pytest
from interop_helpers import (
    classic,
    optional,
)
from keras_helpers import QUIET, config_file, h5_bytes, lstm_entry

from rnn_xp.errors import CheckpointError, ConversionError
from rnn_xp.interop.keras_files import read_keras, save_keras
from rnn_xp.interop.keras_models import load_keras

pytestmark = QUIET
UNKNOWN = {
    "go_backwards": (lstm_entry(go_backwards=True), "go_backwards returns the outputs"),
    "own activation": (lstm_entry(activation={"class_name": "function"}), "a function of its own"),
    "own cell": (
        {"class_name": "RNN", "config": {"cell": {"class_name": "My>Cell", "config": {}}}},
        "cell My>Cell has no equal here",
    ),
}


@pytest.mark.parametrize("case", UNKNOWN)
def test_keras_layers_without_an_equal_are_refused(tmp_path, case):
    optional("h5py")
    entry, reason = UNKNOWN[case]
    weights = h5_bytes({"lstm": classic("lstm"), "rnn": classic("rnn")}, tmp_path)
    path = config_file(tmp_path / "model.keras", [entry], weights)
    with pytest.raises(ConversionError, match=reason):
        load_keras(path)


def test_damaged_files_are_named(tmp_path):
    h5py = optional("h5py")
    path = tmp_path / "x.h5"
    with pytest.raises(CheckpointError, match=r"x\.h5: no such file"):
        read_keras(path)
    path.write_bytes(b"not a file of Keras")
    with pytest.raises(CheckpointError, match="not a Keras weight file, or damaged"):
        read_keras(path)
    whole = h5_bytes({"lstm": classic("lstm")}, tmp_path)
    for size in (0, 100, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:size])
        with pytest.raises(CheckpointError, match=r"x\.h5: not a Keras weight file, or damaged"):
            read_keras(path)
    with h5py.File(path, "w") as file:
        file["something"] = 1.0
    with pytest.raises(CheckpointError, match="neither a group 'layers' nor the attribute"):
        read_keras(path)
    h5py.File(path, "w").create_group("layers").file.close()
    with pytest.raises(CheckpointError, match="holds no weights of Keras layers"):
        read_keras(path)
    with h5py.File(path, "w") as file:
        file["layers/lstm"] = 1.0
    with pytest.raises(CheckpointError, match="/layers/lstm is an array, expected a group"):
        read_keras(path)


def test_damaged_archives_are_named(tmp_path):
    optional("h5py")
    weights = h5_bytes({"lstm": classic("lstm")}, tmp_path)
    path = tmp_path / "model.keras"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "")
    with pytest.raises(CheckpointError, match=r"holds no model\.weights\.h5"):
        load_keras(path)
    with pytest.raises(CheckpointError, match="the weights of lstm_1 are missing"):
        load_keras(config_file(path, [lstm_entry(), lstm_entry()], weights))
    for config in ('{"config"', '{"config": 3}'):
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("config.json", config)
            archive.writestr("model.weights.h5", weights)
        with pytest.raises(CheckpointError, match=r"config\.json (is damaged|describes no)"):
            load_keras(path)
    broken = [{"class_name": "Bidirectional", "config": {"layer": 3}}]
    with pytest.raises(CheckpointError, match="a layer inside a layer"):
        load_keras(config_file(path, broken, weights))
    data = path.read_bytes()
    path.write_bytes(data[:60] + b"\xff" * 40 + data[100:])
    with pytest.raises(CheckpointError, match="damaged"):
        load_keras(path)


def test_links_out_of_a_file_and_bombs_are_refused(tmp_path):
    h5py = optional("h5py")
    path = tmp_path / "x.h5"
    with h5py.File(path, "w") as file:
        file["layers/lstm/vars"] = h5py.ExternalLink("/etc/passwd", "/")
    with pytest.raises(CheckpointError, match="is a ExternalLink"):
        read_keras(path)
    with h5py.File(path, "w") as file:
        file["layers/lstm/vars/0"] = h5py.SoftLink("/layers")
    with pytest.raises(CheckpointError, match="is a SoftLink"):
        read_keras(path)
    with h5py.File(path, "w") as file:
        file.create_dataset("layers/lstm/vars/0", (2**20, 2**12), "f8", chunks=(2**10, 2**10))
    with pytest.raises(CheckpointError, match=r"declares 34359738368 bytes, but 0 are stored"):
        read_keras(path)
    with h5py.File(path, "w") as file:
        outside = [(str(tmp_path / "secret"), 0, 80)]
        file.create_dataset("layers/lstm/vars/0", (10,), "f8", external=outside)
    with pytest.raises(CheckpointError, match="is not an array stored in the file"):
        read_keras(path)


def test_writing_needs_the_right_name(tmp_path):
    optional("h5py")
    with pytest.raises(CheckpointError, match=r"expected a name that ends in \.weights\.h5"):
        save_keras(tmp_path / "x.h5", {"lstm": classic("lstm")})
