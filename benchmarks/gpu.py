"""All that a machine with a CUDA device has to tell, in one command with a time limit.

Runs the tests on CuPy, measures launches, barriers and copies, and times layers and training
steps against PyTorch with cuDNN, precision for precision, and against our own NumPy backend.
The most important comes first; what no time was left for is named. Results are written after
every row: ``gpu.json`` and ``gpu.md``. Needs CuPy, PyTorch and pytest, and no network.
"""

import argparse
import importlib.metadata
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from gpu_measure import OURS, ROUND, measure
from gpu_report import save
from gpu_rows import NUMPY, ROWS, TORCH, rehearsal
from gpu_tests import FIRST, REHEARSED, REST, run_tests
from gpu_worker import Worker
from records import RESULTS, commit, machine, versions

from rnn_xp.cupy_probe import cupy_problem

PARTS = ("tests", "probes", "rows")
# Shares of the whole time.
FIRST_TESTS, REST_TESTS = 0.15, 0.2
PROBES = {
    OURS: ("about", "launches", "barriers", "copies", "products"),
    TORCH: ("about", "precision"),
}
PROBE_LIMIT = 40.0  # seconds
ROW_COSTS = 6.0  # seconds that must be left for a row to begin
PACKAGES = ("numpy", "torch", "cupy-cuda13x", "cupy-cuda12x", "cupy", "array-api-compat", "pytest")


class Run:
    """What was found so far, and how much time is left."""

    def __init__(self, arguments: argparse.Namespace):
        self.arguments = arguments
        self._began = time.monotonic()
        self.folder = arguments.out
        self.folder.mkdir(parents=True, exist_ok=True)
        found = {"rehearsal": arguments.rehearse, "date": time.strftime("%Y-%m-%d %H:%M")}
        found |= {"commit": arguments.commit or commit(), "minutes": arguments.minutes}
        found |= {"seconds": 0.0, "rounds": arguments.rounds, "threads": arguments.threads}
        found |= {"machine": machine(), "versions": _versions(), "tests": {}, "probes": {}}
        self.document: dict[str, Any] = {**found, "rows": [], "left_out": []}
        log = self.folder / "gpu_workers.log"
        log.write_text("")
        cuda = not arguments.rehearse
        threads = {
            f"{library}_NUM_THREADS": str(arguments.threads)
            for library in ("OPENBLAS", "OMP", "MKL", "NUMBA")
        }
        self.workers = {
            OURS: Worker("gpu_ours", "cupy" if cuda else "numpy", log, threads),
            TORCH: Worker("gpu_torch", "cuda" if cuda else "cpu", log, threads),
            NUMPY: Worker("gpu_ours", "numpy", log, threads),
        }

    @property
    def spent(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._began

    def left(self, share: float = 1.0) -> float:
        """Seconds until a share of the whole time is spent."""
        return share * 60.0 * float(self.arguments.minutes) - self.spent

    def save(self) -> None:
        """Write what there is."""
        self.document["seconds"] = round(self.spent, 1)
        save(self.folder, self.document)

    def tests(self, name: str, paths: tuple[str, ...], limit: float) -> None:
        """Run tests, and keep how they ended."""
        real = not self.arguments.rehearse
        log = self.folder / f"gpu_tests_{name}.log"
        found = run_tests(paths if real else REHEARSED, max(limit, 1.0), log, required=real)
        self.document["tests"][name] = found
        print(f"tests, {name}: {found['counts']} in {found['seconds']} s", flush=True)
        self.save()

    def probes(self) -> None:
        """Ask every worker for its probes."""
        for side, names in PROBES.items():
            for name in names:
                if self.arguments.rehearse and side == OURS:
                    found: Any = "not measured: no CUDA device"
                else:
                    reply = self.workers[side].ask(
                        "probe", max(1.0, min(PROBE_LIMIT, self.left())), name=name
                    )
                    found = reply.get("reply") or f"not measured: {_reason(reply)}"
                self.document["probes"][f"{side}: {name}"] = found
                print(f"probe, {side}: {name}: {json.dumps(found)[:200]}", flush=True)
                self.save()

    def rows(self, share: float) -> None:
        """Measure as many rows as fit."""
        jobs = rehearsal() if self.arguments.rehearse else ROWS
        jobs = [job for job in jobs if self.arguments.only in job["name"]]
        seconds = 0.0 if self.arguments.rehearse else ROUND
        for done, job in enumerate(jobs):
            if self.left(share) < ROW_COSTS:
                self.document["left_out"] = [job["name"] for job in jobs[done:]]
                break
            result = measure(job, self.workers, self.arguments.rounds, self.left(share), seconds)
            self.document["rows"].append(result)
            print(_line(result), flush=True)
            self.save()
        print(f"rows: {len(self.document['rows'])} of {len(jobs)}", flush=True)


def _line(result: dict[str, Any]) -> str:
    outcome = result.get("no_ratio") or f"{result['ratio']['median']:.2f}"
    for name, side in result["sides"].items():
        if "wall" not in side:
            outcome += f"; {name}: {_reason(side)}"
    return f"{result['row']['name']}: {outcome}"


def _reason(reply: dict[str, Any]) -> str:
    return str(reply.get("refused") or reply.get("failed") or "nothing was found")


def _versions() -> dict[str, str]:
    found = versions(())
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def parse() -> argparse.Namespace:
    """Return the options."""
    parser = argparse.ArgumentParser(description=__doc__)
    default = RESULTS / "gpu"
    parser.add_argument("--out", type=Path, help=f"folder to write (default: {default})")
    parser.add_argument("--minutes", type=float, default=8.0, help="time limit (default: 8)")
    parser.add_argument(
        "--parts", nargs="+", choices=PARTS, default=PARTS, help="what to do (default: all)"
    )
    parser.add_argument("--only", default="", help="only rows whose name contains this")
    parser.add_argument("--rounds", type=int, help="turns of each side (default: 7)")
    parser.add_argument("--threads", type=int, help="of NumPy (default: 8, rehearsed 1)")
    parser.add_argument("--commit", help="what is measured, where the checkout has no history")
    parser.add_argument(
        "--rehearse",
        action="store_true",
        help="the same code on the processor, with tiny rows; no figures of worth",
    )
    arguments = parser.parse_args()
    if arguments.rehearse and arguments.out is None:
        parser.error("--rehearse needs --out: its figures are no results")
    arguments.out = (arguments.out or default).absolute()
    cores = 1 if arguments.rehearse else min(8, os.cpu_count() or 1)
    arguments.threads = arguments.threads or cores
    arguments.rounds = arguments.rounds or (1 if arguments.rehearse else 7)
    return arguments


def main() -> int:
    """Do the parts that were asked for."""
    arguments = parse()
    problem = None if arguments.rehearse else cupy_problem()
    if problem is not None:
        print(f"no CUDA device: {problem}; --rehearse runs tiny rows without one", file=sys.stderr)
        return 1
    run = Run(arguments)
    chosen = arguments.parts
    later = REST_TESTS if "tests" in chosen and not arguments.rehearse else 0.0
    try:
        if "tests" in chosen:
            run.tests("kernels", FIRST, FIRST_TESTS * 60.0 * arguments.minutes)
        for worker in run.workers.values():
            worker.start()  # all at once: they import for seconds
        if "probes" in chosen:
            run.probes()
        if "rows" in chosen:
            run.rows(1.0 - later)
        if later:
            run.tests("rest", REST, run.left() - 5.0)
    finally:
        run.save()
        for worker in run.workers.values():
            worker.close()
    print(f"wrote {run.folder / 'gpu.json'} and gpu.md, {run.spent:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
