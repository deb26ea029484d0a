"""Fast twins for NumPy."""

from rnn_xp.kernels.table import FastKernels

FAST: list[FastKernels] = []
