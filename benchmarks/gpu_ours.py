"""Our side of the GPU benchmark: layers and training steps of rnn_xp on CuPy and on NumPy.

The training step is the one that `rnn-xp train` makes, of the same `Prefetch` and `Stepper`.
"""

from collections.abc import Callable
from itertools import count
from typing import Any

import gpu_probes
import numpy as np
from gpu_worker import Refused, Server
from layers import inputs, mean_squares
from lm_models import CLIP, LR, batches, recurrent_weights, weights
from timing import Job, Step

from rnn_xp.backend import get_backend, to_host
from rnn_xp.cupy_probe import cupy_problem
from rnn_xp.layers import TimeGRU, TimeLSTM, TimeRNN
from rnn_xp.models import Rnnlm
from rnn_xp.optim import SGD
from rnn_xp.train import TrainSettings
from rnn_xp.train.prefetch import Prefetch
from rnn_xp.train.stepper import Stepper


class Host:
    """NumPy."""

    label = "numpy"

    def synchronize(self) -> None:
        pass

    def mark(self) -> None:
        return None

    def between(self, start: Any, stop: Any) -> None:
        return None

    def watched(self, run: Callable[[], Any]) -> tuple[Any, None]:
        return run(), None

    def spin(self, seconds: float) -> bool:
        return False


class Cuda:
    """CuPy on its current device.

    The memory is what CuPy's pool hands out; that of cuBLAS itself (tens of MiB) is not in it.
    """

    def __init__(self) -> None:
        import cupy

        self._cupy = cupy
        self.label = get_backend("cupy").label

    def synchronize(self) -> None:
        self._cupy.cuda.Device().synchronize()

    def mark(self) -> Any:
        event = self._cupy.cuda.Event()
        event.record()
        return event

    def between(self, start: Any, stop: Any) -> float:
        return float(self._cupy.cuda.get_elapsed_time(start, stop)) / 1000

    def watched(self, run: Callable[[], Any]) -> tuple[Any, dict[str, int]]:
        pool = self._cupy.get_default_memory_pool()
        pool.free_all_blocks()

        class Hook(self._cupy.cuda.MemoryHook):  # type: ignore[name-defined, misc]
            name = "peak of the memory in use"
            now = peak = 0

            def malloc_postprocess(self, mem_size: int, **others: Any) -> None:
                self.now += mem_size
                self.peak = max(self.peak, self.now)

            def free_postprocess(self, mem_size: int, **others: Any) -> None:
                self.now -= mem_size

        hook = Hook()
        with hook:
            result = run()
        return result, {"used": hook.peak, "reserved": pool.total_bytes()}

    def spin(self, seconds: float) -> bool:
        gpu_probes.kernel("spin")((1,), (1,), (np.int64(1e9 * seconds),))
        return True


def server(side: str) -> Server:
    """The server of "cupy" or "numpy"."""
    if side == "cupy":
        problem = cupy_problem()
        if problem is not None:
            raise Refused(f"no CUDA device: {problem}")
    device = Cuda() if side == "cupy" else Host()

    def build(job: Job) -> Step:
        return BUILDERS[job["kind"]]({**job, "backend": side})

    return Server(device, build, gpu_probes.PROBES)


def set_precision(owner: Any, precision: str) -> None:
    """Let a model or a layer compute in `precision`; refuse where it cannot."""
    try:
        owner.set_precision(precision)
    except ValueError as error:
        raise Refused(str(error)) from error


def build_layer(job: Job) -> Step:
    """Forward and backward through recurrent layers, all gradients."""
    backend = get_backend(job["backend"])
    xs, dys, _, first = inputs(job)
    rng = np.random.default_rng(1)
    kind: Any = {"lstm": TimeLSTM, "gru": TimeGRU, "rnn": TimeRNN}[job["cell"]]
    arrays = [first]
    arrays += [
        recurrent_weights(job["cell"], job["H"], job["H"], rng) for _ in range(job["layers"] - 1)
    ]
    stack = [kind(*map(backend.asarray, each.values()), time_major=True) for each in arrays]
    for layer in stack:
        set_precision(layer, job["precision"])
    x, dy, tokens = backend.asarray(xs), backend.asarray(dys), job["T"] * job["N"]

    def step() -> tuple[int, Any]:
        hs, dhs = x, dy
        for layer in stack:
            hs = layer.forward(hs)
        for layer in reversed(stack):
            dhs = layer.backward(dhs)
        return tokens, lambda: mean_squares(*map(to_host, (hs, dhs, stack[0].grads[1])))

    return step


def build_lm(job: Job) -> Step:
    """A whole training step of a language model."""
    chosen = {name: job[name] for name in ("cell", "layers", "dropout", "tied") if name in job}
    model = Rnnlm(job["V"], job["D"], job["H"], backend=job["backend"], **chosen)
    model.set_parameters(weights(job))
    set_precision(model, job["precision"])
    settings = TrainSettings(clip=CLIP, batch=job["N"], bptt=job["T"], precision=job["precision"])
    stepper = Stepper(model, SGD(lr=LR), settings)
    turn, number = batches(job), count()
    prefetch = Prefetch(model, lambda _: next(turn), 1)

    def step() -> tuple[int, Any]:
        k = next(number)
        record = stepper.step(k + 1, k, *prefetch.take(k))
        prefetch.prepare(k + 1)
        return record.tokens, lambda: float(to_host(record.loss))

    return step


BUILDERS: dict[str, Callable[[Job], Step]] = {"layer": build_layer, "lm": build_lm}
