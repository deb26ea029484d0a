"""What every optimiser is: ``update(params, grads)``, and a state that can be saved."""

from typing import Any, ClassVar

from rnn_xp._typing import Array
from rnn_xp.backend import backend_of, get_backend, to_host
from rnn_xp.errors import DTypeError, ShapeError
from rnn_xp.kernels import Kernels
from rnn_xp.namespace import float_dtype_name, namespace_of, require_like, require_shape
from rnn_xp.optim.checks import at_least

State = dict[str, Array]  # the arrays that belong to one parameter, by name


class Optimizer:
    """Base of the optimisers.

    A subclass names its settings and state arrays and applies one kernel to one parameter.
    The parameters may come as a list of arrays or as one flat buffer in a list of one: the
    numbers are the same, one buffer is faster.

    Attributes
    ----------
    lr : float
        Learning rate; schedules set it between updates.
    name : str
        What `rnn_xp.optim.get_optimizer` takes.
    """

    name: ClassVar[str]
    settings: ClassVar[tuple[str, ...]] = ("lr",)
    arrays: ClassVar[tuple[str, ...]] = ()  # state shaped like the parameter
    counters: ClassVar[tuple[str, ...]] = ()  # state of shape ()

    def __init__(self, lr: float):
        self.lr = at_least("lr", lr, 0.0)
        self._signature: list[tuple[Any, ...]] | None = None
        self._kernels: Kernels | None = None
        self._state: list[State] = []
        self._loaded: State | None = None

    @property
    def hyperparameters(self) -> dict[str, Any]:
        """Settings as plain values: ``get_optimizer(o.name, **o.hyperparameters)`` is like `o`."""
        return {key: getattr(self, key) for key in self.settings}

    def update(
        self, params: list[Array], grads: list[Array], *, scale: Any = 1.0, ok: Any = True
    ) -> None:
        """Write one step into `params`.

        Parameters
        ----------
        params : list of array
            Of one backend and dtype; the same list, or one like it, at every call.
        grads : list of array
            In the same order and of the same shapes; not changed.
        scale : float or 0-d array
            Factor of the gradients, see `rnn_xp.optim.clip_coefficient`.
        ok : bool or 0-d array of bool
            If False, neither parameters nor state change. On the device it is not waited for.

        Raises
        ------
        ShapeError, DTypeError, MixedBackendError
            If the two lists do not match, or `params` is not like that of the first call.
        """
        self._check(params, grads)
        for p, g, state in zip(params, grads, self._state, strict=True):
            self._apply(self._kernels, p, g, state, scale, ok)

    def _apply(self, kernels: Any, p: Array, g: Array, state: State, scale: Any, ok: Any) -> None:
        """One kernel call for one parameter."""
        raise NotImplementedError

    def state_dict(self) -> State:
        """State arrays by name, such as ``"0.m"`` for the first parameter.

        They are the optimiser's own arrays, on the device: the next update changes them.
        Empty before the first update.
        """
        if self._loaded is not None:
            return dict(self._loaded)
        return {f"{i}.{key}": a for i, state in enumerate(self._state) for key, a in state.items()}

    def load_state_dict(self, state: State) -> None:
        """Take over a state, copying it to where the parameters live.

        Before the first update the parameters are not known yet: then copies are kept on
        the host, and checked and moved at that update.

        Parameters
        ----------
        state : dict of str to array
            What `state_dict` returned, of any backend; empty for a fresh start.

        Raises
        ------
        ShapeError, DTypeError
            If names, shapes or dtypes are not those of this optimiser and its parameters.
        """
        if self._signature is None:
            host = get_backend("numpy")
            self._loaded = {name: host.asarray(to_host(array)) for name, array in state.items()}
        else:
            self._state = self._adopt(state, self._state)

    def _check(self, params: list[Array], grads: list[Array]) -> None:
        where = type(self).__name__
        if len(params) != len(grads):
            raise ShapeError(
                f"{where}: got {len(params)} parameters and {len(grads)} gradients, "
                "expected one gradient for each parameter"
            )
        for i, (p, g) in enumerate(zip(params, grads, strict=True)):
            require_shape(g, tuple(p.shape), where, f"gradient {i}", "the parameter's shape")
            require_like(g, params[0], where, f"gradient {i}")
        signature = [(type(p), tuple(p.shape), p.dtype, p.device) for p in params]
        if self._signature is None:
            self._start(params)
            self._signature = signature
        elif signature != self._signature:
            raise ShapeError(f"{where}: {_difference(self._signature, signature)}")

    def _start(self, params: list[Array]) -> None:
        where = type(self).__name__
        if not params:
            raise ShapeError(f"{where}: got no parameters, expected at least one array")
        for i, p in enumerate(params):
            require_like(p, params[0], where, f"parameter {i}")
        first = params[0]
        dtype = float_dtype_name(first.dtype, namespace_of(first), where, "parameter 0")
        backend = backend_of(first)
        fresh = [
            {key: backend.zeros(tuple(p.shape), dtype) for key in self.arrays}
            | {key: backend.zeros((), dtype) for key in self.counters}
            for p in params
        ]
        self._state = fresh if self._loaded is None else self._adopt(self._loaded, fresh)
        self._loaded = None
        self._kernels = backend.kernels(dtype)

    def _adopt(self, loaded: State, like: list[State]) -> list[State]:
        """Copies of the arrays in `loaded`, after checking them against `like`."""
        if not loaded:  # saved before the first update
            return [
                {key: namespace_of(a).zeros_like(a) for key, a in state.items()} for state in like
            ]
        where = f"{type(self).__name__}.load_state_dict"
        expected = [f"{i}.{key}" for i, state in enumerate(like) for key in state]
        if set(loaded) != set(expected):
            raise ShapeError(
                f"{where}: got the entries {_listed(sorted(loaded))}, expected {_listed(expected)}"
            )
        return [
            {key: _copied(loaded[f"{i}.{key}"], a, f"{i}.{key}", where) for key, a in state.items()}
            for i, state in enumerate(like)
        ]


def _copied(array: Array, like: Array, what: str, where: str) -> Array:
    copied = backend_of(like).asarray(to_host(array))
    require_shape(copied, tuple(like.shape), where, what, "the parameter's shape")
    if copied.dtype != like.dtype:
        raise DTypeError(f"{where}: {what} has dtype {copied.dtype}, expected {like.dtype}")
    return copied


def _difference(before: list[tuple[Any, ...]], now: list[tuple[Any, ...]]) -> str:
    """What changed between two lists of parameters, in words."""
    remedy = "make a new optimiser for other parameters"
    if len(before) != len(now):
        return f"got {len(now)} parameters, the updates before had {len(before)}; {remedy}"
    i = next(i for i, (a, b) in enumerate(zip(before, now, strict=True)) if a != b)
    a, b = (f"{s[2]} {s[1]} on {s[3]} ({s[0].__module__})" for s in (before[i], now[i]))
    return f"parameter {i} is {b}, in the updates before it was {a}; {remedy}"


def _listed(names: list[str]) -> str:
    if not names:
        return "(none)"
    return ", ".join(names[:6]) + (f" and {len(names) - 6} more" if len(names) > 6 else "")
