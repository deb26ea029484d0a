"""Where the time of our training step goes: products, passes over logits, loops, update.

Every call of `numpy.matmul` is timed, and every layer, forwards and backwards. What a layer
takes beyond its products is element-wise passes, copies and Python. The timers cost 1 to 3 %.
Run ``python benchmarks/where.py``.
"""

import json
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from driver import OURS, available, finish, kernel_sides, options, settle, show
from lm_models import batches, our_model, our_update
from lm_step import QUICK, ROWS
from records import Result, versions
from timing import Job, ours, side_environment

SIDES = ours(lambda job: None)
PARTS = (
    "products of all steps at once",
    "products of one step",
    "rest of the recurrent layers",
    "products with the output matrix",
    "softmax, loss and rest of the output layer",
    "embedding, dropout",
    "clipping and update",
)
Times = defaultdict[str, float]


def measure(job: Job, steps: int) -> dict[str, float]:
    """Seconds of a step by part; those of `PARTS`, and ``total``."""
    model, turn = our_model(job), batches(job)
    update, times = our_update(model), defaultdict(float)
    inside = ["other"]
    for layer in model.layers:
        watch_layer(layer, times, inside)
    found = []
    with watched_products(times, inside, job["N"]):
        for _ in range(steps + 2):
            times.clear()
            xs, ts = next(turn)
            start = time.perf_counter()
            model.forward(xs, ts)
            model.backward()
            before = time.perf_counter()
            update()
            end = time.perf_counter()
            times["clipping and update"], times["total"] = end - before, end - start
            found.append(dict(times))
    # A step in the middle, whole, so that its parts add up.
    return sorted(found[2:], key=lambda one: one["total"])[steps // 2]


def kind_of(layer: Any) -> str:
    """Which part a layer belongs to."""
    name = type(layer).__name__
    if "Loss" in name:
        return "softmax, loss and rest of the output layer"
    return "embedding, dropout" if "Embedding" in name or "Dropout" in name else PARTS[2]


def watch_layer(layer: Any, times: Times, inside: list[str]) -> None:
    """Add the time of `forward` and `backward` of a layer to its part."""
    kind = kind_of(layer)

    def watched(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*words: Any, **settings: Any) -> Any:
            inside.append(kind)
            start = time.perf_counter()
            try:
                return function(*words, **settings)
            finally:
                times[kind] += time.perf_counter() - start
                inside.pop()

        return call

    layer.forward, layer.backward = watched(layer.forward), watched(layer.backward)


@contextmanager
def watched_products(times: Times, inside: list[str], N: int) -> Iterator[None]:
    """Move the time of products out of the part that they are in to parts of their own."""
    matmul = np.matmul

    def call(a: Any, b: Any, **settings: Any) -> Any:
        start = time.perf_counter()
        result = matmul(a, b, **settings)
        taken, kind = time.perf_counter() - start, inside[-1]
        times[kind] -= taken
        recurrent = PARTS[1] if a.shape[-2] == N else PARTS[0]
        times[recurrent if kind == PARTS[2] else PARTS[3]] += taken
        return result

    np.matmul = call  # type: ignore[assignment]
    try:
        yield
    finally:
        np.matmul = matmul


def columns(result: Result) -> dict[str, str]:
    """A row of the table: milliseconds, and shares of them in per cent."""
    total = result["parts"]["total"]
    cells = {"model": result["row"]["name"], "side": result["row"]["side"]}
    cells["ms a step"] = f"{1000 * total:.1f}"
    shares = {part: result["parts"].get(part, 0.0) / total for part in PARTS}
    cells |= {part: f"{share:.0%}" for part, share in shares.items()}
    return cells


def run(row: Job, side: str, arguments: Any) -> Result:
    """A row in a process of its own, with the threads and kernels of a side."""
    settings = json.dumps({"job": row, "steps": arguments.rounds})
    environment = side_environment(SIDES[side], arguments.threads)
    command = [sys.executable, __file__, "--part", settings]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return {
        "row": {**row, "side": side},
        "threads": arguments.threads,
        "rounds": arguments.rounds,
        "sides": {side: {"versions": versions(SIDES[side].packages)}},
        "parts": json.loads(done.stdout),
    }


def main() -> None:
    """Measure every row with every kind of kernels."""
    arguments = settle(options(__doc__, rounds=21).parse_args())
    sides = available({name: SIDES[name] for name in kernel_sides(arguments)}, arguments)
    results = []
    for row in QUICK if arguments.quick else ROWS:
        for side in OURS if arguments.only in row["name"] else ():
            if side in sides:
                results.append(run(row, side, arguments))
                show(columns(results[-1]))
    finish(__file__, results, "", arguments)


if __name__ == "__main__":
    if "--part" in sys.argv:
        print(json.dumps(measure(**json.loads(sys.argv[-1]))))
    else:
        main()
