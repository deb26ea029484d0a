"""A small text, and settings of a run that takes less than a second."""

import random
from pathlib import Path

import pytest

from rnn_xp.train import make_settings

SHARED = Path(__file__).resolve().parents[2].parent / "shared" / "data"
WORDS = ["the", "cat", "dog", "sat", "ran", "on", "under", "a", "mat", "hill", "and", "saw", "red", "blue", "big", "small", "house", "tree"]


def words_text(lines, seed=0):
    draw = random.Random(seed)
    return "".join(" ".join(draw.choices(WORDS, k=8)) + "\n" for _ in range(lines))


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
