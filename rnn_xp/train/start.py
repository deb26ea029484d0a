"""`train`: from settings, or from a run folder, to a loop that runs."""

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from rnn_xp._version import __version__
from rnn_xp.backend import Backend, get_backend
from rnn_xp.errors import CheckpointError, PrecisionUnavailable
from rnn_xp.models import LMConfig, Rnnlm
from rnn_xp.train.checks import option_name
from rnn_xp.train.claim import check_free, clear, remove_temporary, remove_unused
from rnn_xp.train.dataset import TrainingData, absolute_data, prepare_data
from rnn_xp.train.interrupt import stop_on_signals
from rnn_xp.train.lock import locked
from rnn_xp.train.loop import Trainer
from rnn_xp.train.plan import make_optimizer, make_schedule, model_config, resolved, total_steps
from rnn_xp.train.report import Reporter
from rnn_xp.train.result import TrainResult
from rnn_xp.train.run_config import RunConfig, new_run_id
from rnn_xp.train.run_folder import RunFolder
from rnn_xp.train.settings import NO_VALIDATION, TrainSettings, known

LIMITS = ("epochs", "steps", "minutes")
# What a resume may change: limits, and what does not change the meaning of what was saved.
CHANGEABLE = (
    *LIMITS,
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
        If `out` is not free, cannot be written, or cannot be resumed, or if another process
        is training in it.
    PrecisionUnavailable
        If the backend has not the precision of the settings, or of the run.
    NonFiniteError
        If the loss is not finite; what was good is saved.
    """
    reporter = Reporter() if reporter is None else reporter
    path = Path(out)
    try:
        if resume:
            RunFolder.open(path)  # before a lock file is made in what is no run folder
            with locked(path):
                return _run(_resumed(path, changes or {}, reporter))
        if settings is None:
            raise ValueError("train: settings are missing; give them, or resume=True")
        check_free(path, overwrite)
        make_optimizer(settings)
        with _made(path), locked(path):
            return _run(_new(settings, path, overwrite, reporter))
    finally:
        reporter.finished()


def _run(trainer: Trainer) -> TrainResult:
    # What is not finite is looked for, and reported once; NumPy need not warn as well.
    with np.errstate(all="ignore"), stop_on_signals() as stop:
        return trainer.run(stop)


def _new(settings: TrainSettings, path: Path, overwrite: bool, reporter: Reporter) -> Trainer:
    check_free(path, overwrite)  # again: another process may have trained here meanwhile
    backend = get_backend(settings.backend)
    backend.kernels(settings.dtype, settings.precision)  # raises if they, or the mode, are wrong
    settings = absolute_data(settings)
    with _tidied(path):
        data = prepare_data(settings, path)
        settings, config, model = _planned(settings, data, backend)
    # Only now, when nothing can be wrong any more, an old run may go.
    used = [n for n in ("train", "valid") if data.description[n] is not None]
    clear(path, keep=[f"{name}.tokens" for name in used])
    level, description = data.tokenizer.level, data.description
    made = RunConfig(settings, config, level, description, run_id=new_run_id())
    folder = RunFolder(path, made)
    folder.save_config()
    data.tokenizer.save(folder.file("vocab.json"))
    return Trainer(folder, data, model, reporter, resume=False)


def _planned(
    settings: TrainSettings, data: TrainingData, backend: Backend
) -> tuple[TrainSettings, LMConfig, Rnnlm]:
    """Everything that may still be refused before an old run is touched."""
    level = data.tokenizer.level
    settings = resolved(settings, level, data.batches.steps_per_epoch)
    make_schedule(settings, total_steps(settings, data.batches.steps_per_epoch))
    config = model_config(settings, data.tokenizer.size)
    model = Rnnlm.from_config(config, backend)
    model.set_precision(settings.precision)
    return settings, config, model


def _resumed(path: Path, changes: dict[str, Any], reporter: Reporter) -> Trainer:
    folder = RunFolder.open(path)
    config = folder.config
    settings = changed(config.settings, changes, path)
    try:
        backend = get_backend(settings.backend)
    except ValueError as error:
        raise ValueError(f"--backend of the run {path}: {error}") from error
    try:
        backend.kernels(settings.dtype, settings.precision)
    except PrecisionUnavailable as error:
        raise PrecisionUnavailable(
            f"--resume {path}: a resume keeps the run's precision, but {error}"
        ) from error
    try:
        remove_temporary(path)
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be written: {error.strerror}") from error
    unstarted = folder.unstarted
    tokenizer = None if unstarted and not folder.file("vocab.json").exists() else folder.tokenizer()
    data = prepare_data(settings, path, tokenizer=tokenizer, recorded=config.data)
    if tokenizer is None:
        data.tokenizer.save(folder.file("vocab.json"))
        folder.tokenizer()  # raises unless it fits the model
    model = Rnnlm.from_config(config.model, backend)
    model.set_precision(settings.precision)
    folder.config = replace(config, settings=settings, version=__version__)
    trainer = Trainer(folder, data, model, reporter, not unstarted, new_rate="lr" in changes)
    if not unstarted:
        folder.check_model()  # else the run would keep it as that of its best validation
    _check_limits(changes, config.settings, trainer)
    if settings != config.settings:
        folder.save_config()
    return trainer


def _check_limits(changes: dict[str, Any], before: TrainSettings, trainer: Trainer) -> None:
    """Raise if a new limit is behind the run: it would be recorded, and nothing trained."""
    progress = trainer.progress
    reached = {
        "steps": progress.step,
        "epochs": progress.step / trainer.batches.steps_per_epoch,
        "minutes": progress.seconds / 60.0,
    }
    for name, done in reached.items():
        value = changes.get(name)
        if value not in (None, getattr(before, name)) and value < done:
            raise ValueError(
                f"{option_name(name)} {value:g}: the run has {done:g} {name} behind it already; "
                "give more to go on"
            )


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
    if "valid" in changes and (changes["valid"] == NO_VALIDATION) != (
        settings.valid == NO_VALIDATION
    ):
        does = "no validation" if settings.valid == NO_VALIDATION else "a validation"
        raise ValueError(
            f"--resume {path}: the run has {does}, a resume cannot change that; leave --valid out, "
            "or start a new run with --out"
        )
    allowed = {n: v for n, v in changes.items() if n in CHANGEABLE}
    made = settings.replace(**_replaced_limits(settings, allowed), **allowed)
    if not any(getattr(made, name) for name in LIMITS):
        raise ValueError(f"--resume {path}: no limit is left; give --steps, --epochs or --minutes")
    return absolute_data(made)


def _replaced_limits(settings: TrainSettings, changes: dict[str, Any]) -> dict[str, None]:
    """The recorded limits that end where a new one is given.

    The cosine is drawn over the steps of the whole run, so there a limit in minutes only
    adds to the recorded one.
    """
    given = {name for name in LIMITS if changes.get(name) is not None}
    if not given or (given == {"minutes"} and settings.schedule == "cosine"):
        return {}
    return {name: None for name in LIMITS if name not in changes}


@contextlib.contextmanager
def _tidied(path: Path) -> Iterator[None]:
    """Delete the encoded texts if the block fails and the folder has no run that needs them."""
    try:
        yield
    except BaseException:
        if not (path / "config.json").exists():
            with contextlib.suppress(OSError):
                remove_unused(path)
        raise


@contextlib.contextmanager
def _made(path: Path) -> Iterator[None]:
    """Make a folder for the block, and take it away again if the block fails and left nothing."""
    made = [folder for folder in (path, *path.parents) if not folder.exists()]
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CheckpointError(
            f"--out {path}: cannot be made: {error.strerror}; choose another folder"
        ) from error
    try:
        yield
    except BaseException:
        with contextlib.suppress(OSError):
            for folder in made:
                folder.rmdir()
        raise
