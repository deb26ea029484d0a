"""What `rnn_xp.train.train` returns."""

from dataclasses import dataclass, field
from pathlib import Path

from rnn_xp.train.evaluate import perplexity
from rnn_xp.train.progress import Progress
from rnn_xp.train.run_folder import FILES, RunFolder


@dataclass(frozen=True, slots=True)
class TrainResult:
    """How a run ended.

    Attributes
    ----------
    path : Path
        The run folder.
    step, tokens : int
    epoch, seconds : float
    metric : str or None
        "valid_bits_per_char" or "valid_perplexity"; None without validation.
    best : float or None
        Its best value, reached at `best_step`.
    train_loss : float or None
        Mean nats per token of the last complete epoch.
    stopped : str
        "done", "minutes", "patience" or "interrupted".
    skipped : int
        Updates that were not made because a gradient was not finite.
    files : dict of str to Path
        What the folder holds.
    """

    path: Path
    step: int
    tokens: int
    epoch: float
    seconds: float
    metric: str | None
    best: float | None
    best_step: int | None
    train_loss: float | None
    stopped: str
    skipped: int
    files: dict[str, Path] = field(default_factory=dict)

    @classmethod
    def of(cls, folder: RunFolder, progress: Progress, ended: str) -> "TrainResult":
        """Of a run that is where `progress` says."""
        paths = {name: folder.file(name) for name in FILES}
        return cls(
            path=folder.path,
            step=progress.step,
            tokens=progress.tokens,
            epoch=progress.epoch,
            seconds=progress.seconds,
            metric=progress.metric,
            best=progress.best,
            best_step=progress.best_step,
            train_loss=progress.last_epoch_loss,
            stopped=ended,
            skipped=progress.skipped,
            files={name: path for name, path in paths.items() if path.exists()},
        )

    @property
    def interrupted(self) -> bool:
        """Whether Ctrl-C or SIGTERM ended it."""
        return self.stopped == "interrupted"

    @property
    def train_perplexity(self) -> float | None:
        """``exp(train_loss)``."""
        return None if self.train_loss is None else perplexity(self.train_loss)
