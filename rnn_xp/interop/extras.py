"""Optional packages, imported when they are first needed."""

from importlib import import_module
from typing import Any

from rnn_xp.errors import MissingExtraError


def optional(module: str, extra: str, purpose: str) -> Any:
    """Import `module`.

    Parameters
    ----------
    module : str
    extra : str
        The extra of this package that installs it.
    purpose : str
        What it is needed for, to begin the message with.

    Raises
    ------
    MissingExtraError
        If it is not installed.
    """
    try:
        return import_module(module)
    except ImportError as error:
        raise MissingExtraError(
            f"{purpose} needs {module}, which is not installed; pip install 'rnn-xp[{extra}]'"
        ) from error
