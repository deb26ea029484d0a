"""Freed memory stays with the process, so that a step does not pay for its pages again."""

import platform
import subprocess
import sys

import pytest

STEPS = """
import resource
import rnn_xp.kernels.cpu
import numpy as np

def step():
    arrays = [np.ones(320_000, np.float32) for _ in range(6)]

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

for _ in range(3):
    step()
before = faults()
for _ in range(10):
    step()
print(faults() - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="about glibc's malloc")
def test_steps_reuse_the_pages_of_the_arrays_before(monkeypatch):
    for name in ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "MALLOC_TOP_PAD_"):
        monkeypatch.delenv(name, raising=False)
    run = subprocess.run(
        [sys.executable, "-c", STEPS], capture_output=True, text=True, check=True, timeout=60
    )
    # 18,000 without.
    assert int(run.stdout) < 1000
