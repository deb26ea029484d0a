"""`ndarray`: a NumPy array that is no NumPy array, as CuPy's is none.

NumPy functions refuse it, and it refuses NumPy arrays; scalars of both kinds go.
"""

import operator

import numpy as np

from standin import memory, transfers


class Device:
    """Device 0, the only one."""

    __module__ = "cupy.cuda"
    compute_capability = "90"

    def __init__(self, id: int = 0):
        if id != 0:
            raise RuntimeError(f"cudaErrorInvalidDevice: the stand-in has no device {id}")
        self.id = id
        self.attributes = {"MultiProcessorCount": 132, "MaxThreadsPerBlock": 1024}

    cublas_handle = 1

    def __eq__(self, other):
        return isinstance(other, Device) and other.id == self.id

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self):
        return f"<CUDA Device {self.id}>"

    def __enter__(self):
        return self

    def __exit__(self, *args):
        pass

    def use(self):
        pass

    def synchronize(self):
        transfers.note("Device.synchronize")


def unwrap(value):
    """The NumPy array behind `value`; what CuPy takes beside arrays as it is."""
    if isinstance(value, ndarray):
        return value.host
    if isinstance(value, tuple | list):
        return type(value)(unwrap(v) for v in value)
    if isinstance(value, np.ndarray):
        raise TypeError(f"Unsupported type {type(value)}: CuPy takes no host arrays here")
    return value


def wrap(result):
    """Device array of what NumPy gave: a view stays one, all else gets an allocation."""
    if isinstance(result, tuple | list):
        return type(result)(wrap(r) for r in result)
    if not isinstance(result, np.ndarray | np.generic):
        return result
    array = np.asarray(result)
    return ndarray(array if memory.allocation_of(array) is not None else memory.copy(array))


class _Data:
    """What ``array.data`` is: the pointer."""

    def __init__(self, address):
        self.ptr = address


class ndarray:
    """See the module; `host` is the NumPy array behind it."""

    __module__ = "cupy"
    # NumPy's scalars leave ``scalar * array`` to the array.
    __array_ufunc__ = None
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, host: np.ndarray):
        self.host = host

    def __array_namespace__(self, *, api_version=None):
        from standin.modules import XP

        return XP

    def __array__(self, *args, **kwargs):
        raise TypeError(
            "Implicit conversion to a NumPy array is not allowed. Please use `.get()` to "
            "construct a NumPy array explicitly."
        )

    def __getattr__(self, name):
        if name in ("shape", "dtype", "ndim", "size", "nbytes", "itemsize", "strides", "flags"):
            return getattr(self.host, name)
        if name in METHODS:
            method = getattr(self.host, name)
            return lambda *args, **kwargs: _call(method, args, kwargs)
        raise AttributeError(f"the stand-in's ndarray has no {name!r}; see tests/standin/array.py")

    device = property(lambda self: Device())
    data = property(lambda self: _Data(self.host.ctypes.data))
    T = property(lambda self: ndarray(self.host.T))
    mT = property(lambda self: ndarray(self.host.mT))
    __len__ = lambda self: len(self.host)  # noqa: E731

    def get(self, *args, **kwargs):
        transfers.note(f"get of shape {self.shape}")
        return self.host.copy()

    def set(self, source, stream=None):
        """Copy a host array of this shape and dtype into this one."""
        if not isinstance(source, np.ndarray):
            raise TypeError("Only numpy.ndarray can be set to cupy.ndarray")
        if source.dtype != self.dtype or source.shape != self.shape:
            raise TypeError(
                f"set of {source.dtype} {source.shape} to {self.dtype} {self.shape}: expected alike"
            )
        self.host[...] = source

    def fill(self, value):
        self.host.fill(unwrap(value))

    def __getitem__(self, key):
        key = _key(key)
        if any(isinstance(k, np.ndarray) and k.dtype == bool for k in key):
            transfers.note("indexing with a mask")
        return wrap(self.host[key if Ellipsis in _plain(key) else (*key, ...)])

    def __setitem__(self, key, value):
        self.host[_key(key)] = unwrap(value)

    def __iter__(self):
        return (self[i] for i in range(len(self)))

    def __repr__(self):
        return f"standin({self.host!r})"

    def __copy__(self):
        return wrap(self.host.copy())

    def __deepcopy__(self, memo):
        return wrap(self.host.copy())


def _key(key):
    return tuple(unwrap(k) for k in (key if isinstance(key, tuple) else (key,)))


def _plain(key):
    return [k for k in key if not isinstance(k, np.ndarray)]


def _call(function, args, kwargs):
    result = function(*unwrap(args), **{k: unwrap(v) for k, v in kwargs.items()})
    out = kwargs.get("out")
    return out if out is not None else wrap(result)


# fmt: off
METHODS = frozenset({
    "all", "any", "argmax", "argmin", "astype", "clip", "copy", "cumsum", "dot", "flatten", "max",
    "mean", "min", "ravel", "repeat", "reshape", "squeeze", "sum", "swapaxes", "take", "transpose",
    "view",
})
# fmt: on


def _binary(name, reflected):
    function = getattr(operator, name)

    def forward(self, other):
        return wrap(function(self.host, unwrap(other)))

    def backward(self, other):
        return wrap(function(unwrap(other), self.host))

    return backward if reflected else forward


def _in_place(name):
    function = getattr(operator, name)

    def method(self, other):
        function(self.host, unwrap(other))
        return self

    return method


def _unary(name):
    function = getattr(operator, name)
    return lambda self: wrap(function(self.host))


def _conversion(name):
    def method(self):
        transfers.note(f"{name} of an array of shape {self.shape}")
        return getattr(self.host, name)()

    return method


ARITHMETIC = ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul")
for _name in (*ARITHMETIC, "and", "or", "xor", "lshift", "rshift"):
    _dunder = f"__{_name}__"
    setattr(ndarray, _dunder, _binary(_dunder, False))
    setattr(ndarray, f"__r{_name}__", _binary(_dunder, True))
    if _name != "matmul":  # CuPy has no __imatmul__
        setattr(ndarray, f"__i{_name}__", _in_place(f"__i{_name}__"))
for _dunder in ("__lt__", "__le__", "__gt__", "__ge__", "__eq__", "__ne__"):
    setattr(ndarray, _dunder, _binary(_dunder, False))
for _dunder in ("__neg__", "__pos__", "__abs__", "__invert__"):
    setattr(ndarray, _dunder, _unary(_dunder))
for _dunder in ("__float__", "__int__", "__bool__", "__complex__", "item", "tolist"):
    setattr(ndarray, _dunder, _conversion(_dunder))
