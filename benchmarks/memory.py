"""Peak memory of a training step, against PyTorch, and how it grows with V and with N x T.

The peak is that of a process which makes a few steps: all of it, and what came on top of the
imported libraries. A side that stores all scores has a term N x T x V; its bytes show in the
line under the table, as growth of the peak per token and word.
"""

from driver import OURS, Benchmark
from lm_models import build_ours, build_torch
from records import Result
from timing import Job, Side, ours


def rows(vocabularies: tuple[int, ...], batches: tuple[tuple[int, int], ...], H: int) -> list[Job]:
    """Every vocabulary with every batch; one LSTM layer, the book's."""
    return [
        {"name": f"V={V} {N}x{T}", "V": V, "D": H, "H": H, "layers": 1, "N": N, "T": T}
        for V in vocabularies
        for N, T in batches
    ]


def columns(result: Result) -> dict[str, str]:
    """A row of the table."""
    row, sides = result["row"], result["sides"]
    cells = {"V": f"{row['V']:,}", "N x T": f"{row['N']} x {row['T']}"}
    for name, side in sides.items():
        whole, job = side["peak_bytes"] / 2**20, side["job_bytes"] / 2**20
        cells[f"{name}, MiB (without imports)"] = f"{whole:.0f} ({job:.0f})"
    for side in OURS:
        if side in sides and "PyTorch" in sides:
            share = sides[side]["peak_bytes"] / sides["PyTorch"]["peak_bytes"]
            cells[f"{side}: share of PyTorch's"] = f"**{share:.2f}**"
    return cells


def summary(results: list[Result]) -> str:
    """Growth from the smallest to the largest N x T at every V."""
    lines = []
    for name in results[0]["sides"]:
        growth = []
        for V in dict.fromkeys(result["row"]["V"] for result in results):
            rows = [result for result in results if result["row"]["V"] == V]
            few, many = rows[0], rows[-1]
            tokens = [r["row"]["N"] * r["row"]["T"] for r in (few, many)]
            if tokens[1] > tokens[0]:
                more = many["sides"][name]["peak_bytes"] - few["sides"][name]["peak_bytes"]
                growth.append(f"{more / (tokens[1] - tokens[0]) / V:.2f} at V = {V:,}")
        lines.append(f"{name}: {', '.join(growth)}")
    return f"Bytes of growth per token and word. {'; '.join(lines)}."


BENCHMARK = Benchmark(
    __file__,
    rows((1000, 10000, 40000), ((20, 35), (80, 35)), 100),
    rows((50, 100), ((3, 5), (6, 5)), 8),
    {**ours(build_ours), "PyTorch": Side(build_torch, ("numpy", "torch"))},
    columns,
    rounds=1,
    summary=summary,
    seconds=0.0,
)

if __name__ == "__main__":
    BENCHMARK.main(__doc__)
