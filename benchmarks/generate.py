"""Generation, token by token, against a loop of the same model in PyTorch under ``no_grad``.

Sampling from the softmax, N texts side by side; the ``--quick`` rows take the likeliest token,
and both sides must then write the same text.
"""

from typing import Any

import numpy as np
from driver import OURS, Benchmark
from lm_models import our_model, torch_model
from records import Result, spread
from timing import Job, Side, Step, ours

MODELS = {
    "words 1x100": (10000, 100, 1),
    "words 2x650": (10000, 650, 2),
    "char-rnn 2x128": (65, 128, 2),
    "char-rnn 2x512": (65, 512, 2),
}


def row(name: str, V: int, H: int, layers: int, N: int, length: int, **more: Any) -> Job:
    """A job; `length` tokens are generated in a step."""
    sizes = {"V": V, "D": H, "H": H, "layers": layers, "N": N, "length": length}
    return {"name": name, **sizes, **more}


ROWS = [
    row(f"{k} N={N}", *sizes, N, 50, random=True) for k, sizes in MODELS.items() for N in (1, 16)
]
QUICK = [row(f"{cell} {N}", 30, 8, 2, N, 12, greedy=True, cell=cell)
         for cell in ("lstm", "gru") for N in (1, 3)]  # fmt: skip


def text_value(taken: list[Any]) -> float:
    """What greedy sides must agree in; the order of the tokens counts."""
    return float(sum((k + 1) * np.asarray(ids).sum() for k, ids in enumerate(taken)))


def build_ours(job: Job) -> Step:
    """`rnn_xp.generate`, as a user calls it."""
    from rnn_xp.generate import generate

    model, N, length = our_model(job), job["N"], job["length"]
    greedy = job.get("greedy", False)

    def step() -> tuple[int, Any]:
        taken = list(generate(model, [1], length, seed=0, samples=N, greedy=greedy))
        return N * length, lambda: text_value(taken)

    return step


def build_torch(job: Job) -> Step:
    """The loop that one writes in PyTorch."""
    import torch

    model, N, length = torch_model(job).eval(), job["N"], job["length"]

    def step() -> tuple[int, Any]:
        ids, state, taken = torch.ones((N, 1), dtype=torch.int64), None, []
        with torch.no_grad():
            for _ in range(length):
                scores, state = model(ids, state)
                if job.get("greedy"):
                    ids = scores[:, -1].argmax(1, keepdim=True)
                else:
                    ids = torch.multinomial(torch.softmax(scores[:, -1], 1), 1)
                taken.append(ids.numpy())
        return N * length, lambda: text_value(taken)

    return step


def columns(result: Result) -> dict[str, str]:
    """A row of the table."""
    job, sides = result["row"], result["sides"]
    cells = {"model": job["name"], **{name: str(job[name]) for name in ("V", "H", "layers", "N")}}
    cells |= {f"{name}, tokens/s": f"{side['per_second']:,.0f}" for name, side in sides.items()}
    for side in OURS:
        if side in sides and "PyTorch" in sides:
            cells[f"{side}: times PyTorch"] = spread(result["ratios"][side]["PyTorch"])
    return cells


BENCHMARK = Benchmark(
    __file__,
    ROWS,
    QUICK,
    {**ours(build_ours), "PyTorch": Side(build_torch, ("numpy", "torch"))},
    columns,
    rounds=7,
)

if __name__ == "__main__":
    BENCHMARK.main(__doc__)
