"""`Bidirectional`: one layer forwards in time, one backwards, and their outputs together."""

from typing import Any

from rnn_xp._typing import Array
from rnn_xp.backend import Backend
from rnn_xp.errors import ShapeError
from rnn_xp.layers.composite import Composite, is_recurrent
from rnn_xp.layers.reverse import Reversed
from rnn_xp.layers.sequence import valid_steps
from rnn_xp.namespace import namespace_of, require_float, require_like, require_shape

MERGES = ("concat", "sum", "mean", "mul", None)


def check_merge(merge: Any, where: str) -> None:
    """Raise `ValueError` unless `merge` is one of `MERGES`."""
    if merge not in MERGES:
        raise ValueError(f"{where}: merge = {merge!r}, expected one of {MERGES}")


class Bidirectional(Composite):
    """Two time layers over the same input, the second one in reversed time.

    The second layer runs in `rnn_xp.layers.Reversed`: it sees input and mask flipped in
    time, its output is flipped back, and it starts at each row's last valid step.

    Parameters
    ----------
    forward_layer, backward_layer : layer
        Two recurrent layers with the same `time_major`, of any two kinds and, for "concat"
        and None, of any two widths.
    merge : {"concat", "sum", "mean", "mul", None}
        How the outputs become one: side by side, (N, T, H1 + H2); added; averaged;
        multiplied element by element; or, for None, a tuple of both.

    Attributes
    ----------
    params, grads : list of array
        Those of the forward, then of the backward layer.
    state, dstate : list
        State of the forward and of the backward layer, which ends at the first step; the
        gradient with respect to the states that the last call started from.
    """

    def __init__(self, forward_layer: Any, backward_layer: Any, merge: str | None = "concat"):
        check_merge(merge, "Bidirectional")
        for layer in (forward_layer, backward_layer):
            if not is_recurrent(layer):
                raise TypeError(
                    f"Bidirectional: got a {type(layer).__name__}, expected two recurrent layers"
                )
        if forward_layer.time_major != backward_layer.time_major:
            raise ValueError("Bidirectional: one layer is time_major, the other is not")
        if forward_layer is backward_layer:
            raise ValueError("Bidirectional: the two directions need a layer each, got one twice")
        super().__init__()
        self.forward_layer = forward_layer
        self.backward_layer = backward_layer
        self.merge = merge
        self._check_widths("input_size", "inputs")
        if merge not in ("concat", None):
            self._check_widths("output_size", f"outputs, for merge = {merge!r},")

    def _check_widths(self, name: str, what: str) -> None:
        """Raise unless the layers have one width, as far as they tell it."""
        there, back = (getattr(child, name, None) for child in self.children)
        if None not in (there, back) and there != back:
            raise ShapeError(
                f"{self.name}: the {what} of the two layers are {there} and {back} wide, "
                "expected the same width"
            )

    @property
    def input_size(self) -> int | None:
        """D, or None if the forward layer does not tell it."""
        return getattr(self.forward_layer, "input_size", None)

    @property
    def output_size(self) -> int | None:
        """Width of the merged output, or None: not known, or two outputs."""
        there, back = (getattr(child, "output_size", None) for child in self.children)
        if self.merge is None or there is None or back is None:
            return None
        return int(there + back) if self.merge == "concat" else int(there)

    @property
    def children(self) -> list[Any]:
        """The forward and the backward layer."""
        return [self.forward_layer, self.backward_layer]

    @property
    def runs_backwards(self) -> bool:
        """True: the second state goes against the time."""
        return True

    def forward(self, xs: Array, lengths: Any = None, mask: Any = None, train: bool = True) -> Any:
        """Run both layers; arguments as in `rnn_xp.layers.TimeRNN.forward`.

        Returns
        -------
        hs : array, shape (N, T, H1 + H2) for "concat"; (N, T, H) for the other merges
            Or a tuple of two arrays if `merge` is None.
        """
        valid = valid_steps(xs, lengths, mask, self.time_major, self.name)
        there = self.forward_layer.forward(xs, mask=valid, train=train)
        back = Reversed(self.backward_layer).forward(xs, mask=valid, train=train)
        shapes = (tuple(there.shape), tuple(back.shape))
        kept = (there, back) if self.merge == "mul" else None
        self._cache = (shapes, kept) if train else None
        if self.merge is None:
            return there, back
        if self.merge == "concat":
            return namespace_of(xs).concat([there, back], axis=2)
        require_shape(back, shapes[0], self.name, "the backward output", "(N, T, H)")
        if self.merge == "mul":
            return there * back
        return there + back if self.merge == "sum" else 0.5 * (there + back)

    def backward(self, dhs: Any, dstate: Any = None) -> Array:
        """Gradient of the last `forward`.

        Parameters
        ----------
        dhs : array, shape of what `forward` returned, or a tuple of two if `merge` is None
            Gradient with respect to the output; None, also in the tuple, is zeros.
        dstate : list of two, optional
            For each direction the gradient with respect to its final state, or None; see
            the ``dstate`` of the layer's own ``backward``.

        Returns
        -------
        dxs : array, shape of `xs`
        """
        self._check_upstream(dhs, dstate)
        dthere, dback = self._upstream(dhs)
        own = self._each(dstate, "dstate")
        self._take_cache()
        dx = self.forward_layer.backward(dthere, dstate=own[0])
        return dx + Reversed(self.backward_layer).backward(dback, dstate=own[1])

    def _upstream(self, dhs: Any) -> tuple[Any, Any]:
        """Gradients with respect to the outputs of the two layers."""
        (there, back), kept = self._held_cache()
        if dhs is None:
            return None, None
        if self.merge is None:
            if not isinstance(dhs, tuple | list) or len(dhs) != 2:
                raise TypeError(
                    f"{self.name}: dhs is a {type(dhs).__name__}, expected a tuple of two "
                    "(merge is None)"
                )
            return dhs[0], dhs[1]
        require_float(dhs, self.name, "dhs")
        if self.merge == "concat":
            whole = (*there[:2], there[2] + back[2])
            require_shape(dhs, whole, self.name, "dhs", "(N, T, H1 + H2)")
            return dhs[:, :, : there[2]], dhs[:, :, there[2] :]
        require_shape(dhs, there, self.name, "dhs", "(N, T, H)")
        if self.merge == "mul":
            require_like(dhs, kept[0], self.name, "dhs")
            return dhs * kept[1], dhs * kept[0]
        half = dhs if self.merge == "sum" else 0.5 * dhs
        return half, half

    def _check_upstream(self, dout: Any, dstate: Any = None) -> None:
        own = self._each(dstate, "dstate")
        for child, dchild, dfinal in zip(self.children, self._upstream(dout), own, strict=True):
            child._check_upstream(dchild, dfinal)

    def to(self, backend: str | Backend) -> "Bidirectional":
        """A copy on another backend."""
        return Bidirectional(
            self.forward_layer.to(backend), self.backward_layer.to(backend), self.merge
        )
