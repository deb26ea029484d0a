"""A small text, and settings of a run that takes less than a second."""

from pathlib import Path

import pytest
from runs import words_text

from rnn_xp.train import loop, make_settings

SHARED = Path(__file__).resolve().parents[2].parent / "shared" / "data"


@pytest.fixture(autouse=True)
def no_curve(request, monkeypatch):
    """Nothing is drawn, except where drawing is tested: it takes longer than a tiny run."""
    if "curve" not in request.node.path.name:
        monkeypatch.setattr(loop, "draw_curve", lambda folder: None)


@pytest.fixture
def text(tmp_path):
    """Path of a text of about 9,000 characters."""
    path = tmp_path / "text.txt"
    path.write_text(words_text(260), encoding="utf-8")
    return path


@pytest.fixture
def small(text):
    """Function that makes settings of a tiny run; keywords go over them."""

    def make(**changes):
        settings = {
            "data": str(text),
            "embed": 6,
            "hidden": 8,
            "batch": 4,
            "bptt": 16,
            "steps": 30,
            "log_every": 7,
            "validate_every": 11,
            "valid_batch": 4,
            "backend": "numpy",
        }
        return make_settings(**{**settings, **changes})

    return make


@pytest.fixture(scope="session")
def shared():
    """Function from a name below ../shared/data to its path; skips where it is absent."""

    def find(name):
        path = SHARED / name
        if not path.exists():
            pytest.skip(f"needs ../shared/data/{name} beside the checkout, which is absent")
        return path

    return find
