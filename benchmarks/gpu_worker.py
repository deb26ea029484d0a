"""A side of a GPU benchmark in a process of its own, which may hang or die.

A kernel that reads where it must not spoils its whole process, and one that waits for ever
never answers. So every request has a time limit, and whoever fails is replaced by a fresh
process: one row is lost, not the run.
"""

import gc
import multiprocessing
import os
import statistics
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Protocol

from timing import Job, Step

WARM_UP = 3  # steps
SPIN = 0.2  # seconds
Reply = dict[str, Any]


class Refused(Exception):  # noqa: N818 - not an error of the benchmark
    """A side does not take the job, or the machine has not what it takes; says why."""


class Device(Protocol):
    """What a side computes on."""

    label: str

    def synchronize(self) -> None: ...

    def mark(self) -> Any:
        """An event in the stream of work; None where there are none."""

    def between(self, start: Any, stop: Any) -> float | None:
        """Seconds from one event to another."""

    def watched(self, run: Callable[[], Any]) -> tuple[Any, dict[str, int] | None]:
        """What `run` returns, and the peak of the memory that it took on the device, bytes."""

    def spin(self, seconds: float) -> bool:
        """Keep the device busy for so long, without waiting; False where that is not possible."""


class Server:
    """Answers the requests of a `Worker`.

    Parameters
    ----------
    device : Device
    build : callable
        From a job to its step.
    probes : dict of str to callable
    """

    def __init__(
        self, device: Device, build: Callable[[Job], Step], probes: dict[str, Callable[[], Any]]
    ):
        self.device, self._build, self._probes = device, build, probes
        self._step: Step | None = None
        self._steps = 1

    def build(self, job: Job, seconds: float) -> Reply:
        """Build a job, make its first steps, and find how many of them take so long."""
        self.free()
        values: list[float] = []

        def start() -> Step:
            step = self._build(job)
            for _ in range(WARM_UP):
                value = step()[1]
                values.append(float(value() if callable(value) else value))
            self.device.synchronize()
            return step

        step, memory = self.device.watched(start)
        taken = [self._time(step, 1)["wall"] for _ in range(2)]
        self._step, self._steps = step, max(1, round(seconds / min(taken)))
        return {"values": values, "memory": memory, "device": self.device.label}

    def round(self) -> Reply:
        """Time a round."""
        if self._step is None:
            raise RuntimeError("a worker was asked for a round before it was given a job")
        return self._time(self._step, self._steps)

    def busy(self) -> float | None:
        """Seconds that a step takes to return while the device is busy with `SPIN` of others.

        Far less than that if nothing in the step waits for the device.
        """
        if self._step is None or not self.device.spin(SPIN):
            return None
        start = time.perf_counter()
        self._step()
        asked = time.perf_counter() - start
        self.device.synchronize()
        return asked

    def probe(self, name: str) -> Any:
        """What a probe finds."""
        return self._probes[name]()

    def free(self) -> None:
        """Forget the job, and what belongs to it."""
        self._step = None
        gc.collect()

    def _time(self, step: Step, steps: int) -> Reply:
        """Seconds of a step: on the clock, until all is asked for, and between events."""
        self.device.synchronize()
        start, first = time.perf_counter(), self.device.mark()
        units = 0
        for _ in range(steps):
            units += step()[0]
        asked, last = time.perf_counter(), self.device.mark()
        self.device.synchronize()
        wall = time.perf_counter() - start
        between = self.device.between(first, last)
        return {
            "wall": wall / steps,
            "host": (asked - start) / steps,
            "event": None if between is None else between / steps,
            "units": units / steps,
        }


def serve(pipe: Connection, module: str, side: str, log: str) -> None:
    """Be a worker: ``server(side)`` of a module answers until the pipe is closed."""
    # What libraries print belongs into the log.
    with Path(log).open("a") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    server: Server | None = None
    while True:
        try:
            do, arguments = pipe.recv()
        except EOFError:
            return
        try:
            server = server or import_module(module).server(side)
            reply: Reply = {"reply": getattr(server, do)(**arguments)}
        except Refused as error:
            reply = {"refused": str(error)}
        except Exception as error:
            traceback.print_exc()
            sys.stderr.flush()
            text = " ".join(str(error).split())
            reply = {"failed": f"{type(error).__name__}: {text[:500]}"}
        pipe.send(reply)


class Worker:
    """A side in a process of its own, started when it is needed.

    Parameters
    ----------
    module, side : str
        ``server(side)`` of that module makes the `Server`.
    log : path
        Takes what the process prints.
    variables : dict, optional
        Added to its environment.
    """

    def __init__(self, module: str, side: str, log: Path, variables: dict[str, str] | None = None):
        self._arguments = (module, side, str(log))
        self._variables = variables or {}
        self._process: Any = None
        self._pipe: Any = None

    def start(self) -> None:
        """Start the process, unless it runs."""
        if self._process is not None and self._process.is_alive():
            return
        self.close()
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=serve, args=(theirs, *self._arguments), daemon=True)
        with _environment(self._variables):
            self._process.start()
        theirs.close()

    def ask(self, do: str, limit: float, **arguments: Any) -> Reply:
        """Ask for something: ``{"reply": ...}``, ``{"refused": why}`` or ``{"failed": why}``."""
        self.start()
        try:
            self._pipe.send((do, arguments))
            if not self._pipe.poll(max(0.0, limit)):
                self.close()
                return {"failed": f"no answer to {do!r} within {limit:.0f} s"}
            reply: Reply = self._pipe.recv()
        except (EOFError, OSError):  # the latter if it ended before it read what was asked
            self._process.join(5)
            reply = {"failed": f"the process ended with exit code {self._process.exitcode}"}
        if "failed" in reply:
            self.close()  # what is wrong on the device stays wrong in that process
        return reply

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            self._pipe.close()
            self._process.kill()
            self._process.join()
            self._process = None


@contextmanager
def _environment(variables: dict[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def median_seconds(rounds: list[Reply], name: str) -> float | None:
    """Median over the rounds of ``wall``, ``host`` or ``event``; None if it was not taken."""
    taken = [one[name] for one in rounds if one[name] is not None]
    return float(f"{statistics.median(taken):.5g}") if taken else None
