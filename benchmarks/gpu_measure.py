"""One row of the GPU benchmark: both sides take turns, and only equal work is compared."""

import math
import statistics
import time
from typing import Any

from gpu_rows import TOLERANCE
from gpu_worker import Reply, Worker, median_seconds
from timing import WARM_UP, Job

OURS = "rnn_xp"
ROUND = 0.06  # seconds that a round takes, about
LIMIT = 60.0  # seconds for an answer; the first one on a machine compiles kernels
SLOW = 8.0  # seconds after which a row ends with fewer rounds
FEWEST = 3  # rounds
# Launches that CUDA queues, about: with more of them in a step, the call waits in any case.
QUEUE = 1000


def measure(
    row: Job, workers: dict[str, Worker], rounds: int, left: float, seconds: float = ROUND
) -> dict[str, Any]:
    """Measure a row within so many seconds.

    Returns
    -------
    dict
        ``row``; ``sides``: for each side its figures, or why it has none (``refused``,
        ``failed``); ``ratio`` of our speed to the other side's, over the turns, or
        ``no_ratio``, the reason why there is none.
    """
    end = time.monotonic() + left
    names = (OURS, row["against"])
    sides: dict[str, dict[str, Any]] = {}

    def ask(name: str, do: str, **arguments: Any) -> Reply:
        return workers[name].ask(do, max(5.0, min(LIMIT, end - time.monotonic())), **arguments)

    for name in names:
        reply = ask(name, "build", job=row, seconds=seconds)
        sides[name] = reply.get("reply", reply)
    taken: dict[str, list[Reply]] = {name: [] for name in names if "values" in sides[name]}
    slow = time.monotonic() + SLOW
    for done in range(rounds):
        if done >= FEWEST and time.monotonic() > min(slow, end):
            break
        for name in list(taken):
            reply = ask(name, "round")
            if "reply" in reply:
                taken[name].append(reply["reply"])
            else:
                sides[name] = reply
                del taken[name]
    launches = 4 * row["T"] * row["layers"]  # a product and a kernel a step, both ways
    if OURS in taken and row["kind"] == "lm" and launches < QUEUE:
        sides[OURS]["busy"] = ask(OURS, "busy").get("reply")
    for name in taken:
        ask(name, "free")
        sides[name] |= {what: median_seconds(taken[name], what) for what in ("wall", "host")}
        sides[name] |= {"event": median_seconds(taken[name], "event"), "rounds": len(taken[name])}
        sides[name]["per_second"] = float(f"{taken[name][0]['units'] / sides[name]['wall']:.5g}")
    return {"row": row, "sides": sides, **_ratio(row, sides, taken)}


def _ratio(
    row: Job, sides: dict[str, dict[str, Any]], taken: dict[str, list[Reply]]
) -> dict[str, Any]:
    other = row["against"]
    missing = [name for name in (OURS, other) if name not in taken]
    if missing:
        return {"no_ratio": f"{' and '.join(missing)}: no figures"}
    different = difference(row, sides[OURS]["values"], sides[other]["values"])
    if different:
        return {"no_ratio": different}
    pairs = zip(taken[OURS], taken[other], strict=True)
    ratios = sorted(theirs["wall"] / mine["wall"] for mine, theirs in pairs)
    return {
        "ratio": {
            "median": round(statistics.median(ratios), 3),
            "min": round(ratios[0], 3),
            "max": round(ratios[-1], 3),
        }
    }


def difference(row: Job, mine: list[float], theirs: list[float]) -> str:
    """Why the work is not the same; "" if it is.

    Rows with ``check`` must agree in all first steps, others in the first one (PyTorch's two
    biases in one sum learn twice as fast), those with ``random`` need not.
    """
    if row.get("random"):
        return ""
    count = WARM_UP if row.get("check") or row["kind"] == "layer" else 1
    tolerance = TOLERANCE[row["precision"]]
    for a, b in zip(mine[:count], theirs[:count], strict=True):
        if not math.isclose(a, b, rel_tol=tolerance):
            return f"not the same work: {OURS} computes {a:.7g}, {row['against']} {b:.7g}"
    return ""
