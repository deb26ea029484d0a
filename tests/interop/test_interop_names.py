"""The names of the package, and what importing them costs."""

import subprocess
import sys

import pytest

from rnn_xp import interop


def test_every_name_is_there_and_listed():
    assert dir(interop) == sorted(interop.__all__) == sorted(interop._ROOM_OF)
    for name in interop.__all__:
        assert callable(getattr(interop, name))
        assert f"`{name}`" in interop.__doc__ or name in ("lm_to_onnx", "recurrent_nodes")
    with pytest.raises(AttributeError, match="no attribute 'from_jax'"):
        _ = interop.from_jax


def test_no_framework_is_imported():
    code = (
        "import sys; from rnn_xp import interop; [getattr(interop, n) for n in interop.__all__]; "
        "print(sorted({'torch', 'keras', 'tensorflow', 'onnx', 'h5py'} & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stdout.strip() == "[]", result.stderr
