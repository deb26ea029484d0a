"""What the tests of the CUDA kernels share: how close is close."""

import numpy as np
from standin.array import Device

from rnn_xp.backend import to_host

# Relative to the largest entry of the reference: forward results, gradients.
FORWARD = {"float32": 1e-6, "float64": 1e-12}
GRADIENT = {"float32": 5e-6, "float64": 1e-12}


def must_round(be, precision):
    """Whether products in `precision` show that it is not float32.

    TF32 is a permission: what use cuBLAS makes of it for matrices as small as the tests' is its own
    affair.
    """
    return precision != "tf32" or isinstance(be.device, Device)


def close(actual, expected, rtol):
    """Compare a device array with what a generic kernel gave on NumPy."""
    actual = to_host(actual)
    assert actual.dtype == expected.dtype
    assert actual.shape == expected.shape
    largest = np.abs(expected).max() if expected.size else 0.0
    np.testing.assert_allclose(actual, expected, rtol=0, atol=rtol * max(largest, 1e-30))
