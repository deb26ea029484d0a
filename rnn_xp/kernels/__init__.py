"""The seam between layers and speed: a table of whole-sequence primitives.

`generic/` is the specification, in the array API alone; `cpu/` (NumPy), `compiled/` (NumPy
arrays, compiled by Numba if that is installed) and `cuda/` (CuPy) hold the fast twins. A layer
calls ``self.kernels.lstm_forward(...)`` and knows no more.
"""

from rnn_xp.kernels.table import (
    GENERIC,
    PRECISIONS,
    PRIMITIVES,
    FastKernels,
    Kernels,
    kernel_report,
    select,
)
from rnn_xp.kernels.workspace import Workspace

__all__ = [
    "GENERIC",
    "PRECISIONS",
    "PRIMITIVES",
    "FastKernels",
    "Kernels",
    "Workspace",
    "kernel_report",
    "select",
]
