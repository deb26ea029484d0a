"""A display that breaks, or that there is none: training goes on."""

import io

import pytest

from rnn_xp.train import ProgressReporter, train
from rnn_xp.train.quiet import QuietStream


class Breaks(io.StringIO):
    """Takes some lines, then fails."""

    def __init__(self, lines, error, terminal=False):
        super().__init__()
        self.left, self.error, self.terminal, self.failures = lines, error, terminal, 0

    def write(self, text):
        if self.left <= 0:
            self.failures += 1
            raise self.error
        self.left -= 1
        return super().write(text)

    def isatty(self):
        return self.terminal


@pytest.mark.parametrize("terminal", [False, True])
@pytest.mark.parametrize("lines", [0, 1, 3])
@pytest.mark.parametrize(
    "error", [BrokenPipeError(32, "Broken pipe"), OSError(28, "No space"), ValueError("closed")]
)
def test_a_display_that_breaks_costs_no_step(small, tmp_path, terminal, lines, error):
    stream = Breaks(lines, error, terminal)
    result = train(small(), tmp_path / "run", reporter=ProgressReporter(stream, seconds=0.0))
    assert (result.stopped, result.step) == ("done", 30)
    assert stream.failures == 1
    assert "last.safetensors" in result.files


def test_no_display_at_all(small, tmp_path, monkeypatch):
    monkeypatch.setattr("sys.stderr", None)
    result = train(small(steps=3), tmp_path / "run", reporter=ProgressReporter())
    assert result.step == 3


def test_a_stream_that_works_is_passed_through(tmp_path):
    with (tmp_path / "log").open("w+", encoding="utf-8") as file:
        stream = QuietStream(file)
        assert stream.write("one line\n") == 9
        stream.flush()
        assert (tmp_path / "log").read_text() == "one line\n"
        assert stream.fileno() == file.fileno()
        assert not stream.isatty()
    assert stream.write("more") == 4  # closed now
    assert not stream.isatty()
    with pytest.raises(AttributeError):
        QuietStream(None).fileno()
