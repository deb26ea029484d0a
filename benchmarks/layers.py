"""One recurrent layer against ``torch.nn``: forward, forward and backward, rows of any length.

"forward" keeps nothing for a backward pass (``train=False``, ``no_grad``); "training" is
forward and backward with the gradients of input and weights; "lengths" the same with rows of
T/4 to T steps: packed sequences in PyTorch, with packing and padding, for both sides begin and
end with padded arrays. Tokens are the steps that count.
"""

from typing import Any

import numpy as np
from driver import OURS, Benchmark
from lm_models import recurrent_weights, torch_layers
from records import Result, spread
from timing import Job, Side, Step, ours

SIZES = [(35, 20, 200), (35, 64, 512), (128, 32, 256)]
MODES = ("forward", "training", "lengths")


def rows(sizes: list[tuple[int, int, int]]) -> list[Job]:
    """All cells in all modes."""
    return [
        {"name": f"{cell} {mode} {T}x{N}x{H}", "cell": cell, "mode": mode, "T": T, "N": N, "H": H}
        for cell in ("lstm", "gru", "rnn")
        for mode in MODES
        for T, N, H in sizes
    ]


def inputs(job: Job) -> tuple[Any, Any, Any, dict[str, Any]]:
    """Input and output gradient (T, N, H), lengths (N,) or None, weights."""
    rng, T, N, H = np.random.default_rng(0), job["T"], job["N"], job["H"]
    xs, dys = rng.standard_normal((2, T, N, H), dtype=np.float32)
    lengths = rng.integers(max(1, T // 4), T + 1, N) if job["mode"] == "lengths" else None
    return xs, dys, lengths, recurrent_weights(job["cell"], H, H, rng)


def mean_squares(*arrays: Any) -> float:
    """What both sides must agree in."""
    return float(sum(np.mean(np.square(a, dtype=np.float64)) for a in arrays))


def build_ours(job: Job) -> Step:
    """A layer of rnn_xp."""
    from rnn_xp.layers import TimeGRU, TimeLSTM, TimeRNN

    xs, dys, lengths, weights = inputs(job)
    kind: Any = {"lstm": TimeLSTM, "gru": TimeGRU, "rnn": TimeRNN}[job["cell"]]
    layer = kind(*weights.values(), time_major=True)
    train, tokens = job["mode"] != "forward", xs.shape[0] * xs.shape[1]
    tokens = tokens if lengths is None else int(lengths.sum())

    def step() -> tuple[int, Any]:
        ys = layer.forward(xs, lengths=lengths, train=train)
        if not train:
            return tokens, lambda: mean_squares(ys)
        dxs = layer.backward(dys)
        return tokens, lambda: mean_squares(ys, dxs, layer.grads[1])

    return step


def build_torch(job: Job) -> Step:
    """A layer of PyTorch."""
    import torch
    from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

    xs, dys, lengths, weights = inputs(job)
    rnn = torch_layers(job["cell"], [weights])
    tokens = xs.shape[0] * xs.shape[1] if lengths is None else int(lengths.sum())
    x, dy = torch.from_numpy(xs).requires_grad_(), torch.from_numpy(dys)
    counts = None if lengths is None else torch.from_numpy(lengths)

    def forward() -> Any:
        if counts is None:
            return rnn(x)[0]
        packed = pack_padded_sequence(x, counts, enforce_sorted=False)
        return pad_packed_sequence(rnn(packed)[0], total_length=job["T"])[0]

    def infer() -> tuple[int, Any]:
        with torch.no_grad():
            ys = forward()
        return tokens, lambda: mean_squares(ys.numpy())

    def train() -> tuple[int, Any]:
        rnn.zero_grad()
        x.grad = None
        ys = forward()
        ys.backward(dy)
        return tokens, lambda: mean_squares(
            ys.detach().numpy(), x.grad.numpy(), rnn.weight_hh_l0.grad.numpy()
        )

    return infer if job["mode"] == "forward" else train


def columns(result: Result) -> dict[str, str]:
    """A row of the table."""
    row, sides = result["row"], result["sides"]
    cells = {name: str(row[name]) for name in ("cell", "mode", "T", "N", "H")}
    cells |= {f"{name}, tokens/s": f"{side['per_second']:,.0f}" for name, side in sides.items()}
    for side in OURS:
        if side in sides and "PyTorch" in sides:
            cells[f"{side}: times PyTorch"] = spread(result["ratios"][side]["PyTorch"])
    return cells


BENCHMARK = Benchmark(
    __file__,
    rows(SIZES),
    rows([(5, 3, 8)]),
    {**ours(build_ours), "PyTorch": Side(build_torch, ("numpy", "torch"))},
    columns,
    rounds=5,
    share=True,
    seconds=0.1,
)

if __name__ == "__main__":
    BENCHMARK.main(__doc__)
