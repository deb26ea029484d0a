"""Fast twins for CuPy."""

from rnn_xp.kernels.table import FastKernels

FAST: list[FastKernels] = []
