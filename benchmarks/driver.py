"""The command line that all benchmarks share: rows, sides, options, results."""

import argparse
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from records import Result, write
from timing import PAUSE, ROUND, Job, Side, Worker, check_equal_work, compare, serve

OURS = ("rnn_xp", "rnn_xp[fast]")


@dataclass(frozen=True)
class Benchmark:
    """Rows to measure, and who takes part.

    Attributes
    ----------
    script : str
        ``__file__``; the results have its name.
    rows, quick : list of dict
        The jobs, each with a ``name``; and small ones, to see that all works.
    sides : dict
    columns : callable
        From a result to a row of the table: heading to text.
    rounds : int
        Default of ``--rounds``.
    summary : callable
        From all results to a line under the table.
    optional : tuple of str
        Sides that take part only if an option asks for them (``--keras``).
    share : bool
        Whether a worker takes one row after the other: saves starting it, but its peak of
        memory is that of all rows.
    seconds : float
        What a round takes, about.
    """

    script: str
    rows: list[Job]
    quick: list[Job]
    sides: dict[str, Side]
    columns: Callable[[Result], dict[str, str]]
    rounds: int
    summary: Callable[[list[Result]], str] = field(default=lambda results: "")
    optional: tuple[str, ...] = ()
    share: bool = False
    seconds: float = ROUND

    def main(self, doc: str | None) -> None:
        """Measure, or be a worker."""
        if "--worker" in sys.argv:
            serve(self.sides[sys.argv[-1]])
            return
        arguments = self._parse(doc)
        sides = available(self._chosen(arguments), arguments)
        rows = self.quick if arguments.quick else self.rows
        rows = [row for row in rows if arguments.only in row["name"]]
        results = []
        workers: dict[str, Worker] = {}
        for row in rows:
            workers = workers or open_workers(self.script, sides, arguments)
            results.append(self._measure(row, workers, arguments))
            if not (self.share or arguments.quick):
                workers = close(workers)
        close(workers)
        finish(self.script, results, self.summary(results) if results else "", arguments)

    def _measure(self, row: Job, workers: dict[str, Worker], arguments: Any) -> Result:
        job = {**row, "check": True, "gemm": 256} if arguments.quick else row
        for worker in workers.values():
            worker.start(job, 0.0 if arguments.quick else self.seconds)
        for worker in workers.values():
            worker.wait()
        check_equal_work(workers, job)
        measured = compare(workers, arguments.rounds, 0.0 if arguments.quick else PAUSE)
        result = {"row": row, "threads": arguments.threads, **measured}
        show(self.columns(result))
        return result

    def _chosen(self, arguments: Any) -> dict[str, Side]:
        left_out = set(OURS) - set(kernel_sides(arguments))
        left_out |= {name for name in self.optional if not getattr(arguments, name.lower())}
        return {name: side for name, side in self.sides.items() if name not in left_out}

    def _parse(self, doc: str | None) -> Any:
        parser = options(doc, self.rounds)
        if any(side.interpreter == "jax" for side in self.sides.values()):
            parser.add_argument(
                "--python-jax",
                default=os.environ.get("RNN_XP_BENCH_JAX", sys.executable),
                help="interpreter with JAX (default: RNN_XP_BENCH_JAX, or this one)",
            )
        for name in self.optional:
            parser.add_argument(
                f"--{name.lower()}", action="store_true", help=f"{name} takes part, too"
            )
        return settle(parser.parse_args())


def options(doc: str | None, rounds: int) -> argparse.ArgumentParser:
    """Return the options that every benchmark has."""
    parser = argparse.ArgumentParser(description=doc)
    parser.add_argument("--rounds", type=int, help=f"turns of each side (default {rounds})")
    parser.add_argument("--threads", type=int, help="threads of each side (default 2, quick 1)")
    parser.add_argument("--only", default="", help="only rows whose name contains this")
    parser.add_argument("--dry", action="store_true", help="print, but do not write results")
    parser.add_argument("--quick", action="store_true", help="tiny rows, no figures of worth")
    parser.add_argument(
        "--kernels",
        nargs="+",
        choices=("numpy", "auto"),
        default=("numpy", "auto"),
        help="rnn_xp with NumPy alone, with its compiled extra (default: both)",
    )
    parser.set_defaults(default_rounds=rounds)
    return parser


def settle(arguments: Any) -> Any:
    """Fill in the defaults that ``--quick`` changes."""
    quick = arguments.quick
    arguments.rounds = arguments.rounds or (2 if quick else arguments.default_rounds)
    arguments.threads = arguments.threads or (1 if quick else 2)
    return arguments


def available(sides: dict[str, Side], arguments: Any) -> dict[str, Side]:
    """The sides whose packages are installed; a line is printed for each of the others."""
    found = {}
    for name, side in sides.items():
        python, names = interpreter(side, arguments), list(side.packages)
        code = "import sys, importlib.util as u; sys.exit(not all(map(u.find_spec, sys.argv[1:])))"
        if subprocess.run([python, "-c", code, *names]).returncode == 0:
            found[name] = side
        else:
            print(f"without {name}: {python} has not all of {', '.join(names)}", flush=True)
    return found


def kernel_sides(arguments: Any) -> list[str]:
    """Our sides that ``--kernels`` names."""
    return [OURS[("numpy", "auto").index(mode)] for mode in arguments.kernels]


def interpreter(side: Side, arguments: Any) -> str:
    """Which Python runs a side."""
    return str(arguments.python_jax) if side.interpreter == "jax" else sys.executable


def open_workers(script: str, sides: dict[str, Side], arguments: Any) -> dict[str, Worker]:
    """A worker for every side."""
    return {
        name: Worker(script, name, side, arguments.threads, interpreter(side, arguments))
        for name, side in sides.items()
    }


def close(workers: dict[str, Worker]) -> dict[str, Worker]:
    """End workers; returns none."""
    for worker in workers.values():
        worker.close()
    return {}


def show(columns: dict[str, str]) -> None:
    """Print a row."""
    text = "   ".join(f"{name}: {text}" for name, text in columns.items())
    print(text.replace("**", ""), flush=True)


def finish(script: str, results: list[Result], summary: str, arguments: Any) -> None:
    """Print the summary and write the results."""
    if summary:
        print(summary)
    if results and not arguments.dry:
        print(f"wrote {write(Path(script).stem, results)}")
