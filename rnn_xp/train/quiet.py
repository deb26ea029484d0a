"""A text stream that may break without harm."""

from typing import Any, TextIO


class QuietStream:
    """Writes to a stream until that fails once; from then on to nowhere.

    A pipe whose reader went away, a full disk, or a stream that is missing or closed, must
    not end a training run that only wanted to say how far it is.

    Parameters
    ----------
    stream : text stream or None
        None: nowhere from the beginning, as ``sys.stderr`` is after ``2>&-``.
    """

    def __init__(self, stream: TextIO | None):
        self._stream = stream

    def write(self, text: str) -> int:
        """Write `text`, or nothing."""
        self._tried("write", text)
        return len(text)

    def flush(self) -> None:
        """Flush, or do nothing."""
        self._tried("flush")

    def isatty(self) -> bool:
        """Whether it is a terminal that can still be written."""
        return bool(self._tried("isatty"))

    def _tried(self, method: str, *values: Any) -> Any:
        if self._stream is None:
            return None
        try:
            return getattr(self._stream, method)(*values)
        except (OSError, ValueError):  # the latter from a closed stream
            self._stream = None
            return None

    def __getattr__(self, name: str) -> Any:
        """``fileno``, ``encoding`` and the like, for tqdm."""
        return getattr(self._stream, name)
