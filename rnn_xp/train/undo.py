"""What training goes back to when it gives up on steps that changed no parameter.

Such steps may have been logged, validated and counted before it was clear that they lead
nowhere.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rnn_xp.files import atomic_write
from rnn_xp.optim import Schedule
from rnn_xp.train.metrics import MetricsFile
from rnn_xp.train.progress import Progress
from rnn_xp.train.stepper import StepRecord


@dataclass(slots=True)
class Before:
    """How everything was before the first step of a row of bad ones.

    Attributes
    ----------
    record : StepRecord
        That step: it has the recurrent states and the dropout counters.
    progress : Progress
    schedule : dict
        State of the learning rate schedule.
    model : bytes or None
        ``model.safetensors``, if a validation after the step has replaced it.
    """

    record: StepRecord
    progress: Progress
    schedule: dict[str, Any]
    model: bytes | None = None

    @classmethod
    def of(
        cls, record: StepRecord, progress: Progress, metrics: MetricsFile, schedule: Schedule
    ) -> "Before":
        """Take note when the numbers of the step come from the device.

        Nothing was logged or validated since the step then: both fetch the numbers first.
        """
        before = replace(progress, window=list(progress.window), metrics_bytes=metrics.size)
        before.undo(record.step)
        return cls(record, before, dict(schedule.state_dict()))

    def keep_model(self, path: Path) -> None:
        """Take note of ``model.safetensors`` before it is replaced."""
        if self.model is None and path.exists():
            self.model = path.read_bytes()

    def restore(self, metrics: MetricsFile, schedule: Schedule, model: Path) -> Progress:
        """Put files and schedule back; return the progress of before."""
        metrics.cut_back(self.progress.metrics_bytes)
        schedule.load_state_dict(self.schedule)
        if self.model is not None:
            with atomic_write(model) as file:
                file.write(self.model)
        return self.progress
