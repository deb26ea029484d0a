"""The modules that are put in CuPy's place, and `install`, which does so for one test."""

import sys
from importlib.machinery import ModuleSpec
from types import ModuleType

import numpy as np

from standin import blas, memory, transfers
from standin.array import Device, _call, ndarray, wrap
from standin.launch import RawKernel, RawModule

# Of NumPy's functions, those that CuPy has under the same name and the CUDA kernels may use.
FUNCTIONS = (
    "abs", "add", "all", "any", "arange", "ascontiguousarray", "broadcast_to", "clip",
    "concatenate", "copyto", "cumsum", "divide", "dot", "empty_like", "equal", "exp",
    "expand_dims", "full_like", "isfinite", "isnan", "log", "logical_and", "logical_not",
    "maximum", "minimum", "multiply", "negative", "not_equal", "ones_like", "outer", "reshape",
    "sign", "sqrt", "square", "stack", "subtract", "sum", "take", "tanh", "transpose", "where",
    "zeros_like",
)  # fmt: skip
DTYPES = (
    "bool_", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float16",
    "float32", "float64",
)  # fmt: skip


def empty(shape, dtype=np.float64, order="C"):
    """Not zeros, as it happens to be on a host: NaN."""
    _order(order)
    return ndarray(memory.empty(shape, dtype))


def zeros(shape, dtype=np.float64, order="C"):
    return full(shape, 0, dtype, order)


def ones(shape, dtype=np.float64, order="C"):
    return full(shape, 1, dtype, order)


def full(shape, value, dtype=np.float64, order="C"):
    _order(order)
    made = memory.empty(shape, dtype)
    made.fill(value)
    return ndarray(made)


def _order(order):
    if order != "C":
        raise ValueError(f"order {order!r}: the stand-in makes C-contiguous arrays")


def asarray(a, dtype=None, order=None, *, blocking=False):
    """Device array of `a`, which may be on the host; itself if there is nothing to change."""
    if isinstance(a, ndarray):
        return a if dtype in (None, a.dtype) else a.astype(dtype)
    return wrap(memory.copy(np.ascontiguousarray(a, dtype=dtype).reshape(np.shape(a))))


def array(a, dtype=None, copy=True, order="K"):
    made = asarray(a, dtype)
    return made.copy() if made is a and copy else made


def matmul(a, b, out=None):
    """As CuPy: `out` must be C-contiguous and of the product's dtype."""
    if out is not None:
        if not out.flags.c_contiguous:
            raise ValueError("matmul: out is not C-contiguous")
        if out.dtype != np.result_type(a.dtype, b.dtype):
            raise TypeError(f"matmul: out is {out.dtype}, the product of {a.dtype} and {b.dtype}")
    return _call(np.matmul, (a, b), {} if out is None else {"out": out})


def asnumpy(a):
    return a.get() if isinstance(a, ndarray) else np.asarray(a)


class Stream:
    """All of them are one: what is asked for is done at once."""

    __module__ = "cupy.cuda"
    null: "Stream"
    ptr = 0

    def __init__(self, null=False, non_blocking=False, ptds=False, priority=None):
        pass

    def __enter__(self):
        return self

    def __exit__(self, *args):
        pass

    def synchronize(self):
        transfers.note("Stream.synchronize")

    def record(self, event=None):
        return event if event is not None else Event()

    def wait_event(self, event):
        pass

    def use(self):
        return self


Stream.null = Stream()


class Event:
    """Has always happened."""

    __module__ = "cupy.cuda"
    done = True

    def __init__(self, block=False, disable_timing=False, interprocess=False):
        pass

    def record(self, stream=None):
        pass

    def synchronize(self):
        transfers.note("Event.synchronize")


def alloc_pinned_memory(size):
    """Something with the buffer protocol, as large as asked or (as CuPy's pool) larger."""
    return memoryview(bytearray(max(512, -(-size // 512) * 512)))


class Missing(ModuleType):
    """A module that says which of CuPy's names the stand-in lacks."""

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        raise AttributeError(
            f"the stand-in has no {self.__name__}.{name}; if CuPy has it, add it in tests/standin"
        )


def _module(name, members):
    made = Missing(name)
    made.__spec__ = ModuleSpec(name, None)  # importlib.util.find_spec asks for it
    made.__dict__.update(members)
    return made


def _of_numpy(name):
    function = getattr(np, name)
    return lambda *args, **kwargs: _call(function, args, kwargs)


RUNTIME = _module(
    "cupy.cuda.runtime",
    {
        "driverGetVersion": lambda: 13000,
        "runtimeGetVersion": lambda: 13000,
        "getDeviceCount": lambda: 1,
        **{n: getattr(blas, n) for n in dir(blas) if n.startswith("CUDA_R_")},
    },
)
CUBLAS = _module(
    "cupy.cuda.cublas",
    {
        **{n: getattr(blas, n) for n in dir(blas) if n.startswith("CUBLAS_")},
        "gemmEx": blas.gemmEx,
        "sgemm": blas.sgemm,
        "dgemm": blas.dgemm,
        "CUBLASError": blas.CUBLASError,
    },
)
DEVICE = _module("cupy.cuda.device", {"Device": Device, "get_cublas_handle": lambda: 1})
CUDA = _module(
    "cupy.cuda",
    {
        "runtime": RUNTIME,
        "cublas": CUBLAS,
        "device": DEVICE,
        "Device": Device,
        "Stream": Stream,
        "Event": Event,
        "alloc_pinned_memory": alloc_pinned_memory,
        "get_current_stream": lambda: Stream.null,
        "get_cublas_handle": lambda: 1,
        "is_available": lambda: True,
    },
)
CUPY = _module(
    "cupy",
    {
        **{name: _of_numpy(name) for name in FUNCTIONS},
        **{name: getattr(np, name) for name in DTYPES},
        **{f.__name__: f for f in (empty, zeros, ones, full, asarray, array, matmul, asnumpy)},
        "ndarray": ndarray,
        "RawModule": RawModule,
        "RawKernel": RawKernel,
        "cuda": CUDA,
        "pi": np.pi,
        "newaxis": None,
        "inf": np.inf,
        "nan": np.nan,
        "__version__": "14.2.0",
    },
)


class Namespace:
    """Array API namespace of the stand-in: NumPy's functions, and ``device=`` on those that make.

    What `array_api_compat.cupy` is to CuPy.
    """

    __name__ = "standin.xp"

    def __getattr__(self, name):
        value = getattr(np, name)
        if isinstance(value, type) or not callable(value) or name in ("finfo", "iinfo", "isdtype"):
            return value

        def function(*args, device=None, **kwargs):
            if device not in (None, Device()):
                raise ValueError(f"{name}: device {device!r}")
            if name == "asarray":
                copied = kwargs.pop("copy", None)
                return (array if copied else asarray)(*args, **kwargs)
            if name == "empty":
                return empty(*args, **kwargs)
            if name == "clip":  # array-api-compat's has a mask as an index
                transfers.note("clip of the namespace")
            return _call(value, args, kwargs)

        setattr(self, name, function)
        return function


XP = Namespace()


def install(monkeypatch):
    """Put the stand-in in CuPy's place, and forget what was found out or compiled with another.

    Parameters
    ----------
    monkeypatch : pytest.MonkeyPatch
        Takes the modules away again; call `forget` then.
    """
    for module in (CUPY, CUDA, CUBLAS, RUNTIME, DEVICE):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setitem(sys.modules, "array_api_compat.cupy", XP)
    forget()


def installed():
    """Whether it is in CuPy's place now."""
    return sys.modules.get("cupy") is CUPY


def forget():
    """Clear what rnn_xp remembers of CuPy."""
    from rnn_xp import backend, cupy_probe
    from rnn_xp.kernels.cuda import module

    cupy_probe.cupy_problem.cache_clear()
    backend._open.cache_clear()
    module.function.cache_clear()
