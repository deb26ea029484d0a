"""The language model of the benchmarks and its training step: rnn_xp and PyTorch.

All sides start from the same weights and see the same tokens.
"""

from collections.abc import Iterator
from itertools import cycle
from typing import Any

import numpy as np
from timing import Job, Step

CLIP = 0.25
LR = 0.2
GATES = {"rnn": 1, "gru": 3, "lstm": 4}


def recurrent_flops(cell: str, D: int, H: int, tokens: int) -> int:
    """Operations of a layer's two products, forwards; a multiplication and an addition are 2."""
    return 2 * tokens * GATES[cell] * H * (D + H)


def step_flops(job: Job) -> int:
    """Operations of the products of a training step.

    Backwards there are two products of the size of each forward one (gradient of the input, and
    of the weights), so 3 times the forward ones. Embedding, gates, softmax and update are not
    counted: they are what a floor does not need.
    """
    tokens, H = job["N"] * job["T"], job["H"]
    widths = [job["D"]] + [H] * (job["layers"] - 1)
    layers = sum(recurrent_flops(job.get("cell", "lstm"), width, H, tokens) for width in widths)
    return 3 * (layers + 2 * tokens * H * job["V"])


def recurrent_weights(cell: str, D: int, H: int, rng: Any) -> dict[str, Any]:
    """``Wx``, ``Wh`` and ``b`` of a layer; a GRU has two rows of biases (reset after)."""

    def normal(scale: float, *shape: int) -> Any:
        return scale * rng.standard_normal(shape, dtype=np.float32)

    gates = GATES[cell] * H
    b = normal(0.1, 2, gates) if cell == "gru" else normal(0.1, gates)
    return {"Wx": normal(D**-0.5, D, gates), "Wh": normal(H**-0.5, H, gates), "b": b}


def weights(job: Job) -> dict[str, Any]:
    """All weights, by their names in rnn_xp."""
    V, D, H = job["V"], job["D"], job["H"]
    rng = np.random.default_rng(0)
    named = {"embedding.W": 0.1 * rng.standard_normal((V, D), dtype=np.float32)}
    for k in range(job["layers"]):
        layer = recurrent_weights(job.get("cell", "lstm"), H if k else D, H, rng)
        named |= {f"layers.{k}.{name}": array for name, array in layer.items()}
    if not job.get("tied"):
        named["output.W"] = H**-0.5 * rng.standard_normal((H, V), dtype=np.float32)
    return named | {"output.b": 0.1 * rng.standard_normal(V, dtype=np.float32)}


def batches(job: Job, dtype: Any = np.int64) -> Iterator[tuple[Any, Any]]:
    """Random ids with word-like frequencies, inputs and targets (N, T), without end."""
    rng = np.random.default_rng(0)
    ids = np.minimum(rng.zipf(1.2, size=(8, job["N"], job["T"] + 1)) - 1, job["V"] - 1)
    ids = ids.astype(dtype)
    return cycle([(block[:, :-1].copy(), block[:, 1:].copy()) for block in ids])


def our_model(job: Job) -> Any:
    """The model in rnn_xp."""
    from rnn_xp.models import Rnnlm

    settings = {name: job[name] for name in ("cell", "layers", "dropout", "tied") if name in job}
    model = Rnnlm(job["V"], job["D"], job["H"], backend="numpy", **settings)
    model.set_parameters(weights(job))
    return model


def build_ours(job: Job) -> Step:
    """A training step of rnn_xp on NumPy."""
    model, turn = our_model(job), batches(job)
    update = our_update(model)

    def step() -> tuple[int, Any]:
        xs, ts = next(turn)
        loss = model.forward(xs, ts)
        model.backward()
        update()
        return xs.size, loss

    return step


def our_update(model: Any) -> Any:
    """Clipping and the update of rnn_xp, as `rnn-xp train` does them."""
    from rnn_xp.optim import SGD, clip_coefficient, global_norm

    optimizer = SGD(lr=LR)
    segments = model.segments()
    params, grads = [p for p, _ in segments], [g for _, g in segments]

    def update() -> None:
        scale, ok = clip_coefficient(global_norm(grads), CLIP)
        optimizer.update(params, grads, scale=scale, ok=ok)

    return update


def torch_layers(cell: str, weights: list[dict[str, Any]], **options: Any) -> Any:
    """Recurrent layers of PyTorch with our weights; what it has transposed, and two biases."""
    import torch

    kind = {"lstm": torch.nn.LSTM, "gru": torch.nn.GRU, "rnn": torch.nn.RNN}[cell]
    D, H = len(weights[0]["Wx"]), len(weights[0]["Wh"])
    rnn = kind(D, H, len(weights), **options)
    for k, layer in enumerate(weights):
        b = layer["b"] if cell == "gru" else (layer["b"], np.zeros_like(layer["b"]))
        arrays = {"weight_ih": layer["Wx"].T, "weight_hh": layer["Wh"].T}
        for name, array in (arrays | {"bias_ih": b[0], "bias_hh": b[1]}).items():
            getattr(rnn, f"{name}_l{k}").data.copy_(torch.from_numpy(np.ascontiguousarray(array)))
    return rnn


def torch_model(job: Job) -> Any:
    """The model in PyTorch: scores and the new state of ids (N, T), or (T, N), and a state."""
    import torch

    arrays, cell = weights(job), job.get("cell", "lstm")
    dropout = job.get("dropout", 0.0)

    class Model(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding = torch.nn.Embedding(job["V"], job["D"])
            self.dropout = torch.nn.Dropout(dropout)
            self.rnn = torch_layers(
                cell,
                [
                    {name: arrays[f"layers.{k}.{name}"] for name in ("Wx", "Wh", "b")}
                    for k in range(job["layers"])
                ],
                batch_first=not job.get("time_major"),
                dropout=dropout if job["layers"] > 1 else 0.0,
            )
            self.output = torch.nn.Linear(job["H"], job["V"])
            self.embedding.weight.data.copy_(torch.from_numpy(arrays["embedding.W"]))
            self.output.bias.data.copy_(torch.from_numpy(arrays["output.b"]))
            if job.get("tied"):
                self.output.weight = self.embedding.weight
            else:
                self.output.weight.data.copy_(torch.from_numpy(arrays["output.W"].T.copy()))

        def forward(self, xs: Any, state: Any) -> Any:
            hs, state = self.rnn(self.dropout(self.embedding(xs)), state)
            return self.output(self.dropout(hs)), state

    model = Model()
    if job.get("check") and cell != "gru":
        # Of two biases in one sum both would learn: the same sum then moves twice as far.
        for name, parameter in model.rnn.named_parameters():
            parameter.requires_grad_(not name.startswith("bias_hh"))
    return model


def build_torch(job: Job) -> Step:
    """The same step in PyTorch."""
    import torch

    model, turn = torch_model(job), batches(job)
    optimizer = torch.optim.SGD(model.parameters(), lr=LR)
    criterion = torch.nn.CrossEntropyLoss()
    state: Any = None

    def step() -> tuple[int, Any]:
        nonlocal state
        xs, ts = (torch.from_numpy(ids) for ids in next(turn))
        if isinstance(state, tuple):
            state = tuple(s.detach() for s in state)
        elif state is not None:
            state = state.detach()
        scores, state = model(xs, state)
        optimizer.zero_grad()
        loss = criterion(scores.reshape(-1, job["V"]), ts.reshape(-1))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP)
        optimizer.step()
        return xs.numel(), loss.detach()

    return step
