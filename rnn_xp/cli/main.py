"""The parser that all commands share, and `main`."""

import argparse
import difflib
import importlib
import shutil
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from rnn_xp._version import __version__
from rnn_xp.cli.errors import BAD_USAGE, guarded, standard_streams
from rnn_xp.cli.threads import requested_threads, use_threads

# Each is the module of this package with `add_arguments(parser)` and `run(args) -> exit code`.
COMMANDS = {
    "train": ("[options]", "train a language model on a text"),
    "evaluate": ("RUN --data FILE [options]", "measure a model on a text"),
    "generate": ("RUN [options]", "let a model write"),
    "info": ("[RUN] [--json]", "show what was found on this machine, or what a run folder holds"),
}
EPILOG = """examples:
  rnn-xp train                                   the King James Bible
  rnn-xp train --data my.txt --hidden 512 --minutes 30
  rnn-xp train --resume runs/my-1                go on where it was stopped
  rnn-xp generate runs/my-1 --prompt "In the "   write
  RNN_BACKEND=cupy rnn-xp train                  the same on a CUDA GPU
"""


class Parser(argparse.ArgumentParser):
    """An `argparse.ArgumentParser` whose errors are one line."""

    def __init__(self, **settings: Any):
        super().__init__(allow_abbrev=False, formatter_class=_HelpFormatter, **settings)

    def error(self, message: str) -> NoReturn:
        """Print what is wrong and where help is, and exit."""
        self.exit(BAD_USAGE, f"rnn-xp: error: {message}; see {self.prog} --help\n")

    def refuse(self, word: str) -> NoReturn:
        """Print that `word` is no argument of this command, and what it may have meant."""
        option = word.partition("=")[0]
        near = difflib.get_close_matches(option, self._option_string_actions, 1)
        hint = f" (did you mean {near[0]}?)" if near else ""
        self.error(f"unknown argument {word}{hint}")


class _HelpFormatter(argparse.RawDescriptionHelpFormatter):
    def __init__(self, prog: str):
        width = min(shutil.get_terminal_size((110, 24)).columns, 120) - 2
        super().__init__(prog, max_help_position=34, width=width)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments without the program's name; default those of the process.

    Returns
    -------
    code : int
        Exit code; see `rnn_xp.cli.errors`.

    Raises
    ------
    SystemExit
        After ``--help`` and ``--version``, and if the arguments cannot be parsed.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    with standard_streams():
        for stream in (sys.stdout, sys.stderr):
            if hasattr(stream, "reconfigure"):  # a terminal that lacks a character shows "?"
                stream.reconfigure(errors="replace")
        return guarded(lambda: _run(words), "--debug" in words)


def _run(words: list[str]) -> int:
    threads = requested_threads(words)
    if threads is not None:
        use_threads(threads)
    parser, command = _parsers(words)
    args, unknown = parser.parse_known_args(words)
    if unknown:
        command.refuse(unknown[0])
    code: int = importlib.import_module(f"rnn_xp.cli.{args.command}").run(args)
    return code


def _parsers(words: list[str]) -> tuple[Parser, Parser]:
    """Make the parser, and that of the one command that is asked for, with its options."""
    parser = Parser(
        prog="rnn-xp",
        description="Recurrent language models on NumPy and CuPy: train, measure, generate.",
        epilog=EPILOG,
    )
    parser.add_argument("--version", action="version", version=f"rnn-xp {__version__}")
    _add_debug(parser, False)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    chosen = next((word for word in words if not word.startswith("-")), None)
    command = parser
    for name, (usage, summary) in COMMANDS.items():
        described = f"{summary[0].upper()}{summary[1:]}."
        added = commands.add_parser(
            name, help=summary, description=described, usage=f"rnn-xp {name} {usage}"
        )
        if name == chosen:
            command = added
            importlib.import_module(f"rnn_xp.cli.{name}").add_arguments(command)
            _add_debug(command, argparse.SUPPRESS)
    return parser, command


def _add_debug(parser: Parser, default: Any) -> None:
    parser.add_argument(
        "--debug",
        action="store_true",
        default=default,
        help="print the traceback of an error, too",
    )
