"""Ways from the device to the host: each of them waits for the device."""

from collections.abc import Iterator
from contextlib import contextmanager

_refused = False


def note(what: str) -> None:
    """Called for each; an error while they are refused."""
    if _refused:
        raise AssertionError(f"hidden host transfer: {what}")


@contextmanager
def refused() -> Iterator[None]:
    """Make every one an error while the block runs."""
    global _refused
    before, _refused = _refused, True
    try:
        yield
    finally:
        _refused = before
