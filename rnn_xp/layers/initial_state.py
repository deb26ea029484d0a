"""`TrainableState`: an initial state that is learned, and the base of layers that set one."""

from typing import Any, Self

from rnn_xp._typing import Array
from rnn_xp.backend import Backend
from rnn_xp.errors import ShapeError
from rnn_xp.layers.base import Layer
from rnn_xp.layers.composite import Wrapper
from rnn_xp.layers.sequence import sequence_size
from rnn_xp.layers.state import StateKeeper, arrays_in, map_arrays, structure
from rnn_xp.namespace import namespace_of, require_like, require_shape


class StartingWrapper(Wrapper):
    """Base of the wrappers that decide themselves where each call of their layer starts."""

    def __init__(self, layer: Any):
        super().__init__(layer)
        self._keeper = StateKeeper(bool(layer.stateful))

    @property
    def state(self) -> Any:
        """State after the last call, in the structure of the layer's."""
        return self._keeper.value

    @state.setter
    def state(self, value: Any) -> None:
        """Set where the next call starts; the arrays are adopted, not copied."""
        self.layer.state = value
        self._adopt()

    def set_state(self, state: Any) -> None:
        """Set the state that the next call starts from.

        Parameters
        ----------
        state : as the layer's `state`, or None
            Copied; None is where a call starts by itself. A layer that is not stateful uses
            it for one call.
        """
        self.layer.set_state(state)
        self._adopt()

    def reset_state(self) -> None:
        """Start the next call where a call starts by itself."""
        self.layer.reset_state()
        self._keeper.set(None)

    def _adopt(self) -> None:
        """Keep what the layer has checked; a state of a net with no array in it is none."""
        value = self.layer.state
        self._keeper.set(value if arrays_in(value) else None)

    def _start(self, N: int) -> Any:
        """The state that this call starts from, or None."""
        self._keeper.stateful = self.stateful
        return self._keeper.start(N, self.name)

    def _check_upstream(self, dout: Any, dstate: Any = None) -> None:
        self._held_cache()
        super()._check_upstream(dout, dstate)

    def _forget(self) -> None:
        super()._forget()
        self._keeper = StateKeeper(self.stateful)


class InitialState(Layer):
    """The parameters of a `TrainableState`: the arrays of a state, each (H,)."""

    products = ()


class TrainableState(StartingWrapper):
    """A recurrent layer that starts from a state that is learned instead of from zeros.

    Every row of a call that would start from zeros starts from the same learned vectors;
    their gradient is the sum over the rows of the gradient with respect to the initial
    state. A call that starts elsewhere (from a state that was set, or from where a stateful
    layer ended) leaves them alone: their gradient is zero then. The layer keeps its fast
    kernels.

    Parameters
    ----------
    layer : layer
        Recurrent, of any kind; a net learns a start for each of its layers.
    initial : (nested) tuple or list of array, optional
        In the structure of the layer's `state`, each (H,); adopted. Default zeros.

    Attributes
    ----------
    params, grads : list of array
        Those of the layer, then the initial state's.
    initial : InitialState
        The layer that owns the initial state: ``initial.params`` is ``[h0]`` or ``[h0, c0]``.

    Raises
    ------
    ShapeError, DTypeError, MixedBackendError
    ValueError
        If there is a `TrainableState` in the layer already, or if no state can go into it: a
        `TimeReset` around a layer that runs backwards in time.
    """

    def __init__(self, layer: Any, initial: Any = None):
        super().__init__(layer)
        if any(isinstance(leaf, InitialState) for leaf in layer.leaves()):
            raise ValueError(
                f"{self.name}: the layer has a TrainableState inside, expected one in all"
            )
        if not getattr(layer, "takes_state", True):
            raise ValueError(
                f"{self.name}: the layer has a TimeReset around one that runs backwards in time, "
                "into which no state goes; expected a TimeReset of layers that run forwards"
            )
        zeros = layer.zero_state(1)
        if initial is None:
            initial = map_arrays(lambda a: namespace_of(a).zeros_like(a[0, :]), zeros)
        elif not isinstance(initial, tuple | list) and len(arrays_in(zeros)) == 1:
            initial = [initial]
        given, expected = arrays_in(initial), arrays_in(zeros)
        if len(given) != len(expected):
            raise ShapeError(
                f"{self.name}: initial is {structure(initial)}, expected {structure(zeros)}"
            )
        for array, like in zip(given, expected, strict=True):
            require_like(array, like, self.name, "initial")
            require_shape(array, (int(like.shape[1]),), self.name, "initial", "(H,)")
        self.initial = InitialState(given)

    @property
    def params(self) -> list[Array]:  # type: ignore[override]
        """Parameters of the layer, then the initial state."""
        return [*self.layer.params, *self.initial.params]

    @property
    def grads(self) -> list[Array]:  # type: ignore[override]
        """Gradients in the order of `params`."""
        return [*self.layer.grads, *self.initial.grads]

    def leaves(self) -> list[Layer]:
        """The layers that own parameters, in the order of `params`."""
        return [*self.layer.leaves(), self.initial]

    def forward(
        self, xs: Array, lengths: Any = None, mask: Any = None, train: bool = True, **options: Any
    ) -> Any:
        """Run the layer; arguments and result as in its own ``forward``."""
        _, N = sequence_size(xs, self.time_major, self.name)
        start = self._start(N)
        self.layer.state = self._rows(N) if start is None else start
        hs = self.layer.forward(xs, lengths=lengths, mask=mask, train=train, **options)
        self._keeper.finish(self.layer.state)
        self._cache = (start is None,) if train else None
        return hs

    def backward(self, dhs: Any, dstate: Any = None) -> Array:
        """Gradient of the last `forward`; arguments as in the layer's own ``backward``."""
        (learned,) = self._held_cache()
        dxs = self.layer.backward(dhs, dstate=dstate)
        self._cache = None
        for grad, rows in zip(self.initial.grads, arrays_in(self.layer.dstate), strict=True):
            xp = namespace_of(grad)
            grad[...] = xp.sum(rows, axis=0) if learned else xp.zeros_like(grad)
        return dxs

    def _rows(self, N: int) -> Any:
        """The initial state of `N` rows, in new arrays."""
        initial = iter(self.initial.params)
        return map_arrays(lambda zeros: zeros + next(initial)[None, :], self.layer.zero_state(N))

    def to(self, backend: str | Backend) -> Self:
        """A copy on another backend; state, caches and buffers stay behind."""
        moved = super().to(backend)
        moved.initial = self.initial.to(backend)
        return moved
