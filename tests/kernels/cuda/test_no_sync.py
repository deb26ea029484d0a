"""A training step's Python call returns while a kernel that was queued before it still runs.

Only a real device can show it: the stand-in does everything at once.
"""

import numpy as np
import pytest

from rnn_xp.data import ContiguousStreams
from rnn_xp.models import Rnnlm
from rnn_xp.optim import OPTIMIZERS
from rnn_xp.train import make_settings
from rnn_xp.train.plan import make_optimizer
from rnn_xp.train.prefetch import Prefetch
from rnn_xp.train.stepper import Stepper

# Spins for `ns` nanoseconds of the device's own timer.
SPIN = r"""
extern "C" __global__ void spin(unsigned long long ns) {
    unsigned long long start, now;
    asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(start));
    do {
        asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(now));
    } while (now - start < ns);
}
"""
SPIN_NS = np.uint64(200_000_000)


@pytest.mark.parametrize("optimizer", sorted(OPTIMIZERS))
@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
def test_a_step_returns_while_the_device_is_busy(cupy_be, rng, cell, optimizer):
    import cupy

    settings = make_settings(data="x", clip=1.0, optimizer=optimizer)
    model = Rnnlm(100, 64, 64, cell=cell, layers=2, dropout=0.5, backend=cupy_be)
    stepper = Stepper(model, make_optimizer(settings), settings)
    prefetch = Prefetch(model, ContiguousStreams(rng.integers(0, 100, 9000), 8, 16).batch, 1)

    def step(number):
        record = stepper.step(number, number, *prefetch.take(number))
        prefetch.prepare(number + 1)
        return record

    spin = cupy.RawKernel(SPIN, "spin")
    spin((1,), (1,), (np.uint64(1),))
    # Compilation and first allocations may wait: they are over after a few steps.
    for number in range(1, 4):
        step(number)
    cupy.cuda.Device().synchronize()
    done = cupy.cuda.Event(disable_timing=True)
    spin((1,), (1,), (SPIN_NS,))
    done.record()
    record = step(4)
    assert not done.done, "the step waited for the device"
    assert np.isfinite(record.loss.get())
    assert done.done
