"""Cases of the sequence kernels on the device, and what the specification says of them."""

import copy

import numpy as np
from kernels.test_cpu_sequence import Case

from rnn_xp.backend import to_host
from rnn_xp.kernels import GENERIC

# Outputs and gradients, relative to the largest entry of the reference.
TOLERANCES = {
    "float64": (1e-12, 1e-12),
    "float32": (1e-6, 5e-6),
    "tf32": (2e-3, 2e-3),
    "float16": (2e-2, 2e-2),
    "bfloat16": (2e-2, 2e-2),
}


def case_of(kind, *sizes, precision="float64", **options):
    """A case on the host whose recurrence does not amplify rounding.

    Of the precisions all but "float64" are float32 numbers.
    """
    dtype = "float64" if precision == "float64" else "float32"
    case = Case(kind, *sizes, dtype=dtype, **options)
    D, H = case.weights[0].shape[0], case.weights[1].shape[0]
    case.weights[0] /= case.x.dtype.type(np.sqrt(D))
    case.weights[1] *= case.x.dtype.type(3 / np.sqrt(H) / 2)
    return case


def exactly(case, **upstream):
    """What the specification says, in float64."""
    wide = copy.copy(case)
    wide.dtype = "float64"
    for name in ("x", "dhs"):
        setattr(wide, name, getattr(case, name).astype("float64"))
    for name in ("weights", "state", "dstate", "grads"):
        setattr(wide, name, [a.astype("float64") for a in getattr(case, name)])
    return wide.run(GENERIC, **upstream)


def close(case, actual, expected, precision):
    """Host arrays `actual` equal `expected`, the ``[hs, *state, dx, *dstate, *grads]`` of `case`.

    Returns
    -------
    worst : float
        The largest error, relative to the largest entry of the reference.
    """
    worst = 0.0
    for k, (a, e) in enumerate(zip(actual, expected, strict=True)):
        assert a.shape == e.shape
        assert a.dtype == case.x.dtype
        scale = max(np.abs(e).max(initial=0), 1e-30)
        tolerance = TOLERANCES[precision][k > case.parts]
        np.testing.assert_allclose(a, e, rtol=0, atol=tolerance * scale, equal_nan=False)
        worst = max(worst, np.abs(a - e).max(initial=0) / scale)
    return worst


class DeviceCase:
    """A case in device arrays, and both passes of the kernels of `be` on it.

    Parameters
    ----------
    be : Backend
    case : Case
    precision : str
        "float64" and "float32" are those of the case's own dtype.
    layouts : dict of str to callable, optional
        How to put some of ``x``, ``dhs``, ``mask``, ``weights``, ``state``, ``dstate`` and
        ``grads`` on the device, in other than C-contiguous arrays.
    """

    def __init__(self, be, case, precision="float32", layouts=None):
        self.precision = "float32" if precision == "float64" else precision
        self.parts, self.primitive = case.parts, case.primitive
        self.table = be.kernels(case.dtype)
        layouts = layouts or {}
        for name in ("x", "dhs", "mask"):
            given = getattr(case, name)
            put = layouts.get(name, be.asarray)
            setattr(self, name, None if given is None else put(given))
        for name in ("weights", "state", "dstate", "grads"):
            put = layouts.get(name, be.asarray)
            setattr(self, name, [put(a) for a in getattr(case, name)])

    def forward(self, *, keep=True, workspace=None):
        """``([hs, *state], cache)``, on the device."""
        *out, cache = getattr(self.table, f"{self.primitive}_forward")(
            self.x,
            *self.weights,
            *self.state,
            self.mask,
            keep=keep,
            workspace=workspace,
            precision=self.precision,
        )
        return out, cache

    def backward(self, cache, *, dhs=True, dstate=True, workspace=None):
        """``[dx, *dstate, *grads]`` on the device; `dstate` may be a bool for each part."""
        given = [dstate] * self.parts if isinstance(dstate, bool) else dstate
        upstream = [d if on else None for d, on in zip(self.dstate, given, strict=True)]
        for g in self.grads:
            g[...] = np.nan
        out = getattr(self.table, f"{self.primitive}_backward")(
            self.dhs if dhs else None,
            *upstream,
            cache,
            self.grads,
            workspace=workspace,
            precision=self.precision,
        )
        return [*out, *self.grads]

    def run(self, *, workspace=None, **upstream):
        """Both passes, as host arrays."""
        out, cache = self.forward(workspace=workspace)
        out = out + self.backward(cache, workspace=workspace, **upstream)
        return [to_host(a).copy() for a in out]


def check(be, case, precision="float64", *, layouts=None, workspace=None, **upstream):
    """Run `case` on the device and compare with the specification; the largest error."""
    device = DeviceCase(be, case, precision, layouts)
    actual = device.run(workspace=workspace, **upstream)
    return close(case, actual, exactly(case, **upstream), precision)


def poison(workspace):
    """Fill all buffers with NaN; all bits set is one in float16 and bfloat16."""
    for buffer in workspace.buffers():
        buffer.fill(np.nan if buffer.dtype.kind == "f" else 0xFFFF)
