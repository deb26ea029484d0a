"""Files that are either the old one or the new one, never half of it."""

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from rnn_xp.errors import CheckpointError


@contextlib.contextmanager
def atomic_write(path: str | Path) -> Iterator[IO[bytes]]:
    """Write a file beside `path`, and put it in its place when it is complete.

    An error or a kill on the way leaves what was there before. The data is on the disk
    before the name changes.

    Raises
    ------
    CheckpointError
        If the file cannot be written: the disk is full, or the folder is not writable.
    """
    path = Path(path)
    temporary = None
    try:
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
        temporary = None
    except OSError as error:
        raise CheckpointError(
            f"cannot write {path}: {error.strerror or error}; free some space or choose "
            "another folder"
        ) from error
    finally:
        if temporary is not None:
            with contextlib.suppress(OSError):
                os.unlink(temporary)


def _umask() -> int:
    # The only portable way to read the umask is to set it.
    mask = os.umask(0)
    os.umask(mask)
    return mask
