"""The command line: ``rnn-xp train | evaluate | generate | info``.

`main` parses; one module for each command does the work. NumPy is imported by the commands,
not here: ``--threads`` has to be in the environment before.
"""

from rnn_xp.cli.main import main

__all__ = ["main"]
