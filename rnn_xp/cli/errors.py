"""How a command ends: with a result, with one line on stderr, or by a signal.

===========  =====================================================================
exit code    meaning
===========  =====================================================================
0            done
1            it failed: a file, the disk, the device, the data
2            bad usage: an option is unknown, or its value is out of range
130          Ctrl-C, or SIGTERM, which acts as Ctrl-C (`train` has saved the run)
141          the reader of standard output went away (``rnn-xp generate ... | head``)
===========  =====================================================================
"""

import contextlib
import os
import signal
import sys
import threading
import traceback
import warnings
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any, NoReturn, TextIO

from rnn_xp.errors import BackendFallbackWarning, RnnXpError

OK, FAILED, BAD_USAGE = 0, 1, 2
INTERRUPTED, PIPE_CLOSED = 130, 141


class UsageError(Exception):
    """An option, or a combination of options, makes no sense."""


@contextlib.contextmanager
def bad_usage(*, named: bool = False) -> Iterator[None]:
    """A `ValueError` in the block is the fault of an option.

    Parameters
    ----------
    named : bool
        Only if its message begins with the option (``--lr 0: ...``): for blocks that compute,
        where another `ValueError` is a bug.
    """
    try:
        yield
    except RnnXpError:
        raise
    except ValueError as error:
        if named and not str(error).startswith("--"):
            raise
        raise UsageError(str(error)) from error


def guarded(command: Callable[[], int], debug: bool) -> int:
    """Run a command; errors become one line on stderr and an exit code.

    Parameters
    ----------
    command : callable
        Returns an exit code.
    debug : bool
        Whether to print the traceback of an error, too.
    """
    try:
        with _plain_warnings(), _sigterm_raises():
            code = command()
            sys.stdout.flush()
            return code
    except KeyboardInterrupt:
        say("interrupted", debug)
        return INTERRUPTED
    except BrokenPipeError:
        _abandon_broken(sys.stdout)
        return PIPE_CLOSED
    except Exception as error:
        say(f"error: {one_line(error)}", debug)
        if isinstance(error, OSError):
            _abandon_broken(sys.stdout)
        return BAD_USAGE if isinstance(error, UsageError) else FAILED
    finally:
        _abandon_broken(sys.stderr)


def one_line(error: BaseException) -> str:
    """What went wrong, in a line."""
    text = " ".join(str(error).split())
    if isinstance(error, (UsageError, RnnXpError)):
        return text
    if isinstance(error, OSError):
        reason = error.strerror or text
        return f"{error.filename}: {reason}" if error.filename else f"cannot write: {reason}"
    if isinstance(error, MemoryError):
        return f"out of memory ({text or 'no details'}); try a smaller --batch, --bptt or --hidden"
    return (
        f"unexpected {type(error).__name__}: {text}; this is a bug in rnn_xp: "
        "run again with --debug and report what it prints"
    )


def say(line: str, traced: bool = False) -> None:
    """Print a line on stderr, under the program's name; before it, if asked, the traceback."""
    with contextlib.suppress(OSError):  # there is no other place where that could be told
        if traced:
            traceback.print_exc()
        print(f"rnn-xp: {line}", file=sys.stderr, flush=True)


@contextlib.contextmanager
def standard_streams() -> Iterator[None]:
    """Put a stream to nowhere where the process was started without one (``2>&-``).

    That also takes the file descriptor, which else the next file that is opened would get:
    a library that writes to descriptor 2 would write into it.
    """
    streams = (("stdin", "r"), ("stdout", "w"), ("stderr", "w"))  # as their descriptors
    missing = [(name, mode) for name, mode in streams if getattr(sys, name) is None]
    with contextlib.ExitStack() as stack:
        for name, mode in missing:
            setattr(sys, name, stack.enter_context(open(os.devnull, mode, encoding="utf-8")))
            stack.callback(setattr, sys, name, None)
        yield


@contextlib.contextmanager
def _plain_warnings() -> Iterator[None]:
    """Show warnings as one line, without the place in the source that they come from."""
    with warnings.catch_warnings():
        warnings.showwarning = _show_warning
        # Shown whatever the filters say: it tells where the computation runs.
        warnings.simplefilter("always", BackendFallbackWarning)
        yield


def _show_warning(
    message: Warning | str, category: type[Warning], *place: Any, **more: Any
) -> None:
    say(f"warning: {' '.join(str(message).split())}")


@contextlib.contextmanager
def _sigterm_raises() -> Iterator[None]:
    """SIGTERM raises `KeyboardInterrupt`, as Ctrl-C does (where signals can be handled)."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def handler(number: int, frame: FrameType | None) -> NoReturn:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _abandon_broken(stream: TextIO) -> None:
    """Send what a stream cannot write nowhere; else Python tries again, and fails, at its exit."""
    with contextlib.suppress(OSError, ValueError):
        stream.flush()
        return
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
