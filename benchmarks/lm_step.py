"""A whole training step of a language model: rnn_xp, PyTorch, JAX, Keras on JAX.

Embedding, layers, affine, softmax, loss, backward, clipping and the update: all that a user
waits for, on random token ids. Run ``python benchmarks/lm_step.py``.
"""

from math import exp, log
from typing import Any

from driver import OURS, Benchmark
from lm_jax import build_jax, build_keras
from lm_models import build_ours, build_torch, step_flops
from records import Result, spread
from timing import Job, Side, gemm, ours

RIVALS = ("PyTorch", "JAX")


def model(
    name: str, V: int, H: int, layers: int, N: int, T: int, cell: str = "lstm", **more: Any
) -> Job:
    """A row: embedding and layers are of one width in all of them."""
    sizes = {"V": V, "D": H, "H": H, "layers": layers, "N": N, "T": T}
    return {"name": name, "cell": cell, **sizes, **more}


# The book's models with its sizes of batches, char-rnn's default and its large model, and what
# is between.
ROWS = [
    model("book Rnnlm", 10000, 100, 1, 20, 35),
    model("words 2x650", 10000, 650, 2, 20, 35),
    model("book BetterRnnlm", 10000, 650, 2, 20, 35, dropout=0.5, tied=True, random=True),
    model("words 2x200", 10000, 200, 2, 20, 20),
    model("char-rnn 2x128", 65, 128, 2, 50, 50),
    model("char-rnn 2x512", 65, 512, 2, 50, 50),
    model("words 2x256", 5000, 256, 2, 32, 35),
    model("Rnnlm of GRU", 10000, 100, 1, 20, 35, "gru"),
    model("Rnnlm of RNN", 10000, 100, 1, 20, 35, "rnn"),
    model("char-rnn of GRU", 65, 128, 2, 50, 50, "gru"),
    model("char-rnn of RNN", 65, 128, 2, 50, 50, "rnn"),
    model("book SimpleRnnlm", 418, 100, 1, 10, 5, "rnn"),
]
QUICK = [
    model("lstm", 50, 12, 2, 3, 5),
    model("tied lstm", 50, 12, 1, 3, 5, tied=True),
    model("gru", 50, 12, 1, 3, 5, "gru"),
    model("rnn", 50, 12, 1, 3, 5, "rnn"),
]
SIDES = {
    **ours(build_ours),
    "PyTorch": Side(build_torch, ("numpy", "torch")),
    "JAX": Side(build_jax, ("numpy", "jax"), "jax"),
    "Keras": Side(build_keras, ("numpy", "keras", "jax"), "jax", {"KERAS_BACKEND": "jax"}),
    "gemm": Side(gemm, ("numpy",)),
}


def against_faster(result: Result, side: str) -> dict[str, float] | None:
    """Ratio to the faster of PyTorch and JAX."""
    found = result["ratios"].get(side, {})
    ratios = [found[rival] for rival in RIVALS if rival in found]
    return min(ratios, key=lambda r: r["median"]) if ratios else None


def columns(result: Result) -> dict[str, str]:
    """A row of the table."""
    row, sides = result["row"], result["sides"]
    present = [side for side in OURS if side in sides]
    sizes = ("V", "H", "layers")
    cells = {"model": row["name"], "cell": row["cell"], **{name: str(row[name]) for name in sizes}}
    cells["N x T"] = f"{row['N']} x {row['T']}"
    for name, side in sides.items():
        if name != "gemm":
            cells[f"{name}, tokens/s"] = f"{side['per_second']:,.0f}"
    for side in present:
        ratio = against_faster(result, side)
        if ratio:
            cells[f"{side}: times the faster rival"] = spread(ratio)
    for side in present:
        rate = step_flops(row) / (row["N"] * row["T"]) * sides[side]["per_second"]
        share = rate / sides["gemm"]["per_second"]
        cells[f"{side}: GFLOP/s (share)"] = f"{rate / 1e9:.0f} ({share:.0%})"
    memory = [f"{sides[s]['job_bytes'] / 2**20:.0f}" for s in (*present, "PyTorch") if s in sides]
    cells["memory, MiB"] = " / ".join(memory)
    return cells


def summary(results: list[Result]) -> str:
    """Geometric means of the ratios, and the yardstick."""
    text = []
    for side in OURS:
        found = [(result["row"]["cell"], against_faster(result, side)) for result in results]
        for label, cells in (("LSTM", ("lstm",)), ("GRU and RNN", ("gru", "rnn"))):
            logs = [log(ratio["median"]) for cell, ratio in found if ratio and cell in cells]
            if logs:
                text.append(f"{side}, {label} rows: {exp(sum(logs) / len(logs)):.2f}")
    rates = [result["sides"]["gemm"]["per_second"] / 1e9 for result in results]
    yardstick = f"Products of 2048 x 2048: {min(rates):.0f} to {max(rates):.0f} GFLOP/s."
    means = f"Geometric mean of the ratios: {'; '.join(text)}. " if text else ""
    return means + yardstick


BENCHMARK = Benchmark(
    __file__, ROWS, QUICK, SIDES, columns, rounds=7, summary=summary, optional=("Keras",)
)

if __name__ == "__main__":
    BENCHMARK.main(__doc__)
