"""One process at a time trains in a run folder."""

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from rnn_xp.errors import CheckpointError

LOCK = ".lock"
_TAKEN = (errno.EWOULDBLOCK, errno.EACCES, errno.EDEADLK)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock of a run folder for the block.

    The system lets go of it when the process ends, however it ends; a lock file that a
    killed process left is no lock.

    Raises
    ------
    CheckpointError
        If another process holds it, or the folder cannot be written.
    """
    file = path / LOCK
    descriptor = _taken(file)
    try:
        yield
    finally:
        _release(file, descriptor)


def _taken(file: Path) -> int:
    while True:
        try:
            descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o666)
        except OSError as error:
            raise CheckpointError(
                f"{file.parent}: cannot be written: {error.strerror}; check the folder and its "
                "permissions"
            ) from error
        try:
            _lock(descriptor)
            # The process that held it before may have removed the file in between.
            if _is_still(file, descriptor):
                return descriptor
        except OSError as error:
            os.close(descriptor)
            if error.errno not in _TAKEN:
                raise CheckpointError(
                    f"{file}: cannot be locked: {error.strerror}; choose a folder on another "
                    "file system"
                ) from error
            raise CheckpointError(
                f"another process is training in {file.parent}; wait for it or stop it, or choose "
                "another folder"
            ) from error
        os.close(descriptor)


def _is_still(file: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(os.stat(file), os.fstat(descriptor))
    except FileNotFoundError:
        return False


if sys.platform == "win32":
    import msvcrt

    def _lock(descriptor: int) -> None:
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)

    def _release(file: Path, descriptor: int) -> None:
        # Windows removes no file that is open; if another process was faster it fails, too.
        os.close(descriptor)
        with suppress(OSError):
            file.unlink()

else:
    import fcntl

    def _lock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def _release(file: Path, descriptor: int) -> None:
        # First the name, then the lock: nobody can lock a file that is about to vanish.
        with suppress(OSError):
            file.unlink()
        os.close(descriptor)
