"""``metrics.jsonl``: one JSON object a line, appended while a run goes on."""

import errno
import json
import os
from pathlib import Path
from typing import IO, Any

from rnn_xp.errors import CheckpointError


class MetricsFile:
    """The metrics of a run that is being trained.

    Parameters
    ----------
    path : Path
    keep : int
        Bytes to keep of what is there: those that belong to the checkpoint, and of these only
        whole lines.

    Attributes
    ----------
    size : int
        Bytes written; a checkpoint remembers it.
    """

    def __init__(self, path: Path, keep: int = 0):
        self.path = path
        try:
            # Unbuffered: what a full disk did not take must not come back at closing.
            self._file: IO[bytes] = path.open("ab", buffering=0)
            self.size = path.read_bytes()[:keep].rfind(b"\n") + 1
            self._file.truncate(self.size)
        except OSError as error:
            raise _unwritable(path, error) from error

    def append(self, row: dict[str, Any]) -> None:
        """Write a row.

        Raises
        ------
        CheckpointError
            If it cannot be written, for example on a full disk.
        """
        line = (json.dumps(row, allow_nan=False) + "\n").encode("ascii")
        try:
            written = self._file.write(line)
        except OSError as error:
            raise _unwritable(self.path, error) from error
        if written != len(line):
            raise _unwritable(self.path, OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))
        self.size += len(line)

    def cut_back(self, size: int) -> None:
        """Take back the rows after the first `size` bytes.

        Raises
        ------
        CheckpointError
            If the file cannot be written.
        """
        try:
            self._file.truncate(size)
        except OSError as error:
            raise _unwritable(self.path, error) from error
        self.size = size

    def sync(self) -> int:
        """Wait until the rows are on the disk; return `size`."""
        try:
            os.fsync(self._file.fileno())
        except OSError as error:
            raise _unwritable(self.path, error) from error
        return self.size

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """Read the rows; a last line that a kill cut short is left out.

    Raises
    ------
    CheckpointError
        If a line before the last one is damaged.
    """
    if not path.exists():
        return []
    rows: list[dict[str, Any]] = []
    lines = path.read_bytes().split(b"\n")
    for number, line in enumerate(lines[:-1], 1):
        try:
            row = json.loads(line)
            if not isinstance(row, dict) or type(row.get("step")) is not int:
                raise ValueError("not a row of metrics")
            rows.append(row)
        except (ValueError, RecursionError) as error:
            raise CheckpointError(
                f"{path}: line {number} is damaged ({error}); remove that line"
            ) from error
    return rows


def _unwritable(path: Path, error: OSError) -> CheckpointError:
    return CheckpointError(
        f"cannot write {path}: {error.strerror or error}; free some space or check the "
        "permissions, then resume the run"
    )
