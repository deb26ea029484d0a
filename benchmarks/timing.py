"""Fair timing on noisy machines: both sides in one run, taking turns.

Each competitor is a worker process of its own (its own libraries, threads and interpreter)
that builds its job once and then waits. The driver asks them in turn, A B A B ..., for one
timed round each; the result is the median of the ratios of neighbouring rounds, which moves
far less from run to run than either time does.
"""

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
PAUSE = 0.3  # seconds between two turns


def serve(build: Callable[[dict[str, Any]], Callable[[], int]]) -> None:
    """Be a worker: build a job from the argument, then time rounds of it on request.

    Parameters
    ----------
    build : callable
        Takes the job's description and returns a function that does one step and returns
        the number of tokens it worked on.
    """
    job = json.loads(sys.argv[-1])
    before = peak_bytes()
    step = build(job)
    for _ in range(job.get("warm_up", 3)):
        step()
    reply: dict[str, Any] = {"versions": versions(job["names"])}
    for line in sys.stdin:
        # The first message only asks for the versions.
        if line.strip() == "round":
            step()  # wakes this side's threads
            tokens, start = 0, time.perf_counter()
            for _ in range(job["steps"]):
                tokens += step()
            seconds = time.perf_counter() - start
            reply = {"seconds": seconds, "tokens": tokens, "peak_bytes": peak_bytes()}
            reply["job_bytes"] = reply["peak_bytes"] - before
        print(json.dumps(reply), flush=True)


def peak_bytes() -> int:
    """Largest resident memory of this process so far."""
    # Linux reports kibibytes.
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


class Worker:
    """A competitor in a process of its own.

    Parameters
    ----------
    script : path
        Runs `serve` when started with ``--worker`` and a job.
    job : dict
        What the worker builds; ``steps`` is the number of steps of a round.
    threads : int
        For OpenBLAS, MKL and OpenMP alike.
    python : path
        Interpreter, for a competitor that needs another version.
    """

    def __init__(self, script: Path, job: dict[str, Any], threads: int, python: str | None = None):
        names = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
        environment = dict(os.environ, **{name: str(threads) for name in names})
        # Each library shall choose the kernels for this processor by itself.
        for name in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE", "MKL_ENABLE_INSTRUCTIONS"):
            environment.pop(name, None)
        self._process = subprocess.Popen(
            [python or sys.executable, str(script), "--worker", json.dumps(job)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        self.versions = self._ask("versions")["versions"]

    def round(self) -> dict[str, Any]:
        """Time one round."""
        return self._ask("round")

    def close(self) -> None:
        """End the process."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._process.wait()

    def _ask(self, word: str) -> dict[str, Any]:
        if self._process.stdin is None or self._process.stdout is None:
            raise RuntimeError("the worker has no pipes")
        self._process.stdin.write(word + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"a worker ended early with exit code {self._process.wait()}")
        answer: dict[str, Any] = json.loads(line)
        return answer


def compare(workers: dict[str, Worker], rounds: int) -> dict[str, Any]:
    """Let the workers take turns; the first one is measured against each of the others.

    Returns
    -------
    dict
        For each worker ``tokens_per_second`` (median), ``peak_bytes`` of the process and
        ``job_bytes``, that less what the bare interpreter took; for each rival
        ``speed_ratio``: how many times its speed the first one has, as median, minimum and
        maximum over the pairs.
    """
    taken: dict[str, list[dict[str, Any]]] = {name: [] for name in workers}
    for _ in range(rounds):
        for name, worker in workers.items():
            # The other side's idle threads spin for a while before they sleep.
            time.sleep(PAUSE)
            taken[name].append(worker.round())
    first, *rivals = workers
    result: dict[str, Any] = {"rounds": rounds, "workers": {}, "speed_ratio": {}}
    for name, rows in taken.items():
        speeds = [r["tokens"] / r["seconds"] for r in rows]
        result["workers"][name] = {
            "tokens_per_second": round(statistics.median(speeds)),
            "milliseconds_per_round": round(1e3 * statistics.median(r["seconds"] for r in rows), 2),
            "peak_bytes": rows[-1]["peak_bytes"],
            "job_bytes": rows[-1]["job_bytes"],
            "versions": workers[name].versions,
        }
    for rival in rivals:
        pairs = zip(taken[first], taken[rival], strict=True)
        ratios = sorted(b["seconds"] / a["seconds"] for a, b in pairs)
        result["speed_ratio"][rival] = {
            "median": round(statistics.median(ratios), 3),
            "min": round(ratios[0], 3),
            "max": round(ratios[-1], 3),
        }
    return result


def versions(names: list[str]) -> dict[str, str]:
    """Versions of Python and of installed packages."""
    from importlib.metadata import version

    return {"python": platform.python_version(), **{name: version(name) for name in names}}


def machine() -> dict[str, Any]:
    """Return what a reader needs to know of this machine."""
    model = platform.processor() or platform.machine()
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    except OSError:
        model += " (no /proc/cpuinfo)"
    return {"cpu": model, "cores": os.cpu_count(), "system": platform.system()}


def commit() -> str:
    """Return the short hash of the checkout, with a + if it has changes."""
    here = Path(__file__).parent
    try:
        text = subprocess.run(
            ["git", "describe", "--always", "--dirty=+", "--exclude=*"],
            cwd=here,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return text.strip()


def write(name: str, rows: list[dict[str, Any]]) -> Path:
    """Write rows as JSON lines to ``results/<name>.jsonl``, with machine and commit."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.jsonl"
    stamp = {"date": time.strftime("%Y-%m-%d"), "commit": commit(), "machine": machine()}
    path.write_text("".join(json.dumps({**row, **stamp}) + "\n" for row in rows))
    return path


def options(description: str, rounds: int) -> argparse.ArgumentParser:
    """Return the options that every benchmark has."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--rounds", type=int, default=rounds, help=f"pairs (default {rounds})")
    parser.add_argument("--threads", type=int, default=2, help="threads of each side (default 2)")
    parser.add_argument("--only", default="", help="only rows whose name contains this")
    parser.add_argument("--dry", action="store_true", help="print, but do not write results")
    return parser
