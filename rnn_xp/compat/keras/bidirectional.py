"""`Bidirectional`, as in keras/src/layers/rnn/bidirectional.py."""

from typing import Any, Self

from rnn_xp._typing import Array
from rnn_xp.backend import Backend
from rnn_xp.compat.keras.layer import Layer, check_backend
from rnn_xp.compat.keras.nest import describe, is_nested
from rnn_xp.compat.keras.rnn import RNN
from rnn_xp.compat.keras.serialization import layer_from_config
from rnn_xp.compat.keras.shapes import bidirectional_output_shape
from rnn_xp.errors import ShapeError, StaleCacheError
from rnn_xp.namespace import namespace_of, require_float, require_like, require_shape

MERGES = ("sum", "mul", "concat", "ave", None)
ALIKE = ("stateful", "return_sequences", "return_state")


class Bidirectional(Layer):
    """A recurrent layer forwards in time, a second one backwards, and their outputs together.

    With `return_sequences` masked steps are zero in both, whatever `zero_output_for_mask` of
    the layer says, and the backward outputs are put into the order of the input.

    Parameters
    ----------
    layer : RNN, SimpleRNN, LSTM or GRU
        Its configuration is used, not its weights: both directions get new ones.
    merge_mode : {"concat", "sum", "mul", "ave", None}
        None returns both outputs.
    weights : list of array_like, optional
        What to start from, forward then backward layer.
    backward_layer : layer, optional
        Used as it is, with ``go_backwards=True``; the default is made from `layer`.
    **kwargs
        As for `rnn_xp.compat.keras.layer.Layer`.

    Attributes
    ----------
    dstate : list
        After `backward`: of the forward, then of the backward layer.
    """

    def __init__(
        self,
        layer: Any,
        merge_mode: str | None = "concat",
        weights: list[Any] | None = None,
        backward_layer: Any = None,
        **kwargs: Any,
    ):
        for what, given in (("layer", layer), ("backward_layer", backward_layer)):
            if not isinstance(given, RNN) and not (given is None and what == "backward_layer"):
                raise ValueError(
                    f"Bidirectional: {what} is a {type(given).__name__}, expected a recurrent layer"
                )
        if merge_mode not in MERGES:
            raise ValueError(
                f"Bidirectional: merge_mode = {merge_mode!r}, expected one of {MERGES}"
            )
        check_backend("Bidirectional", kwargs.get("backend"), layer)
        super().__init__(**{"dtype": layer.dtype, "backend": layer._backend, **kwargs})
        name = layer.name.removeprefix("forward_")
        self.forward_layer: RNN = layer.clone(name=f"forward_{name}")
        if backward_layer is None:
            name = layer.name.removeprefix("backward_")
            backward_layer = layer.clone(name=f"backward_{name}", go_backwards=True)
        self.backward_layer: RNN = backward_layer
        self._check_layers()
        for one in (self.forward_layer, self.backward_layer):
            one.zero_output_for_mask = one.return_sequences
        self.merge_mode = merge_mode
        self.dstate: Any = None
        self._initial_weights = weights
        self._cache: Any = None

    def _check_layers(self) -> None:
        there, back = self.forward_layer, self.backward_layer
        if there.go_backwards == back.go_backwards:
            raise ValueError(
                f"Bidirectional: go_backwards is {there.go_backwards} in both layers, expected "
                "False in one and True in the other"
            )
        for name in ALIKE:
            if getattr(there, name) != getattr(back, name):
                raise ValueError(
                    f"Bidirectional: {name} is {getattr(there, name)} in the forward and "
                    f"{getattr(back, name)} in the backward layer, expected the same"
                )

    @property
    def backend(self) -> Backend:
        """The forward layer's."""
        return self.forward_layer.backend

    @property
    def stateful(self) -> bool:
        """Whether a call starts where the last one ended."""
        return self.forward_layer.stateful

    @property
    def return_sequences(self) -> bool:
        """Whether the outputs of all steps are returned."""
        return self.forward_layer.return_sequences

    @property
    def return_state(self) -> bool:
        """Whether the final states are returned."""
        return self.forward_layer.return_state

    @property
    def weights(self) -> list[Array]:
        """The arrays themselves, in the order of Keras."""
        return [*self.forward_layer.weights, *self.backward_layer.weights]

    @property
    def grads(self) -> list[Array]:
        """Gradients in the order of `weights`."""
        return [*self.forward_layer.grads, *self.backward_layer.grads]

    @property
    def states(self) -> list[Any] | None:
        """The states of a stateful layer: forward, then backward."""
        there, back = self.forward_layer.states, self.backward_layer.states
        return None if there is None or back is None else [*there, *back]

    def reset_state(self) -> None:
        """Set the states of both layers to zeros.

        Raises
        ------
        AttributeError
            If the layer is not stateful, as in Keras.
        """
        if not self.stateful:
            raise AttributeError(f"{self.name}: reset_state needs stateful=True")
        self.forward_layer.reset_state()
        self.backward_layer.reset_state()

    reset_states = reset_state

    def build(self, input_shape: Any) -> None:
        """Build both layers for inputs of shape (N, T, D)."""
        for layer in (self.forward_layer, self.backward_layer):
            if not layer.built:
                layer.build(input_shape)
        self.built = True
        if self._initial_weights is not None:
            self.set_weights(self._initial_weights)
            self._initial_weights = None

    def call(
        self, sequences: Array, initial_state: Any = None, mask: Any = None, training: bool = False
    ) -> Any:
        """Run both layers; arguments as for `RNN`.

        Parameters
        ----------
        sequences : array, shape (N, T, D)
        initial_state : list, optional
            The first half is for the forward, the second for the backward layer.
        mask : array, shape (N, T), optional
        training : bool

        Returns
        -------
        output : array, shape (N, 2 units) for "concat", with a T axis for `return_sequences`
            Two arrays if `merge_mode` is None.
        *states : array, or lists of array
            Of the forward, then of the backward layer, with `return_state`.
        """
        require_float(sequences, self.name, "sequences")
        if not self.built:
            self.build(tuple(sequences.shape))
        halves: tuple[Any, Any] = (None, None)
        if initial_state is not None:
            if not is_nested(initial_state) or len(initial_state) % 2:
                raise ShapeError(
                    f"{self.name}: initial_state is {describe(initial_state)}, expected a list: "
                    "half of it for each direction"
                )
            half = len(initial_state) // 2
            halves = (list(initial_state[:half]), list(initial_state[half:]))
        self._cache = None
        there = self.forward_layer.call(sequences, halves[0], mask, training)
        back = self.backward_layer.call(sequences, halves[1], mask, training)
        states: list[Any] = []
        if self.return_state:
            states = [*there[1:], *back[1:]]
            there, back = there[0], back[0]
        if self.return_sequences:
            back = namespace_of(back).flip(back, axis=1)
        if self.merge_mode not in ("concat", None):
            require_shape(back, tuple(there.shape), self.name, "the backward output", "(.., units)")
        self._cache = (there, back)
        outputs = self._merge(there, back)
        if len(outputs) + len(states) == 1:
            return outputs[0]
        return (*outputs, *states)

    def compute_output_shape(self, sequences_shape: Any, initial_state_shape: Any = None) -> Any:
        """Shapes of what a call returns; N and T may be None."""
        return bidirectional_output_shape(self, sequences_shape)

    def _merge(self, there: Array, back: Array) -> tuple[Array, ...]:
        if self.merge_mode is None:
            return there, back
        if self.merge_mode == "concat":
            return (namespace_of(there).concat([there, back], axis=-1),)
        if self.merge_mode == "mul":
            return (there * back,)
        return (there + back,) if self.merge_mode == "sum" else (0.5 * (there + back),)

    def backward(self, doutput: Array | None, *others: Any) -> Array:
        """Gradient of the last call; overwrites `grads` and sets `dstate`.

        Parameters
        ----------
        doutput, *others : array or list of array, or None
            Gradients with respect to what the call returned, in that order. None is zeros;
            those of the states may be left out.

        Returns
        -------
        dsequences : array, shape (N, T, D)
        """
        if self._cache is None:
            raise StaleCacheError(f"{self.name}: backward needs a call of the layer before it")
        there, back = self._cache
        xp = namespace_of(there)
        if self.merge_mode is None:
            dthere, dback = doutput, others[0] if others else None
            others = others[1:]
        else:
            dthere, dback = self._split(doutput, there, back)
        if dback is not None and self.return_sequences:
            dback = xp.flip(dback, axis=1)
        count = len(self.forward_layer.state_template)
        dx = self.forward_layer.backward(dthere, *others[:count])
        dx = dx + self.backward_layer.backward(dback, *others[count:])
        self._cache = None
        self.dstate = [*self.forward_layer.dstate, *self.backward_layer.dstate]
        return dx

    def _split(
        self, doutput: Array | None, there: Array, back: Array
    ) -> tuple[Array | None, Array | None]:
        if doutput is None:
            return None, None
        H = there.shape[-1]
        width = H + back.shape[-1] if self.merge_mode == "concat" else H
        require_like(doutput, there, self.name, "doutput")
        require_shape(doutput, (*there.shape[:-1], width), self.name, "doutput", "(.., units)")
        if self.merge_mode == "concat":
            return doutput[..., :H], doutput[..., H:]
        if self.merge_mode == "mul":
            return doutput * back, doutput * there
        return (doutput, doutput) if self.merge_mode == "sum" else (0.5 * doutput,) * 2

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments, in Keras's form (without `weights`, as there)."""
        return {
            **super().get_config(),
            "merge_mode": self.merge_mode,
            "layer": self.forward_layer.serialize(),
            "backward_layer": self.backward_layer.serialize(),
        }

    @classmethod
    def from_config(
        cls,
        config: dict[str, Any],
        custom_objects: dict[str, Any] | None = None,
        *,
        backend: str | Backend | None = None,
    ) -> Self:
        """A new object with these arguments; see `Layer.from_config`."""
        made = dict(config)
        for name in ("layer", "backward_layer"):
            made[name] = layer_from_config(made.get(name), custom_objects, backend)
        return cls(**made)

    def custom_objects(self) -> dict[str, Any]:
        """What the configuration only names; see `Layer.custom_objects`."""
        return self.forward_layer.custom_objects() | self.backward_layer.custom_objects()
