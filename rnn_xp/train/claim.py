"""Making room for a run: what may be written over, and what may be deleted."""

import re
from collections.abc import Collection
from pathlib import Path

from rnn_xp.data import open_token_file
from rnn_xp.errors import CheckpointError
from rnn_xp.train.lock import LOCK
from rnn_xp.train.run_config import read_config
from rnn_xp.train.run_folder import FILES

TOKEN_FILES = tuple(name for name in FILES if name.endswith(".tokens"))


def check_free(path: str | Path, overwrite: bool) -> Path:
    """Raise unless a new run may be written to `path`.

    Raises
    ------
    CheckpointError
        If there is something already: without `overwrite` anything, with it anything that
        is not a run folder.
    """
    path = Path(path)
    if not path.exists():
        return path
    if not path.is_dir():
        raise CheckpointError(f"--out {path}: is a file, expected a new folder")
    found = [entry.name for entry in path.iterdir() if not _leftover(entry)]
    ours = read_config(path, strict=False) is not None
    if not found:
        return path
    if not overwrite:
        remedy = (
            f"go on with it (rnn-xp train --resume {path}), replace it (--overwrite), or choose "
            "another --out"
            if ours
            else "it is not a run folder: choose another --out"
        )
        raise CheckpointError(f"--out {path}: already holds {_listed(found)}; {remedy}")
    if not ours:
        raise CheckpointError(
            f"--out {path}: holds {_listed(found)}, but no run of rnn_xp; --overwrite leaves "
            "such files alone: choose another --out"
        )
    return path


def clear(path: Path, keep: Collection[str]) -> None:
    """Make the folder, and delete the files that an old run left there; no others.

    Parameters
    ----------
    path : Path
    keep : collection of str
        Files that the new run has made already: its encoded texts.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        # The configuration goes last: as long as it is there, the folder is known as ours.
        for name in reversed(FILES):
            if name not in keep:
                (path / name).unlink(missing_ok=True)
        remove_temporary(path)
    except OSError as error:
        raise CheckpointError(
            f"--out {path}: {error.filename or path} cannot be replaced: {error.strerror}; choose "
            "another folder"
        ) from error


def remove_temporary(path: Path) -> None:
    """Delete what writes that were killed on the way left.

    Only for who holds the folder's lock: for others these may be writes that go on.
    """
    for entry in path.iterdir():
        if _temporary(entry):
            entry.unlink(missing_ok=True)


def remove_unused(path: Path) -> None:
    """Delete what a run that failed before it began left in a new folder."""
    remove_temporary(path)
    for name in TOKEN_FILES:
        (path / name).unlink(missing_ok=True)


def _temporary(entry: Path) -> bool:
    return any(re.fullmatch(rf"\.{re.escape(name)}\.\d+\.tmp", entry.name) for name in FILES)


def _leftover(entry: Path) -> bool:
    """Whether the file is of a run that was killed before it had anything worth keeping."""
    return (
        _temporary(entry)
        or entry.name == LOCK
        or (entry.name in TOKEN_FILES and _is_token_file(entry))
    )


def _is_token_file(entry: Path) -> bool:
    try:
        open_token_file(entry)
    except CheckpointError:
        return False
    return True


def _listed(names: list[str]) -> str:
    names = sorted(names)
    return ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")
