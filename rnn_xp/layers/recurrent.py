"""What `TimeRNN`, `TimeLSTM` and `TimeGRU` share: everything but the kernel's name."""

from typing import Any, Self

from rnn_xp._typing import Array
from rnn_xp.backend import Backend, get_backend
from rnn_xp.cells.base import check_weights
from rnn_xp.cells.numbers import positive_size
from rnn_xp.errors import ShapeError
from rnn_xp.host import time_mask
from rnn_xp.initializers import recurrent_weights
from rnn_xp.layers.base import Layer
from rnn_xp.layers.state import StateKeeper, copy_state
from rnn_xp.namespace import namespace_of, require_like, require_shape
from rnn_xp.rng import Generator, make_generator


class RecurrentLayer(Layer):
    """A recurrent layer over time.

    Parameters
    ----------
    Wx : array, shape (D, G*H)
        Input weights, float32 or float64; the layer adopts the array, it makes no copy.
    Wh : array, shape (H, G*H)
        Recurrent weights.
    b : array, shape (G*H,), or what the subclass says
        Bias.
    stateful : bool
        Whether a call starts from the state in which the last one ended. The gradient
        stops at the border between two calls (truncated BPTT).
    time_major : bool
        Whether sequences are (T, N, ...) instead of (N, T, ...).

    Attributes
    ----------
    params, grads : list of array
        ``[Wx, Wh, b]`` and their gradients, overwritten by `backward`.
    h : array, shape (N, H), or None
        State after the last step of the last call (each row's last valid step).
    dh : array, shape (N, H), or None
        Gradient with respect to the initial state of the call that `backward` was for.
    """

    gates: int
    state_names: tuple[str, ...] = ("h",)

    def __init__(
        self, Wx: Array, Wh: Array, b: Array, stateful: bool = False, *, time_major: bool = False
    ):
        check_weights(type(self).__name__, Wx, Wh, b, self.gates, self._bias_shapes)
        super().__init__([Wx, Wh, b])
        self.time_major = time_major
        self._keeper = StateKeeper(stateful)
        self._dstate: tuple[Array, ...] | None = None

    @classmethod
    def create(
        cls,
        D: int,
        H: int,
        *,
        rng: int | Generator = 0,
        backend: str | Backend | None = None,
        dtype: str = "float32",
        stateful: bool = False,
        time_major: bool = False,
        **options: Any,
    ) -> Self:
        """Layer with new weights: Glorot uniform ``Wx``, orthogonal ``Wh``, gate by gate.

        Parameters
        ----------
        D, H : int
            Input and hidden size.
        rng : int or numpy.random.Generator
            Seed, or a generator to draw from (on the host, so the same on every backend).
        backend : str or Backend, optional
            Default: what ``RNN_BACKEND`` names.
        dtype : {"float32", "float64"}
        """
        positive_size(D, cls.__name__, "D")
        positive_size(H, cls.__name__, "H")
        be = get_backend(backend)
        Wx, Wh = recurrent_weights(make_generator(rng), D, H, cls.gates, "glorot")
        b = cls._initial_bias(H, **options)
        arrays = [be.asarray(a, dtype) for a in (Wx, Wh, b)]
        return cls(arrays[0], arrays[1], arrays[2], stateful, time_major=time_major)

    @classmethod
    def _bias_shapes(cls, Wh: Array) -> tuple[tuple[int, ...], ...]:
        return ((cls.gates * Wh.shape[0],),)

    @classmethod
    def _initial_bias(cls, H: int) -> Any:
        return [0.0] * (cls.gates * H)

    @property
    def input_size(self) -> int:
        """D."""
        return int(self.params[0].shape[0])

    @property
    def output_size(self) -> int:
        """H."""
        return int(self.params[1].shape[0])

    @property
    def stateful(self) -> bool:
        """Whether a call starts where the last one ended."""
        return self._keeper.stateful

    @stateful.setter
    def stateful(self, value: bool) -> None:
        self._keeper.stateful = value

    @property
    def h(self) -> Array | None:
        """Hidden state after the last call, (N, H)."""
        return None if self._keeper.value is None else self._keeper.value[0]

    @property
    def dh(self) -> Array | None:
        """Gradient with respect to the initial hidden state, (N, H)."""
        return None if self._dstate is None else self._dstate[0]

    @property
    def dstate(self) -> tuple[Array, ...] | None:
        """Gradient with respect to all parts of the initial state."""
        return self._dstate

    @property
    def state(self) -> tuple[Array, ...] | None:
        """All parts of the state after the last call."""
        return self._keeper.value

    @state.setter
    def state(self, value: tuple[Array, ...] | None) -> None:
        """Set where the next call starts; the arrays are adopted, not copied."""
        if value is not None:
            if not isinstance(value, tuple) or len(value) != len(self.state_names):
                raise TypeError(
                    f"{self.name}: state is set to a {type(value).__name__}, expected a tuple "
                    f"({', '.join(self.state_names)},)"
                )
            self._check_state(*value)
        self._keeper.set(value)

    def reset_state(self) -> None:
        """Start the next call from zeros."""
        self._keeper.set(None)

    def zero_state(self, N: int) -> tuple[Array, ...]:
        """State of zeros for a batch of `N`, each part (N, H)."""
        Wh = self.params[1]
        zeros = namespace_of(Wh).zeros((N, Wh.shape[0]), dtype=Wh.dtype, device=Wh.device)
        return (zeros,) * len(self.state_names)

    def _set_state(self, *parts: Array | None) -> None:
        if isinstance(parts[0], tuple) and all(part is None for part in parts[1:]):
            parts = self._state_parts(parts[0], "state")
        given = [p for p in parts if p is not None]
        if not given:
            self.reset_state()
            return
        self._check_state(*parts)
        zeros = namespace_of(given[0]).zeros_like(given[0])
        # Copies, so that what the caller does to its arrays later cannot change the state.
        self._keeper.set(copy_state(tuple(zeros if p is None else p for p in parts)))

    def _state_parts(self, value: Any, what: str) -> tuple[Array | None, ...]:
        """The parts of a state or of its gradient; None is None for each, an array the only one."""
        count = len(self.state_names)
        if value is None:
            return (None,) * count
        if not isinstance(value, tuple) and count == 1:
            return (value,)
        if not isinstance(value, tuple) or len(value) != count:
            given = type(value).__name__
            given += f" of {len(value)}" if isinstance(value, tuple) else ""
            raise TypeError(
                f"{self.name}: {what} is a {given}, expected a tuple "
                f"({', '.join(self.state_names)},)"
            )
        return value

    def _check_state(self, *parts: Array | None) -> None:
        Wh = self.params[1]
        H, N = Wh.shape[0], None
        for name, part in zip(self.state_names, parts, strict=True):
            if part is None:
                continue
            require_like(part, Wh, self.name, name)
            if len(part.shape) != 2 or part.shape[1] != H:
                raise ShapeError(
                    f"{self.name}: {name} has shape {tuple(part.shape)}, expected (N, H) = (N, {H})"
                )
            N = part.shape[0] if N is None else N
            require_shape(part, (N, H), self.name, name, "(N, H)")

    def forward(
        self, xs: Array, lengths: Any = None, mask: Any = None, train: bool = True
    ) -> Array:
        """Run the layer over a batch of sequences.

        Parameters
        ----------
        xs : array, shape (N, T, D), or (T, N, D) if `time_major`
            In the dtype of the parameters. Do not modify it before `backward`.
        lengths : array of int, shape (N,), optional
            Valid steps of each row, 0 to T.
        mask : array of bool, shape (N, T), or (T, N) if `time_major`, optional
            True where a step counts, in any pattern. Give `lengths` or `mask`, not both.
        train : bool
            False keeps nothing for `backward`.

        Returns
        -------
        hs : array, shape (N, T, H), or (T, N, H)
            Hidden states; zero at masked steps, through which the state is copied. A new
            array that stays valid after the next call.

        Raises
        ------
        ShapeError, DTypeError, MixedBackendError, DataError
        """
        Wx, Wh, b = self.params
        xp = namespace_of(Wx)
        require_like(xs, Wx, self.name, "xs")
        D = Wx.shape[0]
        if len(xs.shape) != 3 or xs.shape[2] != D or 0 in xs.shape[:2]:
            names = "(T, N, D)" if self.time_major else "(N, T, D)"
            raise ShapeError(
                f"{self.name}: xs has shape {tuple(xs.shape)}, expected {names} with D = {D} and "
                "N and T at least 1"
            )
        x = xs if self.time_major else xp.permute_dims(xs, (1, 0, 2))
        T, N = x.shape[:2]
        valid = time_mask(lengths, mask, N, T, Wx, self.time_major, self.name)
        state = self._keeper.start(N, self.name)
        if state is None:
            state = self.zero_state(N)
        self._cache = None
        hs, *final, cache = self._kernel("forward")(
            x, Wx, Wh, b, *state, valid, keep=train, workspace=self._workspace
        )
        self._cache = (cache, hs.shape) if train else None
        self._keeper.finish(tuple(final))
        return hs if self.time_major else xp.permute_dims(hs, (1, 0, 2))

    def _backward(self, dhs: Array | None, dfinal: tuple[Array | None, ...], dstate: Any) -> Array:
        """`backward`, with the gradient into the final state part by part or as `dstate`."""
        if dstate is not None:
            if any(part is not None for part in dfinal):
                names = ", ".join(f"d{name}T" for name in self.state_names)
                raise ValueError(f"{self.name}: give {names} or dstate, not both")
            dfinal = self._state_parts(dstate, "dstate")
        self._check_upstream(dhs, dfinal)
        cache, _ = self._take_cache()
        xp = namespace_of(self.params[0])
        if dhs is not None and not self.time_major:
            dhs = xp.permute_dims(dhs, (1, 0, 2))
        dx, *dinitial = self._kernel("backward")(
            dhs, *dfinal, cache, self.grads, workspace=self._workspace
        )
        self._dstate = tuple(dinitial)
        return dx if self.time_major else xp.permute_dims(dx, (1, 0, 2))

    def _check_upstream(self, dout: Any, dstate: Any = None) -> None:
        _, (T, N, H) = self._held_cache()
        Wx = self.params[0]
        if dout is not None:
            require_like(dout, Wx, self.name, "dhs")
            names, shape = ("(T, N, H)", (T, N, H)) if self.time_major else ("(N, T, H)", (N, T, H))
            require_shape(dout, shape, self.name, "dhs", names)
        parts = self._state_parts(dstate, "dstate")
        for name, part in zip(self.state_names, parts, strict=True):
            if part is not None:
                require_like(part, Wx, self.name, f"d{name}T")
                require_shape(part, (N, H), self.name, f"d{name}T", "(N, H)")

    def _kernel(self, direction: str) -> Any:
        raise TypeError(f"{self.name}: use TimeRNN, TimeLSTM or TimeGRU")

    def _forget(self) -> None:
        super()._forget()
        self._keeper = StateKeeper(self._keeper.stateful)
        self._dstate = None
