"""A whole training step of a language model, against the same model in PyTorch.

Embedding, layers, affine, softmax, loss, backward, clipping and the update: all that a user
waits for, on random token ids. Run ``python benchmarks/lm_step.py``.
"""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from timing import Worker, compare, options, serve, write

# The book's two models, with its batch sizes and clipping, and what the char-rnn and the
# default of `rnn-xp train` are like.
ROWS: list[dict[str, Any]] = [
    {"name": "Rnnlm", "V": 10000, "D": 100, "H": 100, "layers": 1, "N": 20, "T": 35, "steps": 10},
    {
        **{"name": "BetterRnnlm", "V": 10000, "D": 650, "H": 650, "layers": 2, "N": 20, "T": 35},
        **{"dropout": 0.5, "tied": True, "steps": 2},
    },
    {"name": "2x200", "V": 10000, "D": 200, "H": 200, "layers": 2, "N": 20, "T": 20, "steps": 8},
    {"name": "chars 2x128", "V": 65, "D": 128, "H": 128, "layers": 2, "N": 50, "T": 50, "steps": 8},
    {"name": "chars 2x512", "V": 65, "D": 512, "H": 512, "layers": 2, "N": 50, "T": 50, "steps": 2},
    {
        "name": "5000 2x256",
        "V": 5000,
        "D": 256,
        "H": 256,
        "layers": 2,
        "N": 32,
        "T": 35,
        "steps": 4,
    },
    {
        **{"name": "Rnnlm gru", "cell": "gru", "V": 10000, "D": 100, "H": 100, "layers": 1},
        "N": 20,
        "T": 35,
        "steps": 10,
    },
    {
        **{"name": "Rnnlm rnn", "cell": "rnn", "V": 10000, "D": 100, "H": 100, "layers": 1},
        "N": 20,
        "T": 35,
        "steps": 10,
    },
]
CLIP = 0.25
LR = 20.0


def batches(job: dict[str, Any]) -> Callable[[], tuple[Any, Any]]:
    """Return a function that gives random ids with word-like frequencies, (N, T) twice."""
    rng = np.random.default_rng(0)
    shape = (job["N"], job["T"] + 1)
    ids = np.minimum(rng.zipf(1.2, size=(8, *shape)) - 1, job["V"] - 1)
    turn = iter(range(10**9))

    def next_batch() -> tuple[Any, Any]:
        chosen = ids[next(turn) % len(ids)]
        return chosen[:, :-1], chosen[:, 1:]

    return next_batch


def build_ours(job: dict[str, Any]) -> Callable[[], int]:
    """One step of rnn_xp on NumPy."""
    from rnn_xp.models import Rnnlm
    from rnn_xp.optim import SGD, clip_coefficient

    model = Rnnlm(
        job["V"],
        job["D"],
        job["H"],
        cell=job.get("cell", "lstm"),
        layers=job["layers"],
        dropout=job.get("dropout", 0.0),
        tied=job.get("tied", False),
        backend="numpy",
    )
    optimizer = SGD(lr=LR / 100)
    next_batch = batches(job)
    kernels = model.backend.kernels("float32")
    segments = model.segments()
    params, grads = [p for p, _ in segments], [g for _, g in segments]

    def step() -> int:
        xs, ts = next_batch()
        model.forward(xs, ts)
        model.backward()
        scale, ok = clip_coefficient(kernels.global_norm(grads), CLIP)
        optimizer.update(params, grads, scale=scale, ok=ok)
        return int(xs.size)

    return step


def build_torch(job: dict[str, Any]) -> Callable[[], int]:
    """The same step in PyTorch."""
    import torch

    V, D, H = job["V"], job["D"], job["H"]
    kinds = {"lstm": torch.nn.LSTM, "gru": torch.nn.GRU, "rnn": torch.nn.RNN}
    dropout = job.get("dropout", 0.0)

    class Model(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding = torch.nn.Embedding(V, D)
            self.dropout = torch.nn.Dropout(dropout)
            kind = kinds[job.get("cell", "lstm")]
            inner = dropout if job["layers"] > 1 else 0.0
            self.rnn = kind(D, H, job["layers"], batch_first=True, dropout=inner)
            self.output = torch.nn.Linear(H, V)
            if job.get("tied", False):
                self.output.weight = self.embedding.weight

        def forward(self, xs: Any, state: Any) -> Any:
            hs, state = self.rnn(self.dropout(self.embedding(xs)), state)
            return self.output(self.dropout(hs)), state

    model = Model()
    optimizer = torch.optim.SGD(model.parameters(), lr=LR / 100)
    criterion = torch.nn.CrossEntropyLoss()
    next_batch = batches(job)
    state: Any = None

    def step() -> int:
        nonlocal state
        xs, ts = next_batch()
        if isinstance(state, tuple):
            state = tuple(s.detach() for s in state)
        elif state is not None:
            state = state.detach()
        scores, state = model(torch.from_numpy(np.ascontiguousarray(xs)), state)
        targets = torch.from_numpy(np.ascontiguousarray(ts)).reshape(-1)
        optimizer.zero_grad()
        criterion(scores.reshape(-1, V), targets).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP)
        optimizer.step()
        return int(xs.size)

    return step


def main() -> None:
    """Measure every row and write the results."""
    parser = options(__doc__ or "", rounds=15)
    arguments = parser.parse_args()
    results = []
    for row in ROWS:
        if arguments.only not in row["name"]:
            continue
        workers = {
            side: Worker(Path(__file__), {**row, "side": side, "names": names}, arguments.threads)
            for side, names in (("rnn_xp", ["numpy"]), ("torch", ["torch", "numpy"]))
        }
        result = {"row": row, "threads": arguments.threads, **compare(workers, arguments.rounds)}
        for worker in workers.values():
            worker.close()
        results.append(result)
        ours, theirs = result["workers"]["rnn_xp"], result["workers"]["torch"]
        ratio = result["speed_ratio"]["torch"]
        print(
            f"{row['name']:12} rnn_xp {ours['tokens_per_second']:7d} tokens/s "
            f"{ours['peak_bytes'] / 2**20:5.0f} MiB   torch {theirs['tokens_per_second']:7d} "
            f"tokens/s {theirs['peak_bytes'] / 2**20:5.0f} MiB   ratio {ratio['median']:.2f} "
            f"({ratio['min']:.2f} to {ratio['max']:.2f})",
            flush=True,
        )
    if not arguments.dry:
        print(f"wrote {write('lm_step', results)}")


if __name__ == "__main__":
    if "--worker" in sys.argv:
        serve(lambda job: (build_ours if job["side"] == "rnn_xp" else build_torch)(job))
    else:
        main()
