"""What the device and CuPy cost by themselves: launches, a barrier of all blocks, copies, products.

Each probe runs in the worker of our side and returns JSON values. Times are medians, and
"asked" is the time of the call alone: what the processor needs for it.
"""

import statistics
import subprocess
import time
import warnings
from collections.abc import Callable
from functools import cache, partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

SOURCE = Path(__file__).parent / "gpu_kernels.cu"
ROUNDS = 7
PRECISIONS = ("float32", "tf32", "float16", "bfloat16")
WAIT = 1_000_000_000  # clocks that a barrier may take; about half a second


@cache
def kernel(name: str, cooperative: bool = False) -> Any:
    """A kernel of gpu_kernels.cu."""
    import cupy

    return cupy.RawKernel(SOURCE.read_text("utf-8"), name, enable_cooperative_groups=cooperative)


def per_call(call: Callable[[], Any], calls: int = 200) -> dict[str, float]:
    """Microseconds of a call: to ask for it, and in all."""
    import cupy

    device = cupy.cuda.Device()
    call()
    asked, whole = [], []
    for _ in range(ROUNDS):
        device.synchronize()
        start = time.perf_counter()
        for _ in range(calls):
            call()
        middle = time.perf_counter()
        device.synchronize()
        asked.append(1e6 * (middle - start) / calls)
        whole.append(1e6 * (time.perf_counter() - start) / calls)
    return {"asked_us": _rounded(asked), "us": _rounded(whole)}


def launches() -> dict[str, Any]:
    """Calls whose work on the device is next to nothing."""
    import cupy

    a, b, c = (cupy.ones((20, 200), dtype=cupy.float32) for _ in range(3))
    W, gates = (cupy.ones(shape, dtype=cupy.float32) for shape in ((200, 800), (20, 800)))
    plus = cupy.ElementwiseKernel("float32 x, float32 y", "float32 z", "z = x + y", "bench_plus")
    raw, n = kernel("add_one"), np.int32(a.size)
    calls = {
        "ufunc out=": lambda: cupy.add(a, b, out=c),
        "ElementwiseKernel": lambda: plus(a, b, c),
        "RawKernel": lambda: raw((16,), (256,), (a, n)),
        "matmul out=, 20x200 @ 200x800": lambda: cupy.matmul(a, W, out=gates),
    }
    if find_spec("rnn_xp.kernels.cuda.product"):
        from rnn_xp.kernels.cuda.product import product

        calls["our product, the same"] = lambda: product(a, W, gates)
    found: dict[str, Any] = {name: per_call(call) for name, call in calls.items()}
    arrived, error = cupy.zeros(1, dtype=cupy.uint32), cupy.zeros(1, dtype=cupy.int32)

    def cooperative() -> None:
        arguments = (arrived, error, np.int32(1), np.int32(0), np.int64(WAIT))
        kernel("barriers", True)((1,), (256,), arguments)

    return found | {"cooperative RawKernel": per_call(cooperative)}


def barriers() -> dict[str, Any]:
    """Microseconds of a barrier of all blocks, for several numbers of them."""
    import cupy
    from cupy_backends.cuda.api import driver

    function, threads = kernel("barriers", True), 256
    properties = cupy.cuda.runtime.getDeviceProperties(cupy.cuda.Device().id)
    multiprocessors = int(properties["multiProcessorCount"])
    each = driver.occupancyMaxActiveBlocksPerMultiprocessor(function.kernel.ptr, threads, 0)
    arrived, error = cupy.zeros(1, dtype=cupy.uint32), cupy.zeros(1, dtype=cupy.int32)

    def run(blocks: int, rounds: int) -> float:
        arrived.fill(0)
        start, stop = cupy.cuda.Event(), cupy.cuda.Event()
        arguments = (arrived, error, np.int32(blocks), np.int32(rounds), np.int64(WAIT))
        # CuPy shrinks a cooperative grid that does not fit, with a warning.
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            start.record()
            function((blocks,), (threads,), arguments)
            stop.record()
        stop.synchronize()
        if int(error[0]):
            raise RuntimeError(f"barrier of {blocks} blocks: error {int(error[0])}")
        return 1e3 * float(cupy.cuda.get_elapsed_time(start, stop))

    found: dict[str, Any] = {"multiprocessors": multiprocessors, "blocks_each": each}
    for blocks in sorted({8, 32, 64, 128, multiprocessors}):
        if blocks > each * multiprocessors:
            found[f"{blocks} blocks"] = f"not measured: only {each * multiprocessors} fit"
            continue
        run(blocks, 10)
        taken = [(run(blocks, 2000) - run(blocks, 1)) / 1999 for _ in range(ROUNDS)]
        found[f"{blocks} blocks"] = {"us": _rounded(taken)}
    return found


def copies() -> dict[str, Any]:
    """Bandwidth of copies, GB/s; a small one is what a batch of token ids is."""
    import cupy
    from cupy.cuda import runtime

    stream = cupy.cuda.get_current_stream()
    found: dict[str, Any] = {}
    for size in (1 << 14, 1 << 28):
        device, other = (cupy.zeros(size, dtype=cupy.uint8) for _ in range(2))
        pinned = np.frombuffer(cupy.cuda.alloc_pinned_memory(size), dtype=np.uint8, count=size)
        pageable = np.ones(size, dtype=np.uint8)
        pairs = {
            "pinned host to device": (device.data.ptr, pinned.ctypes.data, 1),
            "pageable host to device": (device.data.ptr, pageable.ctypes.data, 1),
            "device to pinned host": (pinned.ctypes.data, device.data.ptr, 2),
            "device to pageable host": (pageable.ctypes.data, device.data.ptr, 2),
            "device to device": (other.data.ptr, device.data.ptr, 3),
        }
        for name, (target, source, kind) in pairs.items():
            copy = partial(runtime.memcpyAsync, target, source, size, kind, stream.ptr)
            times = per_call(copy, 3 if size > 1 << 20 else 100)
            rate = size / times["us"] / 1e3
            found[f"{name}, {size >> 10} KiB"] = {"us": times["us"], "GB_s": round(rate, 2)}
    return found


def products() -> dict[str, Any]:
    """One step's recurrent product (N, H) @ (H, 4H), of which no loop of steps can be faster."""
    import cupy

    if not find_spec("rnn_xp.kernels.cuda.product"):
        return {"not measured": "this release of rnn_xp has no product of its own"}
    from rnn_xp.kernels.cuda.narrow import narrow
    from rnn_xp.kernels.cuda.product import product

    rng, found = np.random.default_rng(0), {}
    for H in (256, 512, 1024, 2048):
        W64 = rng.standard_normal((H, 4 * H)) / H**0.5
        W = cupy.asarray(W64, dtype=cupy.float32)
        for N in (1, 20, 64, 256):
            h64 = rng.standard_normal((N, H))
            h, out = cupy.asarray(h64, dtype=cupy.float32), cupy.empty((N, 4 * H), cupy.float32)
            wanted = cupy.asarray(h64 @ W64)
            for precision in PRECISIONS:
                pair = (h, W)
                if precision in ("float16", "bfloat16"):
                    pair = (narrow(h, precision), narrow(W, precision))

                times = per_call(partial(product, *pair, out, precision), 100)
                error = float(cupy.abs(out - wanted).max() / cupy.abs(wanted).max())
                found[f"N={N} H={H} {precision}"] = {**times, "error": float(f"{error:.2g}")}
    return found


def about() -> dict[str, Any]:
    """Device, driver and versions."""
    import cupy
    from cupy.cuda import runtime

    properties = runtime.getDeviceProperties(cupy.cuda.Device().id)
    wanted = ("multiProcessorCount", "totalGlobalMem", "l2CacheSize", "sharedMemPerBlockOptin")
    command = ["nvidia-smi", "--query-gpu=driver_version,clocks.max.sm,power.limit", "--format=csv"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20)
        driver = done.stdout.strip().splitlines()[-1:] or [done.stderr.strip()[:200]]
    except (OSError, subprocess.TimeoutExpired) as error:
        driver = [f"nvidia-smi does not answer ({error})"]
    return {
        "device": properties["name"].decode(),
        **{name: properties[name] for name in wanted if name in properties},
        "compute_capability": cupy.cuda.Device().compute_capability,
        "driver": driver[0],
        "cuda_driver": runtime.driverGetVersion(),
        "cuda_runtime": runtime.runtimeGetVersion(),
        "cupy": cupy.__version__,
    }


def _rounded(values: list[float]) -> float:
    return float(f"{statistics.median(values):.4g}")


PROBES: dict[str, Callable[[], Any]] = {
    "about": about,
    "launches": launches,
    "barriers": barriers,
    "copies": copies,
    "products": products,
}
