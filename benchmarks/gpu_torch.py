"""PyTorch's side of the GPU benchmark: what a user of PyTorch does for speed.

Time-major batches in pinned memory, SGD in one fused kernel, TF32 off in every part of
PyTorch for "float32" and on for "tf32". In the half types a training step is an autocast of
a float32 model (with `GradScaler` for float16), as its guide to mixed precision has it; a
lone layer has its weights, inputs and gradients in the half type, so nothing is cast in it.
"""

from collections.abc import Callable
from contextlib import nullcontext
from itertools import cycle
from typing import Any

import numpy as np
import torch
from gpu_worker import Server
from layers import inputs, mean_squares
from lm_models import CLIP, LR, batches, recurrent_weights, torch_layers, torch_model
from timing import Job, Step

HALVES = {"float16": torch.float16, "bfloat16": torch.bfloat16}


class TorchDevice:
    """PyTorch on "cuda" or "cpu"."""

    def __init__(self, kind: str):
        self.kind = kind
        name = f" ({torch.cuda.get_device_name()})" if kind == "cuda" else ""
        self.label = f"torch:{kind}{name}"

    def synchronize(self) -> None:
        if self.kind == "cuda":
            torch.cuda.synchronize()

    def mark(self) -> Any:
        if self.kind != "cuda":
            return None
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        return event

    def between(self, start: Any, stop: Any) -> float | None:
        return None if start is None else float(start.elapsed_time(stop)) / 1000

    def watched(self, run: Callable[[], Any]) -> tuple[Any, dict[str, int] | None]:
        if self.kind != "cuda":
            return run(), None
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        result = run()
        used = torch.cuda.max_memory_allocated() - before
        return result, {"used": used, "reserved": torch.cuda.max_memory_reserved()}

    def spin(self, seconds: float) -> bool:
        return False


def server(side: str) -> Server:
    """The server of "cuda" or "cpu"."""

    def build(job: Job) -> Step:
        return BUILDERS[job["kind"]]({**job, "device": side})

    device = TorchDevice(side)
    probes = {"precision": lambda: precision_errors(side), "about": about}
    return Server(device, build, probes)


def allow_tf32(allowed: bool) -> dict[str, str]:
    """Turn TF32 on or off in products, convolutions and cuDNN's RNNs; returns what is set.

    From 2.9 on each has a switch of its own, the one for all does not reach the RNNs
    (pytorch/pytorch#179445), and mixing the old switches with the new ones is an error.
    """
    backends = torch.backends
    parts = {
        "cuda.matmul": backends.cuda.matmul,
        "cudnn.conv": getattr(backends.cudnn, "conv", None),
        "cudnn.rnn": getattr(backends.cudnn, "rnn", None),
    }
    if all(hasattr(part, "fp32_precision") for part in parts.values()):
        for part in parts.values():
            part.fp32_precision = "tf32" if allowed else "ieee"  # type: ignore[union-attr]
        return {name: str(part.fp32_precision) for name, part in parts.items()}  # type: ignore[union-attr]
    backends.cuda.matmul.allow_tf32 = backends.cudnn.allow_tf32 = allowed
    return {"cuda.matmul and cudnn": f"allow_tf32 = {allowed}"}


def build_layer(job: Job) -> Step:
    """Forward and backward through recurrent layers, all gradients."""
    allow_tf32(job["precision"] == "tf32")
    xs, dys, _, first = inputs(job)
    rng = np.random.default_rng(1)
    arrays = [first]
    arrays += [
        recurrent_weights(job["cell"], job["H"], job["H"], rng) for _ in range(job["layers"] - 1)
    ]
    target = {"device": job["device"], "dtype": HALVES.get(job["precision"], torch.float32)}
    rnn = torch_layers(job["cell"], arrays).to(**target)
    x, dy = (torch.from_numpy(a).to(**target) for a in (xs, dys))
    x.requires_grad_()
    tokens = job["T"] * job["N"]

    def step() -> tuple[int, Any]:
        rnn.zero_grad()
        x.grad = None
        ys = rnn(x)[0]
        ys.backward(dy)
        found = (ys.detach(), x.grad, rnn.weight_hh_l0.grad)
        return tokens, lambda: mean_squares(*(a.float().cpu().numpy() for a in found))

    return step


def build_lm(job: Job) -> Step:
    """A whole training step of a language model."""
    allow_tf32(job["precision"] == "tf32")
    device, half = job["device"], HALVES.get(job["precision"])
    model = torch_model({**job, "time_major": True}).to(device)
    optimizer = torch.optim.SGD(model.parameters(), lr=LR, fused=True)
    criterion = torch.nn.CrossEntropyLoss()
    scaler = torch.amp.GradScaler(device) if half is torch.float16 else None
    turn = cycle(_host_batches(job))
    state: Any = None

    def step() -> tuple[int, Any]:
        nonlocal state
        xs, ts = (ids.to(device, non_blocking=True) for ids in next(turn))
        if isinstance(state, tuple):
            state = tuple(part.detach() for part in state)
        elif state is not None:
            state = state.detach()
        with torch.autocast(device, dtype=half) if half else nullcontext():
            scores, state = model(xs, state)
            loss = criterion(scores.reshape(-1, job["V"]), ts.reshape(-1))
        optimizer.zero_grad()
        if scaler is None:
            loss.backward()
        else:
            scaler.scale(loss).backward()
            scaler.unscale_(optimizer)
        torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP)
        if scaler is None:
            optimizer.step()
        else:
            scaler.step(optimizer)
            scaler.update()
        return xs.numel(), lambda: float(loss.detach())

    return step


def _host_batches(job: Job) -> list[tuple[Any, Any]]:
    """The batches (T, N), in pinned memory if they go to a GPU."""
    turn = batches(job)
    found = [tuple(torch.from_numpy(a.T.copy()) for a in next(turn)) for _ in range(8)]
    if job["device"] == "cuda":
        found = [tuple(a.pin_memory() for a in pair) for pair in found]
    return found


BUILDERS: dict[str, Callable[[Job], Step]] = {"layer": build_layer, "lm": build_lm}


def precision_errors(device: str) -> dict[str, Any]:
    """Whether the switches do what they say: errors of float32 against float64.

    Of the largest element; about 1e-6 in IEEE arithmetic, 1e-4 to 1e-3 in TF32.
    """
    torch.manual_seed(0)
    a = torch.randn(256, 512, device=device, dtype=torch.float64)
    b = torch.randn(512, 512, device=device, dtype=torch.float64) / 512**0.5
    lstm = torch.nn.LSTM(512, 512, 2).to(device, torch.float64)
    x = a.reshape(8, 32, 512)
    with torch.no_grad():
        wanted = {"product": a @ b, "LSTM": lstm(x)[0]}
        lstm.float()
        found: dict[str, Any] = {}
        for precision in ("float32", "tf32"):
            switches = allow_tf32(precision == "tf32")
            got = {"product": a.float() @ b.float(), "LSTM": lstm(x.float())[0]}
            errors = {
                name: float((got[name].double() - value).abs().max() / value.abs().max())
                for name, value in wanted.items()
            }
            found[precision] = {"switches": switches, "errors": errors}
    return found


def about() -> dict[str, Any]:
    """Versions, and settings that are left as they are."""
    cudnn = torch.backends.cudnn.version() if torch.backends.cudnn.is_available() else None
    return {
        "torch": torch.__version__,
        "cuda": torch.version.cuda,
        "cudnn": cudnn,
        "threads": torch.get_num_threads(),
    }
