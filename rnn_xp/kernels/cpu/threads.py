"""Run independent pieces of an element-wise pass on several threads.

NumPy's element-wise functions use one core; they release the interpreter's lock while they
work, so that Python threads run them side by side. Only pieces whose results do not depend on
each other go here: the bits are the same with any number of threads.
"""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache

# What OpenBLAS, MKL and OpenMP read, in that order: who limits the matrix products limits this.
VARIABLES = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS")


def run_side_by_side(function: Callable[[int], None], pieces: Sequence[int]) -> None:
    """Call `function` with each of `pieces`, on as many threads as matrix products may use.

    The calling thread takes its share. An exception of any piece is raised here.
    """
    # Waking a thread pays from two pieces on.
    threads = max(1, min(thread_count(), len(pieces) // 2))
    shares = [pieces[k::threads] for k in range(threads)]

    def run(share: Sequence[int]) -> None:
        for piece in share:
            function(piece)

    others = [_pool(thread_count()).submit(run, share) for share in shares[1:]]
    try:
        for share in shares[:1]:
            run(share)
    finally:
        # Also after an exception here: nobody may go on writing into the arrays.
        for other in others:
            other.result()


@cache
def thread_count() -> int:
    """Threads of a pass: what the environment allows, else the cores that may be used."""
    for name in VARIABLES:
        text = os.environ.get(name, "").split(",")[0].strip()
        if text.isdecimal() and int(text) > 0:
            return int(text)
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@cache
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max(1, threads - 1), thread_name_prefix="rnn_xp")


# A forked child has none of its parent's threads, and would wait for them for ever.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.cache_clear)
