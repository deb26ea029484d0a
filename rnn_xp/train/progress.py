"""How far a run is: counters, the numbers of the log, and the clock."""

import contextlib
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from typing import Any, TypeAlias

Numbers: TypeAlias = tuple[int, int, float, float, bool]


@dataclass(slots=True)
class Progress:
    """How far a run is, as JSON values; part of every checkpoint.

    Attributes
    ----------
    step, tokens : int
        Steps made, tokens predicted.
    epoch : float
    seconds : float
        Time spent training, validating and saving, over all resumes.
    metric : str or None
        Name of the validation number.
    best : float or None
        Its best value; `best_nats` and `best_step` are the loss there and the step.
    worse : int
        Planned validations since then.
    validated : int
        The step of the last validation.
    skipped : int
        Updates that were not made because a gradient was not finite, or the scaled one was not.
    window : list of Numbers
        Step, tokens, loss, norm and ok of each step since the last row of the log.
    epoch_nats, epoch_tokens : float, int
        Sum of the losses of this epoch's tokens up to the last row, and how many they are.
    last_epoch_loss : float or None
        Mean loss of the last epoch that was completed.
    metrics_bytes : int
        Size of ``metrics.jsonl``.
    """

    step: int = 0
    tokens: int = 0
    epoch: float = 0.0
    seconds: float = 0.0
    metric: str | None = None
    best: float | None = None
    best_nats: float | None = None
    best_step: int | None = None
    worse: int = 0
    validated: int = 0
    skipped: int = 0
    window: list[Numbers] = field(default_factory=list)
    epoch_nats: float = 0.0
    epoch_tokens: int = 0
    last_epoch_loss: float | None = None
    metrics_bytes: int = 0

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> "Progress":
        """Read what ``dataclasses.asdict`` and JSON made of it.

        Raises
        ------
        KeyError, TypeError, ValueError
            If something is missing or of another type.
        """
        progress = cls(**{entry.name: document[entry.name] for entry in fields(cls)})
        progress.window = [
            (int(step), int(tokens), float(loss), float(norm), bool(ok))
            for step, tokens, loss, norm, ok in progress.window
        ]
        return progress

    def fetched(self, numbers: list[Numbers]) -> None:
        """Take note of steps whose numbers came from the device."""
        self.window += numbers
        self.skipped += sum(not ok for *_, ok in numbers)

    def undo(self, step: int) -> None:
        """Forget step number `step` and all after it, which changed no parameter."""
        undone = [entry for entry in self.window if entry[0] >= step]
        self.window = [entry for entry in self.window if entry[0] < step]
        self.skipped -= sum(not ok for *_, ok in undone)
        self.tokens -= sum(tokens for _, tokens, *_ in undone)
        self.step = step - 1

    def forget_best(self) -> None:
        """The best weights are lost; unless they are those of now, the next ones are the best."""
        if self.best_step != self.step:
            self.best = self.best_nats = self.best_step = None

    def log_row(self, lr: float, seconds: float, epoch_ended: bool) -> dict[str, Any]:
        """Row of training numbers since the last one; `seconds` is how long that took.

        Steps whose update was skipped are left out of the loss.
        """
        window, self.window = self.window, []
        good = [(tokens, loss) for _, tokens, loss, _, ok in window if ok]
        nats, count = math.fsum(n * loss for n, loss in good), sum(n for n, _ in good)
        self.epoch_nats += nats
        self.epoch_tokens += count
        row = {
            **self._place(),
            "train_loss": nats / count if count else None,
            "lr": lr,
            "grad_norm": finite(window[-1][3]),
            "skipped": self.skipped,
            "tokens_per_second": round(sum(entry[1] for entry in window) / max(seconds, 1e-9), 1),
        }
        if epoch_ended:
            if self.epoch_tokens:
                self.last_epoch_loss = self.epoch_nats / self.epoch_tokens
            row["epoch_loss"] = self.last_epoch_loss
            self.epoch_nats, self.epoch_tokens = 0.0, 0
        return row

    def validation_row(self, nats: float, name: str, value: float, planned: bool) -> dict[str, Any]:
        """Row of a validation; ``best`` in it says whether it is better than all before.

        A validation that was not planned (the last one of a run) does not count as worse.
        """
        better = math.isfinite(nats) and (self.best_nats is None or nats < self.best_nats)
        self.metric, self.validated = name, self.step
        if better:
            self.best, self.best_nats, self.best_step, self.worse = value, nats, self.step, 0
        elif planned:
            self.worse += 1
        return {**self._place(), "valid_loss": finite(nats), name: finite(value), "best": better}

    def _place(self) -> dict[str, Any]:
        return {
            "step": self.step,
            "epoch": self.epoch,
            "tokens": self.tokens,
            "seconds": round(self.seconds, 3),
        }


def finite(value: float) -> float | None:
    """`value`, or None where JSON has no number for it."""
    return value if math.isfinite(value) else None


class Clock:
    """Seconds of a run over all its resumes, and of training since the last row of the log."""

    def __init__(self, before: float):
        self._before = before
        self._began = self._window_began = time.monotonic()
        self._depth = 0

    def total(self) -> float:
        """Seconds of the whole run."""
        return self._before + time.monotonic() - self._began

    def window(self) -> float:
        """Seconds since the last call, pauses left out."""
        now = time.monotonic()
        seconds, self._window_began = now - self._window_began, now
        return seconds

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Leave the time inside the block out of `window`."""
        began = time.monotonic()
        self._depth += 1
        try:
            yield
        finally:
            self._depth -= 1
            if self._depth == 0:
                self._window_began += time.monotonic() - began
