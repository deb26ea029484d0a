"""A tiny text, tiny run folders, and the command line in this process."""

import pytest
from cli_helpers import TEXT, Outcome, train

from rnn_xp.cli import main


@pytest.fixture
def cli(capsys):
    """Call `main` in this process."""

    def call(*words):
        try:
            code = main([str(word) for word in words])
        except SystemExit as stop:  # --help, --version and what cannot be parsed
            code = stop.code
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        return Outcome(code, out, err)

    return call


@pytest.fixture(scope="session")
def text_file(tmp_path_factory):
    """A text of about 5000 characters."""
    path = tmp_path_factory.mktemp("text") / "cats.txt"
    path.write_text(TEXT, encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def char_run(tmp_path_factory, text_file):
    """A run folder at character level. Do not write into it."""
    return train(tmp_path_factory.mktemp("runs") / "char", text_file)


@pytest.fixture(scope="session")
def word_run(tmp_path_factory, text_file):
    """A run folder at word level. Do not write into it."""
    path = tmp_path_factory.mktemp("runs") / "word"
    return train(path, text_file, "--level", "word")
