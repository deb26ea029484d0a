"""``config.json``: what a run was made with."""

import json
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rnn_xp._version import __version__
from rnn_xp.data.tokenizers import LEVELS
from rnn_xp.errors import CheckpointError
from rnn_xp.models import LMConfig
from rnn_xp.train.settings import TrainSettings

FORMAT = "rnn_xp run"
FORMAT_VERSION = 1
_DATA = {"name": str, "train_tokens": int, "valid_tokens": int, "digests": dict}


@dataclass(frozen=True, slots=True)
class RunConfig:
    """Content of ``config.json``.

    Attributes
    ----------
    settings : TrainSettings
    model : LMConfig
    level : {"char", "word", "byte"}
    data : dict
        Names, sizes and sha256 digests of the texts.
    version : str
        Of the rnn_xp that wrote it.
    run_id : str or None
        Tells the run from all others; its checkpoints carry it too. Runs of releases before
        there were any have None.
    """

    settings: TrainSettings
    model: LMConfig
    level: str
    data: dict[str, Any]
    version: str = __version__
    run_id: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Return a dictionary of JSON values."""
        return {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "version": self.version,
            "run_id": self.run_id,
            "level": self.level,
            "settings": self.settings.to_json(),
            "model": self.model.to_json(),
            "data": self.data,
        }

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> "RunConfig":
        """Read what `to_json` returned.

        Raises
        ------
        KeyError, TypeError, ValueError
            If it is something else.
        """
        data = dict(document["data"])
        for key, kind in _DATA.items():
            if not isinstance(data[key], kind):
                raise ValueError(f"data: {key} is {data[key]!r}")
        level = document["level"]
        if level not in tuple(LEVELS):  # a tuple: what is damaged may have no hash
            raise ValueError(f"level is {level!r}")
        run_id = document.get("run_id")
        if not isinstance(run_id, str | None):
            raise ValueError(f"run_id is {run_id!r}")
        return cls(
            TrainSettings.from_json(document["settings"]),
            LMConfig.from_json(document["model"]),
            level,
            data,
            str(document["version"]),
            run_id,
        )


def new_run_id() -> str:
    """Sixteen random hexadecimal digits; they have nothing to do with the run's seed."""
    return secrets.token_hex(8)


def read_config(path: Path, strict: bool = True) -> dict[str, Any] | None:
    """Content of ``config.json``; None if there is none.

    One that is damaged or not ours is an error if `strict`, else None too.
    """
    file = path / "config.json"
    try:
        document = json.loads(file.read_bytes().decode("utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError) as error:
        if not strict:
            return None
        raise CheckpointError(f"{file}: damaged ({error}); restore it from a copy") from error
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        if not strict:
            return None
        raise CheckpointError(f"{file}: is not the configuration of an rnn_xp run")
    if document.get("format_version") != FORMAT_VERSION and strict:
        raise CheckpointError(
            f"{file}: format version {document.get('format_version')}, this release reads "
            f"{FORMAT_VERSION}; use the release that wrote it"
        )
    return document
