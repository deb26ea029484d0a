"""`TimeReset`: rows that start anew in the middle of a call."""

from typing import Any

from rnn_xp._typing import Array
from rnn_xp.layers.initial_state import InitialState, StartingWrapper
from rnn_xp.layers.segments import cut
from rnn_xp.layers.sequence import sequence_size, valid_steps
from rnn_xp.layers.state import arrays_in, map_arrays
from rnn_xp.namespace import require_like, require_shape


class TimeReset(StartingWrapper):
    """A recurrent layer whose state is set to zeros before chosen steps of chosen rows.

    So documents of different lengths lie one after another in the rows of a stateful
    stream, and no state, and no gradient, goes from one into the next.

    A row with resets runs as several rows, one for each piece between them, masked outside
    of its piece: the layer keeps its fast kernels, and R resets after the first step cost
    what R more rows cost. Whatever is random in the layer is drawn for the pieces.

    Parameters
    ----------
    layer : layer
        Recurrent, of any kind; a net is reset in all of its layers. A `TrainableState` goes
        around, if the layer runs forwards: ``TrainableState(TimeReset(layer))``. In a net with
        a layer that runs backwards in time each piece is a sequence of its own, in both
        directions: no state goes into it or comes out of it, so `state` is None.
    """

    def __init__(self, layer: Any):
        super().__init__(layer)
        if any(isinstance(leaf, InitialState) for leaf in layer.leaves()):
            raise ValueError(
                f"{self.name}: the layer has a TrainableState inside, expected it around: "
                "TrainableState(TimeReset(layer))"
            )
        self._dstate: Any = None

    @property
    def dstate(self) -> Any:
        """Gradient with respect to the state that the last call started from, as `state`."""
        return self._dstate

    def forward(
        self,
        xs: Array,
        lengths: Any = None,
        mask: Any = None,
        train: bool = True,
        *,
        resets: Any = None,
    ) -> Any:
        """Run the layer; arguments and result as in `rnn_xp.layers.TimeRNN.forward`.

        Parameters
        ----------
        resets : array of bool, shape (N, T), or (T, N) if `time_major`, optional
            True where the state of a row is zeros before the step, also if that step is
            masked. Looked at on the host: an array on another device is copied there, which
            waits for it.

        Raises
        ------
        ShapeError, DTypeError, MixedBackendError, DataError
        ValueError
            If a state is kept for a layer that runs backwards in time.
        """
        T, N = sequence_size(xs, self.time_major, self.name)
        valid = valid_steps(xs, lengths, mask, self.time_major, self.name)
        cuts = None if resets is None else cut(resets, T, N, xs, self.time_major, self.name)
        start = self._start(N)
        if start is not None:
            self._refuse_backwards("state")
        x = xs
        if cuts is not None:
            x = cuts.pieces(xs)
            valid = cuts.inside if valid is None else cuts.inside & cuts.pieces(valid)
            start = map_arrays(cuts.start, start)
        if start is None:
            self.layer.reset_state()
        else:
            self.layer.state = start
        hs, final = self.layer.forward(x, mask=valid, train=train), self.layer.state
        if cuts is not None:
            hs, final = map_arrays(cuts.whole, hs), map_arrays(cuts.final, final)
        self._keeper.finish(None if self._backwards else final)
        shapes = [tuple(a.shape) for a in arrays_in(hs)]
        self._cache = (cuts, shapes, N, xs) if train else None
        return hs

    def backward(self, dhs: Any, dstate: Any = None) -> Array:
        """Gradient of the last `forward`; arguments as in the layer's own ``backward``."""
        cuts, _, _, _ = self._held_cache()
        self._check_rows(dhs, dstate)
        if cuts is not None:
            dhs, dstate = map_arrays(cuts.pieces, dhs), map_arrays(cuts.final_gradient, dstate)
        dxs = self.layer.backward(dhs, dstate=dstate)
        self._take_cache()
        self._dstate = None if self._backwards else self.layer.dstate
        if cuts is not None:
            dxs = cuts.whole(dxs)
            self._dstate = map_arrays(cuts.start_gradient, self._dstate)
        return dxs

    @property
    def takes_state(self) -> bool:
        """False if the layer runs backwards in time."""
        return not self._backwards and super().takes_state

    @property
    def _backwards(self) -> bool:
        return bool(getattr(self.layer, "runs_backwards", False))

    def _refuse_backwards(self, what: str) -> None:
        """Raise if a state of the layer goes against the time."""
        if self._backwards:
            raise ValueError(
                f"{self.name}: {what} is given, but {self.layer.name} runs backwards in time: "
                "no state goes into it or comes out of it here"
            )

    def _check_rows(self, dhs: Any, dstate: Any) -> None:
        """Raise unless these are for the rows of the batch, before they are cut."""
        _, shapes, N, like = self._held_cache()
        if dstate is not None:
            self._refuse_backwards("dstate")

        given = dhs if isinstance(dhs, tuple | list) else (dhs,) * len(shapes)
        for dout, shape in zip(given, shapes, strict=True):
            if dout is not None:
                require_like(dout, like, self.name, "dhs")
                require_shape(dout, shape, self.name, "dhs", "(N, T, H)")
        for part in arrays_in(dstate):
            require_like(part, like, self.name, "dstate")
            require_shape(part, (N, *part.shape[1:]), self.name, "dstate", "(N, H)")

    def _check_upstream(self, dout: Any, dstate: Any = None) -> None:
        cuts, _, _, _ = self._held_cache()
        self._check_rows(dout, dstate)
        if cuts is not None:
            dout, dstate = map_arrays(cuts.pieces, dout), map_arrays(cuts.final_gradient, dstate)
        self.layer._check_upstream(dout, dstate)

    def _forget(self) -> None:
        super()._forget()
        self._dstate = None
