"""Files that are either the old one or the new one, never half of it."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from rnn_xp.errors import CheckpointError, RnnXpError


class AtomicFile:
    """A file being written; made by `atomic_write`.

    Its methods turn an `OSError` (a full disk, above all) into one clear line.
    """

    def __init__(self, file: IO[bytes], path: Path, error_class: type[RnnXpError]):
        self._file = file
        self._path = path
        self._error_class = error_class

    def write(self, data: bytes | memoryview) -> None:
        """Append `data`."""
        with _named(self._path, self._error_class):
            self._file.write(data)

    def rewind(self) -> None:
        """Go back to the beginning, to write over what is there."""
        with _named(self._path, self._error_class):
            self._file.seek(0)

    def finish(self) -> None:
        """Wait until everything is on the disk."""
        with _named(self._path, self._error_class):
            self._file.flush()
            os.fsync(self._file.fileno())


@contextmanager
def atomic_write(
    path: str | os.PathLike[str], error_class: type[RnnXpError] = CheckpointError
) -> Iterator[AtomicFile]:
    """Write a file through a temporary one beside it, which is renamed at the end.

    Whatever happens, `path` is either as it was before or complete; after an exception
    (`KeyboardInterrupt` too) the temporary file is gone.

    Parameters
    ----------
    path : str or os.PathLike
        Its folder must exist.
    error_class : type
        What to raise if the file cannot be written.

    Yields
    ------
    AtomicFile
    """
    target = Path(path)
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    with _named(target, error_class):
        file = open_temporary(temporary)
    try:
        atomic = AtomicFile(file, target, error_class)
        try:
            yield atomic
            atomic.finish()
        finally:
            # After a failed write the buffer is still full, so closing fails once more;
            # the first error is the one to report.
            with suppress(OSError):
                file.close()
        with _named(target, error_class):
            os.replace(temporary, target)
    except BaseException:
        with suppress(FileNotFoundError):
            temporary.unlink()
        raise


def open_temporary(path: Path) -> IO[bytes]:
    """Create the temporary file."""
    return path.open("wb")


@contextmanager
def _named(path: Path, error_class: type[RnnXpError]) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        remedy = "check the folder and its permissions"
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            remedy = "free some space or choose another place; nothing was changed"
        raise error_class(f"{path}: cannot be written: {error.strerror}; {remedy}") from error
