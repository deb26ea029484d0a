"""Fair timing on noisy machines: all sides in one run, taking turns.

Each competitor is a worker process of its own (its own libraries, threads and interpreter)
that builds its job once and then waits. The driver asks them in turn, A B C A B C ..., for one
timed round each; the result is the median of the ratios within a turn, which moves far less
from run to run than any of the times does. The first three steps of all sides must give the
same values (losses, say): only equal work is compared.
"""

import importlib
import json
import math
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from records import Result, versions

PAUSE = 0.2  # seconds between two turns: idle threads spin for a while before they sleep
ROUND = 0.2  # seconds that a round takes, about
WARM_UP = 3  # steps
TOLERANCE = 1e-4

Job = dict[str, Any]
# Does one step. Returns how many units (tokens, say) it worked on, and a value that other sides
# must have, too: a number, or a function that computes it. None is not compared.
Step = Callable[[], tuple[int, Any]]


@dataclass(frozen=True)
class Side:
    """A competitor.

    Attributes
    ----------
    build : callable
        From the description of a job to its step.
    packages : tuple of str
        What it needs, and whose versions are written down.
    interpreter : str
        "" for the one that runs the script, "jax" for the one that ``--python-jax`` names.
    variables : dict
        Added to the environment.
    """

    build: Callable[[Job], Step]
    packages: tuple[str, ...]
    interpreter: str = ""
    variables: dict[str, str] = field(default_factory=dict)


def ours(build: Callable[[Job], Step]) -> dict[str, Side]:
    """rnn_xp with NumPy alone, and with its compiled extra."""
    return {
        "rnn_xp": Side(build, ("numpy",), variables={"RNN_XP_KERNELS": "numpy"}),
        "rnn_xp[fast]": Side(build, ("numpy", "numba"), variables={"RNN_XP_KERNELS": "auto"}),
    }


def gemm(job: Job) -> Step:
    """The yardstick: a large product of NumPy's own library; a unit is an operation."""
    import numpy as np

    n = job.get("gemm", 2048)
    a, out = np.ones((n, n), np.float32), np.empty((n, n), np.float32)

    def step() -> tuple[int, Any]:
        np.matmul(a, a, out=out)
        return 2 * n**3, None

    return step


def serve(side: Side) -> None:
    """Be a worker: build jobs and time rounds of them on request.

    A job with ``fresh`` starts processes of its own in its step: nothing of it is to be warm.
    """
    imported, step, steps, fresh = 0, None, 1, False
    for line in sys.stdin:
        request = json.loads(line)
        if "build" in request:
            fresh, step = request["build"].get("fresh", False), None  # frees the last job
            if not (fresh or imported):
                for name in side.packages:
                    importlib.import_module(name)
                imported = peak_bytes()
            step = side.build(request["build"])
            values = []
            for _ in range(1 if fresh else WARM_UP):
                start = time.perf_counter()
                value = step()[1]
                values.append(value() if callable(value) else value and float(value))
                steps = max(1, round(request["seconds"] / (time.perf_counter() - start)))
            reply = {"versions": versions(side.packages), "values": values}
        elif step is None:
            raise RuntimeError("a worker was asked for a round before it was given a job")
        else:
            if not fresh:
                wait_for(step()[1])  # wakes this side's threads
            units, value, start = 0, None, time.perf_counter()
            for _ in range(steps):
                done, value = step()
                units += done
            wait_for(value)
            reply = {"seconds": time.perf_counter() - start, "units": units}
        reply |= {"peak_bytes": peak_bytes(), "job_bytes": peak_bytes() - imported}
        print(json.dumps(reply), flush=True)


def wait_for(value: Any) -> None:
    """Wait for what runs asynchronously."""
    if not callable(value) and value is not None:
        float(value)


def peak_bytes() -> int:
    """Largest resident memory of this process so far."""
    status = Path("/proc/self/status")
    if status.exists():
        # Unlike getrusage's, this figure does not begin with that of the parent process.
        line = next(x for x in status.read_text().splitlines() if x.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    kilo = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * kilo


def side_environment(side: Side, threads: int) -> dict[str, str]:
    """The environment of a side's process, with so many threads for every library."""
    libraries = ("OPENBLAS", "OMP", "MKL", "NUMBA")
    counts = {f"{library}_NUM_THREADS": str(threads) for library in libraries}
    environment = os.environ | counts | side.variables
    # Each library shall choose the kernels for this processor by itself.
    for variable in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE", "MKL_ENABLE_INSTRUCTIONS"):
        environment.pop(variable, None)
    return environment


class Worker:
    """A competitor in a process of its own.

    Parameters
    ----------
    script : path
        Serves `name` when started with ``--worker name``.
    name : str
    side : Side
    threads : int
        For OpenBLAS, MKL, OpenMP and Numba alike; what has no such variable (XLA) counts the
        processors that the process may use.
    python : str
        Interpreter.
    """

    def __init__(self, script: str | Path, name: str, side: Side, threads: int, python: str):
        self.versions: dict[str, str] = {}
        self.values: list[float | None] = []
        self._process = subprocess.Popen(
            [python, str(script), "--worker", name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=side_environment(side, threads),
        )
        if side.interpreter == "jax" and hasattr(os, "sched_setaffinity"):
            allowed = sorted(os.sched_getaffinity(0))[:threads]
            os.sched_setaffinity(self._process.pid, allowed)

    def start(self, job: Job, seconds: float) -> None:
        """Begin to build a job whose rounds take about so long."""
        self._send({"build": job, "seconds": seconds})

    def wait(self) -> None:
        """Wait until the job is built."""
        reply = self._receive()
        self.versions, self.values = reply["versions"], reply["values"]

    def round(self) -> dict[str, Any]:
        """Time one round."""
        self._send({})
        return self._receive()

    def close(self) -> None:
        """End the process."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._process.wait()

    def _send(self, request: dict[str, Any]) -> None:
        if self._process.stdin is None:
            raise RuntimeError("the worker has no pipes")
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()

    def _receive(self) -> dict[str, Any]:
        if self._process.stdout is None:
            raise RuntimeError("the worker has no pipes")
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"a worker ended early with exit code {self._process.wait()}")
        answer: dict[str, Any] = json.loads(line)
        return answer


def compare(workers: dict[str, Worker], rounds: int, pause: float = PAUSE) -> Result:
    """Let the workers take turns.

    Returns
    -------
    dict
        ``sides``: for each worker ``per_second`` (median units), ``peak_bytes`` of the process,
        ``job_bytes``, that less what it took to import the libraries, ``value`` and
        ``versions``. ``ratios[a][b]``: how many times the speed of b the side a has, as
        median, minimum and maximum over the rounds.
    """
    taken: dict[str, list[dict[str, Any]]] = {name: [] for name in workers}
    for _ in range(rounds):
        for name, worker in workers.items():
            time.sleep(pause)
            taken[name].append(worker.round())
    speeds = {name: [r["units"] / r["seconds"] for r in rows] for name, rows in taken.items()}
    result: Result = {"rounds": rounds, "sides": {}, "ratios": {name: {} for name in workers}}
    for name, rows in taken.items():
        result["sides"][name] = {
            "per_second": float(f"{statistics.median(speeds[name]):.5g}"),
            "peak_bytes": rows[-1]["peak_bytes"],
            "job_bytes": rows[-1]["job_bytes"],
            "value": workers[name].values[0],
            "versions": workers[name].versions,
        }
        for other in workers:
            if other != name:
                pairs = zip(speeds[name], speeds[other], strict=True)
                ratios = sorted(mine / theirs for mine, theirs in pairs)
                result["ratios"][name][other] = {
                    "median": round(statistics.median(ratios), 3),
                    "min": round(ratios[0], 3),
                    "max": round(ratios[-1], 3),
                }
    return result


def check_equal_work(workers: dict[str, Worker], row: Job) -> None:
    """Raise unless all sides got the same values in their first steps.

    In rows with ``check`` in all of them; in others only in the first, for PyTorch's two
    biases in one sum learn twice as fast. Not in those with ``random``.
    """
    if row.get("random"):
        return
    count = WARM_UP if row.get("check") else 1
    values = {n: w.values[:count] for n, w in workers.items() if w.values[0] is not None}
    first, *others = values
    for other in others:
        for mine, theirs in zip(values[first], values[other], strict=True):
            if not math.isclose(mine or 0, theirs or 0, rel_tol=TOLERANCE):
                raise RuntimeError(
                    f"{row['name']}: {first} computes {values[first]}, {other} {values[other]}: "
                    "not the same work"
                )
