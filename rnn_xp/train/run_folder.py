"""The run folder: what a training run leaves, readable on any backend, without a pickle.

==================== ==========================================================
config.json          settings, model, level, data, versions and the run's id
vocab.json           the vocabulary
model.safetensors    weights of the best validation (of the last save without one)
last.safetensors     everything that a resume needs, and the last weights
metrics.jsonl        one row for each log and each validation
curve.png            the rows as a picture
*.tokens             encoded texts, if they are too large for memory
==================== ==========================================================
"""

import json
from pathlib import Path
from typing import Any

from rnn_xp.backend import Backend
from rnn_xp.checkpoint import load_arrays
from rnn_xp.data import Tokenizer, load_tokenizer
from rnn_xp.errors import CheckpointError
from rnn_xp.files import atomic_write
from rnn_xp.models import LMConfig, Rnnlm
from rnn_xp.train.metrics import read_metrics
from rnn_xp.train.progress import Progress
from rnn_xp.train.run_config import RunConfig, read_config

FILES = (
    "config.json",
    "vocab.json",
    "model.safetensors",
    "last.safetensors",
    "metrics.jsonl",
    "curve.png",
    "train.tokens",
    "valid.tokens",
)
PARAMETER = "parameters/"  # prefix of the weights in last.safetensors


class RunFolder:
    """A run folder on the disk.

    Use `open` for one that exists; `rnn_xp.train.train` makes new ones.

    Attributes
    ----------
    path : Path
    config : RunConfig
    """

    def __init__(self, path: Path, config: RunConfig):
        self.path = path
        self.config = config

    @classmethod
    def open(cls, path: str | Path) -> "RunFolder":
        """Open a run folder.

        Raises
        ------
        CheckpointError
            If it is missing, is no run folder, or its ``config.json`` is damaged.
        """
        path = Path(path)
        if path.exists() and not path.is_dir():
            raise CheckpointError(f"{path}: is a file, expected the folder that rnn-xp train wrote")
        if not path.is_dir():
            raise CheckpointError(f"{path}: no such run folder; rnn-xp train --out {path} makes it")
        document = read_config(path)
        if document is None:
            raise CheckpointError(
                f"{path}: holds no config.json, so it is not a run folder; "
                "give the folder that rnn-xp train wrote"
            )
        try:
            config = RunConfig.from_json(document)
        except (KeyError, TypeError, ValueError) as error:
            raise CheckpointError(
                f"{path / 'config.json'}: damaged ({_reason(error)}); restore it from a copy"
            ) from error
        return cls(path, config)

    def file(self, name: str) -> Path:
        """Path of one of the files."""
        return self.path / name

    def save_config(self) -> None:
        """Write ``config.json``."""
        text = json.dumps(self.config.to_json(), indent=2, ensure_ascii=False) + "\n"
        with atomic_write(self.file("config.json")) as file:
            # A path may hold what is not UTF-8, as a lone surrogate: \udcff, also in JSON.
            file.write(text.encode("utf-8", "backslashreplace"))

    def tokenizer(self) -> Tokenizer:
        """Read ``vocab.json``.

        Raises
        ------
        CheckpointError
            If it is missing or damaged, or does not fit the model.
        """
        tokenizer = load_tokenizer(self.file("vocab.json"))
        if tokenizer.size != self.config.model.vocab_size:
            raise CheckpointError(
                f"{self.file('vocab.json')}: holds {tokenizer.size} symbols, but the model has "
                f"{self.config.model.vocab_size}; restore it from a copy"
            )
        # Runs of releases before there was a digest have none.
        if self.config.data.get("vocab_digest") not in (None, tokenizer.digest):
            raise CheckpointError(
                f"{self.file('vocab.json')}: is not the vocabulary of this run, though it is of "
                "the same size: other symbols, or another order; restore it from a copy"
            )
        return tokenizer

    def load_model(
        self,
        backend: str | Backend | None = None,
        dtype: str | None = None,
        which: str = "best",
    ) -> Rnnlm:
        """Read the model, on any backend.

        Parameters
        ----------
        backend : str or Backend, optional
            Default: what ``RNN_BACKEND`` names.
        dtype : {"float32", "float64"}, optional
            Default: that of the run.
        which : {"best", "last"}
            Weights of the best validation, or the last ones.

        Raises
        ------
        CheckpointError
            If the file is missing or damaged, or of another run.
        """
        if which not in ("best", "last"):
            raise ValueError(f"which is {which!r}, expected best or last")
        if which == "best":
            path = self._existing("model.safetensors")
            arrays, document = load_arrays(path)
            model = Rnnlm.from_arrays(arrays, document, str(path), backend, dtype)
            self._check_config(path, model.config)
            self.require_own(path, document)
            return model
        path = self._existing("last.safetensors")
        arrays, document = load_arrays(path)
        self.require_own(path, document)
        settings = self.config.model.to_json() | ({} if dtype is None else {"dtype": dtype})
        model = Rnnlm.from_config(LMConfig.from_json(settings), backend)
        model.set_parameters(parameters_in(arrays), str(path))
        return model

    def metrics(self) -> list[dict[str, Any]]:
        """Rows of ``metrics.jsonl``."""
        return read_metrics(self.file("metrics.jsonl"))

    def summary(self) -> dict[str, Any]:
        """What there is to know about the run, as JSON values."""
        path = self._existing("last.safetensors")
        _, document = load_arrays(path)
        self.require_own(path, document)
        progress = progress_in(document, path)
        return {
            "path": str(self.path),
            "files": [name for name in FILES if self.file(name).exists()],
            "step": progress.step,
            "epoch": progress.epoch,
            "tokens": progress.tokens,
            "seconds": progress.seconds,
            "metric": progress.metric,
            "best": progress.best,
            "best_step": progress.best_step,
            **self.config.to_json(),
        }

    @property
    def unstarted(self) -> bool:
        """Whether the run was stopped before its first checkpoint, and so is at step 0.

        A run that has rows of metrics, or trained weights, is not: it lost its checkpoint.
        """
        metrics, model = self.file("metrics.jsonl"), self.file("model.safetensors")
        if self.file("last.safetensors").exists() or (
            metrics.exists() and metrics.stat().st_size > 0
        ):
            return False
        if not model.exists():
            return True
        _, document = load_arrays(model)
        return bool(document.get("run", {}).get("step") == 0)

    def check_model(self) -> None:
        """Raise if ``model.safetensors`` is there, but damaged or of another run.

        For a run whose ``last.safetensors`` is its own: that is what the remedy needs.

        Raises
        ------
        CheckpointError
        """
        path = self.file("model.safetensors")
        if not path.exists():
            return
        try:
            self.require_own(path, load_arrays(path)[1])
        except CheckpointError as error:
            raise CheckpointError(
                f"{error}, or remove it: a resume then writes the last weights there"
            ) from error

    def require_own(self, path: Path, document: dict[str, Any]) -> None:
        """Raise if a checkpoint is of another run than ``config.json``, whatever its shape.

        Runs and files of releases before there was a ``run_id`` have none: such a file is
        taken.

        Raises
        ------
        CheckpointError
        """
        found, own = document.get("run_id"), self.config.run_id
        if found is not None and found != own:
            raise CheckpointError(
                f"{path}: is of run {found}, but {self.file('config.json')} of "
                f"{'a run without run_id' if own is None else f'run {own}'}; "
                "restore the one that is not of this run from a copy"
            )

    def _check_config(self, path: Path, found: LMConfig) -> None:
        """Raise unless the model in a file is the run's, but for the dtype that was asked for."""
        theirs, ours = found.to_json(), self.config.model.to_json()
        other = [name for name in ours if name != "dtype" and theirs[name] != ours[name]]
        if other:
            values = ", ".join(f"{name} {theirs[name]} and not {ours[name]}" for name in other)
            raise CheckpointError(
                f"{path}: is the model of another run, it has {values}; restore it from a copy"
            )

    def _existing(self, name: str) -> Path:
        path = self.file(name)
        if not path.exists():
            raise CheckpointError(
                f"{path}: no such file; the run was stopped before its first checkpoint or the "
                f"file was removed: go on with the run (rnn-xp train --resume {self.path}) or "
                "restore the file"
            )
        return path


def progress_in(document: dict[str, Any], path: Path) -> Progress:
    """How far the run is that the document of ``last.safetensors`` belongs to.

    Raises
    ------
    CheckpointError
        If it is another document.
    """
    try:
        return Progress.from_json(document["progress"])
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(
            f"{path}: is not the checkpoint of a run ({_reason(error)}); restore it from a copy"
        ) from error


def _reason(error: Exception) -> str:
    return f"{error} is missing" if isinstance(error, KeyError) else str(error)


def parameters_in(arrays: dict[str, Any]) -> dict[str, Any]:
    """The weights among the arrays of ``last.safetensors``, by parameter name."""
    return {
        name.removeprefix(PARAMETER): array
        for name, array in arrays.items()
        if name.startswith(PARAMETER)
    }
