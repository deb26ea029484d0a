"""A CuPy that breaks while it is imported is one that cannot be used, and no crash."""

import json
import os
import subprocess
import sys

import pytest

ASK = """
import contextlib, io, json, sys, warnings
from rnn_xp.backend import default_backend, get_backend
from rnn_xp.cli.main import main
from rnn_xp.cupy_probe import cupy_problem

found = {"auto": get_backend("auto").name, "problem": cupy_problem()}
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    found["default"] = default_backend().name
found["warning"] = str(caught[0].message)
with contextlib.redirect_stdout(io.StringIO()) as shown:
    found["status"] = main(["info"])
found["shown"] = shown.getvalue()
print(json.dumps(found))
"""


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        ("RuntimeError('built for\\n another NumPy')", "RuntimeError: built for another NumPy"),
        ("AttributeError('_ARRAY_API')", "AttributeError: _ARRAY_API"),
        ("OSError('libcudart.so.13')", "OSError: libcudart.so.13"),
        ("ValueError()", "ValueError: ValueError"),
    ],
)
def test_a_broken_cupy(tmp_path, error, reason):
    (tmp_path / "cupy.py").write_text(f"raise {error}\n")
    paths = [str(tmp_path), os.environ.get("PYTHONPATH", "")]
    env = os.environ | {"RNN_BACKEND": "cupy", "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    done = subprocess.run(
        [sys.executable, "-c", ASK], env=env, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["auto"] == found["default"] == "numpy"
    assert found["problem"] == (
        f"CuPy cannot be loaded ({reason}); reinstall it for your CUDA version"
    )
    assert found["problem"] in found["warning"]
    assert not found["status"]
    assert reason in found["shown"]
