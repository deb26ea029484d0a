"""Recurrent networks and language models on plain arrays."""

from rnn_xp._version import __version__

__all__ = ["__version__"]
