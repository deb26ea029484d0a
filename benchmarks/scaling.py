"""How the cost of a token grows: with T, N, H, V, threads, and the size of the corpus.

The points of a curve are sides of one comparison: a process each, taking turns. Theory: the
products of a step cost 6 (4 H (D + H) layers + H V) operations a token, whatever T and N are,
so microseconds per token are level along T, N and the corpus, and straight in V and in H's
products; the column of operations says what to expect. The corpus is a token file made on the fly
and read by `ContiguousStreams`; its memory must not grow either.
"""

import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from driver import available, close, finish, kernel_sides, options, settle, show
from lm_models import build_ours, our_model, our_update, step_flops
from records import Result, spread
from timing import PAUSE, Job, Step, Worker, compare, ours, serve

BASE: Job = {"V": 2000, "D": 128, "H": 128, "layers": 1, "N": 32, "T": 32}
MILLION = 1_000_000


def build(job: Job) -> Step:
    """A training step, on random ids or on a corpus."""
    return build_corpus(job) if "corpus" in job else build_ours(job)


def build_corpus(job: Job) -> Step:
    """A training step on a token file of ``corpus`` tokens, byte by byte as ids."""
    from rnn_xp.data import ByteTokenizer, ContiguousStreams, open_token_file, write_token_file

    tokenizer = ByteTokenizer()

    def pieces() -> Iterator[Any]:
        rng, left = np.random.default_rng(0), job["corpus"]
        while left:
            count = min(left, MILLION)
            yield rng.integers(0, tokenizer.size, count, dtype=np.uint8)
            left -= count

    folder = tempfile.TemporaryDirectory()
    path = Path(folder.name) / "corpus.tokens"
    write_token_file(path, pieces(), tokenizer)
    streams = iter(ContiguousStreams(open_token_file(path), job["N"], job["T"]))
    model = our_model({**job, "V": tokenizer.size})
    update = our_update(model)

    def step() -> tuple[int, Any]:
        # The folder lives as long as the step does.
        xs, ts = next(streams) if folder else (None, None)
        loss = model.forward(xs, ts)
        model.backward()
        update()
        return int(xs.size), loss

    return step


SIDES = ours(build)


def curves(quick: bool, cores: int) -> dict[str, dict[str, Job]]:
    """Curves by name, each with its points; a point of threads has ``threads``."""

    def along(name: str, values: list[int], **fixed: Any) -> dict[str, Job]:
        return {f"{name}={v:,}": {**BASE, **fixed, name: v} for v in values}

    if quick:
        small: Job = {"V": 30, "D": 8, "H": 8, "N": 4}
        return {
            "T at fixed N x T": {
                f"T={T}": {**BASE, **small, "N": 32 // T, "T": T} for T in (8, 16)
            },
            "corpus": along("corpus", [5000, 10000], **small),
        }
    steps = [2**k for k in range(4, 10)]
    counts = sorted({1, 2, cores // 2, cores} - {0})
    return {
        "T at fixed N x T": {f"T={T}": {**BASE, "N": 8192 // T, "T": T} for T in steps},
        "T at fixed N": along("T", steps, N=16),
        "N": along("N", [1, 4, 16, 64, 256], T=32),
        "H": {f"H={H}": {**BASE, "H": H, "D": H} for H in (64, 128, 256, 512)},
        "V": along("V", [100, 1000, 10000, 50000]),
        "threads": {f"threads={c}": {**BASE, "H": 512, "D": 512, "threads": c} for c in counts},
        "corpus": along("corpus", [MILLION, 10 * MILLION, 100 * MILLION]),
    }


def columns(result: Result) -> list[dict[str, str]]:
    """Rows of the table, one for each point of a curve."""
    row, jobs, rows = result["row"], result["row"]["points"], []
    first = next(iter(jobs))
    work = {p: step_flops(job) / (job["N"] * job["T"]) for p, job in jobs.items()}
    for point in jobs:
        side, ratio = result["sides"][point], result["ratios"][first].get(point)
        cells = {"curve": row["name"], "side": row["side"], "point": point}
        cells["us per token"] = f"{1e6 / side['per_second']:.2f}"
        cells["cost of a token, first point = 1"] = spread(ratio) if ratio else "1"
        if "corpus" not in jobs[first]:
            cells["its operations, first point = 1"] = f"{work[point] / work[first]:.2f}"
        cells["memory, MiB"] = f"{side['job_bytes'] / 2**20:.0f}"
        rows.append(cells)
    return rows


def measure(name: str, side: str, points: dict[str, Job], arguments: Any) -> Result:
    """One curve."""
    workers, quick = {}, arguments.quick
    for point, job in points.items():
        threads = job.get("threads", arguments.threads)
        workers[point] = Worker(__file__, side, SIDES[side], threads, sys.executable)
        workers[point].start(job, 0.0 if quick else 0.1)
    for worker in workers.values():
        worker.wait()
    measured = compare(workers, arguments.rounds, 0.0 if quick else PAUSE)
    close(workers)
    row = {"name": name, "side": side, "points": points}
    return {"row": row, "threads": arguments.threads, **measured}


def main() -> None:
    """Measure every curve with every kind of kernels."""
    arguments = settle(options(__doc__, rounds=5).parse_args())
    results = []
    sides = available({name: SIDES[name] for name in kernel_sides(arguments)}, arguments)
    for name, points in curves(arguments.quick, os.cpu_count() or 1).items():
        for side in sides if arguments.only in name else ():
            results.append(measure(name, side, points, arguments))
            for cells in columns(results[-1]):
                show(cells)
    finish(__file__, results, "", arguments)


if __name__ == "__main__":
    if "--worker" in sys.argv:
        serve(SIDES[sys.argv[-1]])
    else:
        main()
