"""What a training run tells its user while it goes on."""

import sys
import time
from dataclasses import dataclass, field
from typing import Any, TextIO

from rnn_xp.train.quiet import QuietStream


@dataclass(frozen=True, slots=True)
class RunInfo:
    """What is known when training starts.

    Attributes
    ----------
    path : str
        The run folder.
    description : str
        Model, data and backend in a line.
    level : str
    total_steps : int or None
        None: only time limits the run.
    first_step : int
        Steps done before (0 unless resumed).
    tokens_per_step : int
    notes : list of str
        Lines for the user.
    minutes : float or None
        Limit of the ``seconds`` in the rows.
    """

    path: str
    description: str
    level: str
    total_steps: int | None
    first_step: int
    tokens_per_step: int
    notes: list[str] = field(default_factory=list)
    minutes: float | None = None


class Reporter:
    """Base of the reporters: says nothing. Every method may be replaced."""

    def started(self, info: RunInfo) -> None:
        """Training begins."""

    def stepped(self, step: int) -> None:
        """Step number `step` was asked of the device; called after every step."""

    def logged(self, row: dict[str, Any]) -> None:
        """A row of training numbers for ``metrics.jsonl`` was written."""

    def validating(self, done: int, total: int) -> None:
        """Validation has read `done` of `total` tokens."""

    def validated(self, row: dict[str, Any]) -> None:
        """A row of validation numbers was written."""

    def note(self, message: str) -> None:
        """One line for the user: a warning, or why training ended."""

    def finished(self) -> None:
        """Training ended, for whatever reason; also called after an error."""


def readable(nats: float | None, level: str) -> str:
    """A loss as the level's readers know it: perplexity, or bits a character or byte."""
    from rnn_xp.train.evaluate import perplexity

    if nats is None:
        return "not finite"
    if level == "word":
        return f"perplexity {perplexity(nats):.2f}"
    return f"{nats / 0.6931471805599453:.3f} bits/{level}"


class ProgressReporter(Reporter):
    """A tqdm bar on a terminal, else a plain line every `seconds`; a line a validation.

    Training is worth more than its display: if the stream is missing, or cannot be written
    any more, nothing is shown from then on.

    Parameters
    ----------
    stream : text stream, optional
        Default ``sys.stderr``.
    seconds : float
        Between two plain lines.
    """

    def __init__(self, stream: TextIO | None = None, seconds: float = 10.0):
        self._stream: Any = QuietStream(sys.stderr if stream is None else stream)
        self._seconds = seconds
        self._bar: Any = None
        self._info: RunInfo | None = None
        self._spoke = 0.0
        self._row: dict[str, Any] = {}

    def started(self, info: RunInfo) -> None:
        """Print what is trained, and open the bar."""
        self._info = info
        self._spoke = time.monotonic()
        self._say(info.description)
        for line in info.notes:
            self._say(line)
        if self._stream.isatty():
            from tqdm import tqdm

            self._bar = tqdm(
                total=info.total_steps,
                initial=info.first_step,
                unit="step",
                file=self._stream,
                dynamic_ncols=True,
                smoothing=0.1,
            )

    def stepped(self, step: int) -> None:
        """Move the bar."""
        if self._bar is not None:
            self._bar.update(step - self._bar.n)

    def logged(self, row: dict[str, Any]) -> None:
        """Show loss and speed."""
        self._row = row
        if self._bar is not None:
            self._bar.set_postfix_str(self._shown(row), refresh=False)
        elif time.monotonic() - self._spoke >= self._seconds:
            self._spoke = time.monotonic()
            self._say(f"{self._place(row)}: {self._numbers(row)}{self._left(row)}")

    def validating(self, done: int, total: int) -> None:
        """Show how far the validation is."""
        if self._bar is not None:
            self._bar.set_postfix_str(f"validating {done / max(total, 1):.0%}")

    def validated(self, row: dict[str, Any]) -> None:
        """Print a line."""
        if self._bar is not None:
            self._bar.set_postfix_str(self._shown(self._row) if self._row else "", refresh=False)
        best = ", the best so far" if row["best"] else ""
        level = self._info.level if self._info is not None else "char"
        loss = readable(row["valid_loss"], level)
        self._say(f"{self._place(row)}: validation {loss}{best} ({clock(row['seconds'])})")

    def note(self, message: str) -> None:
        """Print a line."""
        self._say(message)

    def finished(self) -> None:
        """Close the bar."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def _say(self, line: str) -> None:
        if self._bar is not None:
            self._bar.write(line, file=self._stream)
        else:
            self._stream.write(line + "\n")
            self._stream.flush()

    def _place(self, row: dict[str, Any]) -> str:
        total = self._info.total_steps if self._info is not None else None
        of = f"/{total}" if total else ""
        return f"step {row['step']}{of}, epoch {row['epoch']:.2f}"

    def _numbers(self, row: dict[str, Any]) -> str:
        level = self._info.level if self._info is not None else "char"
        loss = readable(row["train_loss"], level)
        shown = f"{loss}, {row['tokens_per_second']:,.0f} tokens/s"
        if "loss_scale" in row and row["skipped"]:
            shown += f", {row['skipped']} skipped, loss scale {row['loss_scale']:.0f}"
        return shown

    def _shown(self, row: dict[str, Any]) -> str:
        """What stands beside the bar, which knows the time left only from the steps left."""
        timed = self._info is not None and self._info.total_steps is None
        return self._numbers(row) + (self._left(row) if timed else "")

    def _left(self, row: dict[str, Any]) -> str:
        info, left = self._info, []
        if info is not None and info.total_steps and row["tokens_per_second"]:
            tokens = (info.total_steps - row["step"]) * info.tokens_per_step
            left.append(tokens / row["tokens_per_second"])
        if info is not None and info.minutes is not None:
            left.append(60.0 * info.minutes - row["seconds"])
        return f", {clock(max(min(left), 0.0))} left" if left else ""


def clock(seconds: float) -> str:
    """``1:02:03`` or ``2:03``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
