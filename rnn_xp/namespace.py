"""Where the ``xp`` of a function comes from: its arrays.

Layers, cells and generic kernels are written against the Python array API standard
(https://data-apis.org/array-api/) and never import an array library. They ask here.
"""

from rnn_xp._typing import Array, DType, Namespace
from rnn_xp.errors import DTypeError, MixedBackendError, ShapeError

FLOAT_DTYPES = ("float32", "float64")


def namespace_of(array: Array) -> Namespace:
    """Return the array API namespace of `array`.

    NumPy 2 and array-api-strict name their own; CuPy and torch go through
    ``array-api-compat``, imported only then (its NumPy part alone costs 80 ms).

    Raises
    ------
    TypeError
        If `array` is not an array of a library that ``array-api-compat`` knows.
    """
    own = getattr(array, "__array_namespace__", None)
    if own is not None:
        return own()
    from array_api_compat import array_namespace

    return array_namespace(array)


def clamp(x: Array, low: float, high: float, xp: Namespace) -> Array:
    """`x`, at least `low` and at most `high`; NaN stays NaN.

    The standard's ``clip``, but ``array-api-compat``'s has a mask as an index, and to count
    what a mask chooses CuPy waits for the device.
    """
    return xp.minimum(xp.maximum(x, low), high)


def float_dtype_name(dtype: DType, xp: Namespace, where: str, what: str) -> str:
    """Return ``"float32"`` or ``"float64"``.

    Raises
    ------
    DTypeError
        If `dtype` is another one.
    """
    for name in FLOAT_DTYPES:
        if dtype == getattr(xp, name):
            return name
    raise DTypeError(f"{where}: {what} has dtype {dtype}, expected float32 or float64")


def require_shape(array: Array, shape: tuple[int, ...], where: str, what: str, names: str) -> None:
    """Raise `ShapeError` unless `array` has exactly `shape`; `names` spells it, e.g. ``(N, H)``."""
    if tuple(array.shape) != shape:
        raise ShapeError(
            f"{where}: {what} has shape {tuple(array.shape)}, expected {names} = {shape}"
        )


def require_float(array: Array, where: str, what: str) -> None:
    """Raise unless `array` is a float32 or float64 array that this package may compute with.

    Raises
    ------
    DTypeError
        If it is not an array, or of another dtype.
    TypeError
        If it is a torch tensor that requires grad.
    """
    try:
        xp = namespace_of(array)
    except TypeError:
        raise DTypeError(
            f"{where}: {what} is a {_describe(array)}, expected an array of float32 or float64"
        ) from None
    float_dtype_name(array.dtype, xp, where, what)
    refuse_autograd(array, where, what)


def refuse_autograd(array: Array, where: str, what: str) -> None:
    """Raise `TypeError` if `array` is a torch tensor that records what is done with it."""
    if getattr(array, "requires_grad", False):
        raise TypeError(
            f"{where}: {what} is a torch tensor that requires grad; rnn_xp has its own backward "
            "passes: pass tensor.detach()"
        )


def require_home(array: Array, reference: Array, where: str, what: str) -> None:
    """Raise unless `array` is of the library and on the device of `reference`.

    Raises
    ------
    MixedBackendError
    """
    if type(array) is not type(reference) and not _same_library(array, reference):
        raise MixedBackendError(
            f"{where}: {what} is a {_describe(array)}, but the parameters are "
            f"{_describe(reference)} arrays; move one of them (Backend.asarray, model.to)"
        )
    if array.device != reference.device:
        raise MixedBackendError(
            f"{where}: {what} is on device {array.device}, the parameters are on "
            f"{reference.device}; move one of them"
        )


def require_like(array: Array, reference: Array, where: str, what: str) -> None:
    """Raise unless `array` lives where `reference` lives and has its dtype.

    Raises
    ------
    MixedBackendError
        If `array` is of another array library or on another device.
    DTypeError
        If the dtypes differ.
    TypeError
        If `array` is a torch tensor that requires grad.
    """
    require_home(array, reference, where, what)
    refuse_autograd(array, where, what)
    if array.dtype != reference.dtype:
        raise DTypeError(
            f"{where}: {what} has dtype {array.dtype}, the parameters have dtype "
            f"{reference.dtype}; convert one of them"
        )


def _same_library(array: Array, reference: Array) -> bool:
    try:
        return namespace_of(array) is namespace_of(reference)
    except TypeError:
        return False


def _describe(array: Array) -> str:
    kind = type(array)
    return f"{kind.__module__.split('.')[0]}.{kind.__name__}"
