"""`train`: from settings, or from a run folder, to a loop that runs."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from rnn_xp.backend import get_backend
from rnn_xp.errors import CheckpointError
from rnn_xp.models import Rnnlm
from rnn_xp.train.claim import check_free, clear, remove_temporary
from rnn_xp.train.dataset import absolute_data, prepare_data
from rnn_xp.train.interrupt import stop_on_signals
from rnn_xp.train.loop import Trainer
from rnn_xp.train.plan import make_optimizer, make_schedule, model_config, resolved, total_steps
from rnn_xp.train.report import Reporter
from rnn_xp.train.result import TrainResult
from rnn_xp.train.run_config import RunConfig
from rnn_xp.train.run_folder import RunFolder
from rnn_xp.train.settings import TrainSettings, known, option_name

# What a resume may change: limits, and what does not change the meaning of what was saved.
CHANGEABLE = (
    "epochs",
    "steps",
    "minutes",
    "patience",
    "save_every",
    "lr",
    "clip",
    "backend",
    "threads",
    "data",
    "valid",
)


def train(
    settings: TrainSettings | None,
    out: str | Path,
    *,
    resume: bool = False,
    overwrite: bool = False,
    reporter: Reporter | None = None,
    changes: dict[str, Any] | None = None,
) -> TrainResult:
    """Train a language model into a run folder, or go on with one.

    Ctrl-C and SIGTERM end the run after the current step, with everything saved; a second
    one ends it at once.

    Parameters
    ----------
    settings : TrainSettings or None
        Not used with `resume`, which takes those of the run.
    out : path
        The run folder.
    resume : bool
        Go on where the run in `out` ended: on NumPy, with the same number of threads, bit
        for bit as if it had not ended.
    overwrite : bool
        Delete the run that is in `out` and start anew. Files that are not a run's stay.
    reporter : Reporter, optional
        Default: a silent one.
    changes : dict, optional
        With `resume`: settings to change, among `CHANGEABLE`. A text may be somewhere else,
        but must be the same text.

    Returns
    -------
    TrainResult

    Raises
    ------
    ValueError
        If a setting is wrong, or may not be changed.
    DataError
        If a text cannot be used.
    CheckpointError
        If `out` is not free, cannot be written, or cannot be resumed.
    NonFiniteError
        If the loss is not finite; what was good is saved.
    """
    reporter = Reporter() if reporter is None else reporter
    try:
        if resume:
            trainer = _resumed(Path(out), changes or {}, reporter)
        elif settings is None:
            raise ValueError("train: settings are missing; give them, or resume=True")
        else:
            trainer = _new(settings, Path(out), overwrite, reporter)
        # What is not finite is looked for, and reported once; NumPy need not warn as well.
        with np.errstate(all="ignore"), stop_on_signals() as stop:
            return trainer.run(stop)
    finally:
        reporter.finished()


def _new(settings: TrainSettings, out: Path, overwrite: bool, reporter: Reporter) -> Trainer:
    path = check_free(out, overwrite)
    backend = get_backend(settings.backend)
    make_optimizer(settings)
    settings = absolute_data(settings)
    with _made(path):
        data = prepare_data(settings, path)
        level = data.tokenizer.level
        settings = resolved(settings, level, data.batches.steps_per_epoch)
        make_schedule(settings, total_steps(settings, data.batches.steps_per_epoch))
        config = model_config(settings, data.tokenizer.size)
        model = Rnnlm.from_config(config, backend)
        # Only now, when nothing can be wrong any more, an old run may go.
        clear(path)
    folder = RunFolder(path, RunConfig(settings, config, level, data.description))
    folder.save_config()
    data.tokenizer.save(folder.file("vocab.json"))
    return Trainer(folder, data, model, reporter, resume=False)


def _resumed(path: Path, changes: dict[str, Any], reporter: Reporter) -> Trainer:
    folder = RunFolder.open(path)
    config = folder.config
    settings = changed(config.settings, changes, path)
    backend = get_backend(settings.backend)
    try:
        remove_temporary(path)
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be written: {error.strerror}") from error
    data = prepare_data(settings, path, tokenizer=folder.tokenizer(), recorded=config.data)
    model = Rnnlm.from_config(config.model, backend)
    folder.config = RunConfig(settings, config.model, config.level, config.data)
    trainer = Trainer(folder, data, model, reporter, resume=True)
    if settings != config.settings:
        folder.save_config()
    return trainer


def changed(settings: TrainSettings, changes: dict[str, Any], path: Path) -> TrainSettings:
    """The settings of a run with those that a resume may change.

    Raises
    ------
    ValueError
        If another one would change.
    """
    known(changes)
    recorded = settings.to_json()
    refused = [n for n, v in changes.items() if n not in CHANGEABLE and v != recorded[n]]
    if refused:
        name = refused[0]
        may = ", ".join(map(option_name, CHANGEABLE))
        raise ValueError(
            f"--resume {path}: the run has {option_name(name)} {recorded[name]}, a resume cannot "
            f"change it to {changes[name]} (only {may}); start a new run with --out for that"
        )
    made = settings.replace(**{n: v for n, v in changes.items() if n in CHANGEABLE})
    return absolute_data(made)


@contextlib.contextmanager
def _made(path: Path) -> Iterator[None]:
    """Make a folder for the block, and take it away again if the block fails and left nothing."""
    existed = path.exists()
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CheckpointError(
            f"--out {path}: cannot be made: {error.strerror}; choose another folder"
        ) from error
    try:
        yield
    except BaseException:
        if not existed:
            with contextlib.suppress(OSError):
                path.rmdir()
        raise
