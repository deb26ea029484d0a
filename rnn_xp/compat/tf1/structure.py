"""States as TensorFlow 1 nests them: `LSTMStateTuple`, and what checks and re-nests a state."""

from typing import Any, NamedTuple

from rnn_xp._typing import Array, State
from rnn_xp.errors import DTypeError, ShapeError
from rnn_xp.namespace import FLOAT_DTYPES, namespace_of, require_like, require_shape


class LSTMStateTuple(NamedTuple):
    """State of an LSTM cell, ``(c, h)``: the cell state **first**, as in TensorFlow 1.

    Keras, PyTorch and `rnn_xp.cells` have h first. Also the type of an LSTM's `state_size`.

    Attributes
    ----------
    c : array, shape (N, num_units)
        Cell state.
    h : array, shape (N, num_units), or (N, num_proj)
        Output.
    """

    c: Any
    h: Any

    @property
    def dtype(self) -> Any:
        """The dtype of both parts; `DTypeError` if they differ."""
        if self.c.dtype != self.h.dtype:
            raise DTypeError(f"LSTMStateTuple: c has dtype {self.c.dtype}, h has {self.h.dtype}")
        return self.c.dtype


def dtype_name(dtype: Any, where: str) -> str:
    """``"float32"`` or ``"float64"`` from a name, a NumPy type or any library's dtype object.

    Raises
    ------
    DTypeError
        If it is another one.
    """
    text = dtype if isinstance(dtype, str) else getattr(dtype, "name", None)
    text = text or getattr(dtype, "__name__", None) or str(dtype)
    name = str(text).rsplit(".", maxsplit=1)[-1]
    if name not in FLOAT_DTYPES:
        raise DTypeError(f"{where}: dtype is {dtype}, expected float32 or float64")
    return name


def nest_as(size: Any, state: State) -> State:
    """`state` in plain tuples as the named tuples of `size`."""
    if not isinstance(size, tuple):
        return state
    parts = [nest_as(s, part) for s, part in zip(size, state, strict=True)]
    return type(size)(*parts) if hasattr(size, "_fields") else tuple(parts)


def zeros_as(size: Any, N: int, xp: Any, dtype: Any, device: Any) -> State:
    """Zeros of shape (N, width) for every width in `size`, nested like it."""
    if isinstance(size, tuple):
        return nest_as(size, tuple(zeros_as(s, N, xp, dtype, device) for s in size))
    return xp.zeros((N, size), dtype=dtype, device=device)


def check_state(state: State, size: Any, N: int, like: Array, where: str, what: str) -> State:
    """Return `state`, nested as `size`, its arrays (N, width) and at home where `like` is.

    Raises
    ------
    ShapeError, DTypeError, MixedBackendError
    """
    _check_structure(state, size, where, what, holes=False)
    _check_arrays(state, size, N, like, where, what)
    return nest_as(size, state)


def check_gradient(
    dstate: State | None, size: Any, N: int, like: Array, where: str, what: str
) -> State | None:
    """Like `check_state` for a gradient, where None stands for zeros, as a whole or in parts."""
    if dstate is None or _hollow(dstate):
        return None
    _check_structure(dstate, size, where, what, holes=True)
    _check_arrays(dstate, size, N, like, where, what)
    return nest_as(size, _fill(dstate, size, N, like))


def _hollow(state: State | None) -> bool:
    if isinstance(state, tuple):
        return all(_hollow(part) for part in state)
    return state is None


def _fill(state: State | None, size: Any, N: int, like: Array) -> State:
    if isinstance(size, tuple):
        parts = (None,) * len(size) if state is None else state
        return tuple(_fill(part, s, N, like) for part, s in zip(parts, size, strict=True))
    if state is not None:
        return state
    return zeros_as(size, N, namespace_of(like), like.dtype, like.device)


def _check_structure(state: State, size: Any, where: str, what: str, *, holes: bool) -> None:
    if not _same_structure(state, size, holes):
        raise ShapeError(
            f"{where}: {what} is {_describe(state)}, expected {_describe(size)} as in "
            f"state_size = {size}"
        )


def _same_structure(state: State, size: Any, holes: bool) -> bool:
    if state is None:
        return holes
    if not isinstance(size, tuple):
        return not isinstance(state, tuple | list)
    if not isinstance(state, tuple) or len(state) != len(size):
        return False
    return all(_same_structure(part, s, holes) for part, s in zip(state, size, strict=True))


def _check_arrays(state: State, size: Any, N: int, like: Array, where: str, what: str) -> None:
    if state is None:
        return
    if isinstance(size, tuple):
        names = getattr(size, "_fields", range(len(size)))
        for name, part, s in zip(names, state, size, strict=True):
            label = f"{what}.{name}" if isinstance(name, str) else f"{what}[{name}]"
            _check_arrays(part, s, N, like, where, label)
        return
    require_like(state, like, where, what)
    require_shape(state, (N, size), where, what, "(N, width)")


def _describe(state: Any) -> str:
    if isinstance(state, tuple | list):
        inner = ", ".join(_describe(part) for part in state)
        if hasattr(state, "_fields"):
            return f"{type(state).__name__}({inner})"
        return f"[{inner}]" if isinstance(state, list) else f"({inner},)"
    return "None" if state is None else "array"
