"""Texts that are not shipped: they lie beside a checkout, or the tests that want them skip."""

import hashlib
from contextlib import contextmanager
from pathlib import Path

import pytest

from rnn_xp import files as atomic

SHARED = Path(__file__).resolve().parents[2].parent / "shared" / "data"


@pytest.fixture(scope="session")
def shared_file():
    """Function from a name below ../shared/data to its path, with the sha256 checked."""

    def find(name: str) -> Path:
        path = SHARED / name
        if not path.exists():
            pytest.skip(f"needs ../shared/data/{name} beside the checkout, which is absent")
        listed = (SHARED / "SHA256SUMS").read_text(encoding="utf-8").split()
        sums = dict(zip(listed[1::2], listed[::2], strict=True))
        assert hashlib.sha256(path.read_bytes()).hexdigest() == sums[f"./{name}"]
        return path

    return find


@pytest.fixture
def full_disk(monkeypatch):
    """Context manager inside which every file written atomically is on a full disk."""
    if not Path("/dev/full").exists():
        pytest.skip("needs /dev/full, which this system does not have")

    create = atomic.open_temporary

    @contextmanager
    def full():
        with monkeypatch.context() as patch:
            patch.setattr(atomic, "open_temporary", lambda path: create(Path("/dev/full")))
            yield

    return full
