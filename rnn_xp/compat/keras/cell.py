"""What the three cells share: one step with Keras's weights, names and state structure."""

from numbers import Integral
from typing import Any

from rnn_xp._typing import Array
from rnn_xp.compat.keras import activations
from rnn_xp.compat.keras.cell_config import CellArguments
from rnn_xp.compat.keras.masked_cells import MaskedCell
from rnn_xp.compat.keras.nest import flatten, is_nested, leaves_of
from rnn_xp.errors import ShapeError, StaleCacheError
from rnn_xp.layers import TimeCell
from rnn_xp.namespace import namespace_of, require_float, require_like, require_shape

WEIGHTS = ("kernel", "recurrent_kernel", "bias")


class Cell(CellArguments):
    """Base of `SimpleRNNCell`, `LSTMCell` and `GRUCell`.

    A call remembers what `backward` needs. Calls with ``training=True`` add up, so T steps
    are undone by T calls of `backward`, last step first; a call with ``training=False``
    forgets all calls before it. In layers the sequence runs on the core's own layers.
    """

    core_class: Any  # the core's cell
    masked_class: type[MaskedCell]  # the same with a dropout mask for each gate
    time_layer_class: Any  # the core's layer for the default activations
    parts: int = 1  # arrays in the state

    def __init__(self, arguments: dict[str, Any], layer_arguments: dict[str, Any]):
        super().__init__(arguments, layer_arguments)
        self._kept_masks: dict[int, Array | None] = {}
        self._weights: list[Array] = []
        self._grads: list[Array] = []
        self._tape: list[Any] = []
        self._first = True  # whether the next `backward` starts the gradients anew

    # -- weights -----------------------------------------------------------------------------

    @property
    def weights(self) -> list[Array]:
        """``[kernel, recurrent_kernel]``, and ``bias`` if there is one."""
        return list(self._weights)

    @property
    def grads(self) -> list[Array]:
        """Gradients in the order of `weights`."""
        return list(self._grads)

    def __getattr__(self, name: str) -> Any:
        # Only asked for what is not an attribute: the weights by their names.
        if name in WEIGHTS and "_weights" in self.__dict__:
            k = WEIGHTS.index(name)
            return self._weights[k] if k < len(self._weights) else None
        raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")

    def build(self, input_shape: Any) -> None:
        """Make the weights for inputs of shape (N, D); N may be None."""
        D = input_shape[-1] if is_nested(input_shape) and input_shape else None
        if not isinstance(D, Integral) or D < 1:
            raise ShapeError(
                f"{self.name}: input_shape is {input_shape}, expected (N, D) with D known"
            )
        D = int(D)
        H, G = self.units, self.gates
        self._weights = [
            self._new_weight("kernel", (D, G * H), self.kernel_initializer),
            self._new_weight("recurrent_kernel", (H, G * H), self.recurrent_initializer),
        ]
        if self.use_bias:
            shape = self._bias_shape()
            self._weights.append(self._new_weight("bias", shape, self._initial_bias))
        self._grads = [namespace_of(w).zeros_like(w) for w in self._weights]
        self.built = True

    def _bias_shape(self) -> tuple[int, ...]:
        return (self.gates * self.units,)

    def _initial_bias(self, shape: tuple[int, ...], dtype: Any = None) -> Any:
        return self.bias_initializer(shape, dtype=dtype)

    def core_weights(self) -> list[Array]:
        """``[Wx, Wh, b]`` as the core takes them; a missing bias is zeros."""
        if self.use_bias:
            return list(self._weights)
        return [*self._weights, self.backend.zeros(self._bias_shape(), self.dtype)]

    def keras_grads(self, core: list[Array]) -> list[Array]:
        """The core's gradients in the layout and order of `weights`."""
        return core if self.use_bias else core[:2]

    # -- what the core runs -------------------------------------------------------------------

    def is_fast(self) -> bool:
        """Whether the core's layer with fast kernels computes this cell."""
        gate = self.recurrent_activation
        return self.activation is activations.get("tanh") and (
            gate is None or gate is activations.get("sigmoid")
        )

    def core_cell(self) -> Any:
        """The core's cell with this cell's weights and activations."""
        functions = {"activation": self.activation}
        if self.recurrent_activation is not None:
            functions["recurrent_activation"] = self.recurrent_activation
        return self.core_class(*self.core_weights(), **functions)

    def masked_cell(self, inputs: Array | None, recurrent: Array | None) -> MaskedCell:
        """The same with masks (G, N, D) of the input and (G, N, H) of the state."""
        functions = (self.activation, self.recurrent_activation)
        return self.masked_class(self.core_weights(), *functions, inputs, recurrent)

    def nest_state(self, parts: list[Array]) -> Any:
        """The parts of a state as the core's cell has them."""
        return core_state(parts)

    def time_layer(self) -> Any:
        """The core's layer that runs the cell over a sequence, time-major."""
        if self.is_fast():
            return self.time_layer_class(*self.core_weights(), time_major=True)
        return TimeCell(self.core_cell(), time_major=True)

    def draw_masks(
        self, N: int, D: int, kept: dict[int, Array | None] | None = None
    ) -> tuple[Array | None, Array | None, Array | None]:
        """Dropout masks for one call.

        Returns
        -------
        shared : array, shape (N, D), or None
            For the input, before all gates.
        inputs, recurrent : array, shape (G, N, D) and (G, N, H), or None
            For each gate.
        """
        kept = {} if kept is None else kept
        for kind, width in ((0, D), (1, self.units)):
            if kind not in kept:
                kept[kind] = self.masks.draw(kind, N, width, self.backend, self.dtype)
            held = kept[kind]
            if held is not None and held.shape[-2] != N:
                raise ShapeError(
                    f"{self.name}: the batch size is {N}, but the dropout masks are for "
                    f"{held.shape[-2]} rows; call reset_dropout_mask() and "
                    "reset_recurrent_dropout_mask() between batches"
                )
        inputs, recurrent = kept[0], kept[1]
        if self.masks.count is None:
            return inputs, None, None if recurrent is None else recurrent[None, :, :]
        return None, inputs, recurrent

    def reset_dropout_mask(self) -> None:
        """Draw new input masks at the next call."""
        self._kept_masks.pop(0, None)

    def reset_recurrent_dropout_mask(self) -> None:
        """Draw new state masks at the next call."""
        self._kept_masks.pop(1, None)

    # -- one step ----------------------------------------------------------------------------

    @property
    def output_size(self) -> int:
        """Width of the output."""
        return self.units

    @property
    def state_size(self) -> Any:
        """Width of the state; a list for the LSTM."""
        return self.units if self.parts == 1 else [self.units] * self.parts

    @property
    def state_template(self) -> list[Any]:
        """The nesting of the state inside a layer: a list, of one or of two."""
        return [None] * self.parts

    def leaves(self) -> "list[Any]":
        """The single cells that it is made of: itself."""
        return [self]

    def get_initial_state(self, batch_size: int) -> list[Array]:
        """List of zeros, each (batch_size, units)."""
        shape = (batch_size, self.units)
        return [self.backend.zeros(shape, self.dtype) for _ in range(self.parts)]

    def call(self, inputs: Array, states: Any, training: bool = False) -> tuple[Array, Any]:
        """One step.

        Parameters
        ----------
        inputs : array, shape (N, D)
        states : array, or list of array, each (N, units)
            ``[h, c]`` for the LSTM.
        training : bool
            Whether to drop out. The masks stay the same from call to call, until
            `reset_dropout_mask` and `reset_recurrent_dropout_mask`.

        Returns
        -------
        output : array, shape (N, units)
        states : array or list of array
            A list if `states` is a list or a tuple. Its first array is the output itself.
        """
        require_float(inputs, self.name, "inputs")
        if len(inputs.shape) != 2:
            raise ShapeError(
                f"{self.name}: inputs has shape {tuple(inputs.shape)}, expected (N, D)"
            )
        if not self.built:
            self.build(tuple(inputs.shape))
        N, D = inputs.shape
        require_like(inputs, self._weights[0], self.name, "inputs")
        require_shape(inputs, (N, self._weights[0].shape[0]), self.name, "inputs", "(N, D)")
        parts = self._check_state(states, N, "states")
        shared = gate_inputs = recurrent = None
        if training:
            shared, gate_inputs, recurrent = self.draw_masks(N, D, self._kept_masks)
        else:
            self._tape.clear()
        if gate_inputs is None and recurrent is None:
            step = self.core_cell()
        else:
            step = self.masked_cell(gate_inputs, recurrent)
        x = inputs if shared is None else inputs * shared
        output, new, cache = step.forward(x, core_state(parts))
        self._tape.append((step, shared, cache, is_nested(states), output))
        self._first = True
        return output, list(core_parts(new)) if is_nested(states) else new

    def backward(self, doutput: Array | None, dstates: Any = None) -> tuple[Array, Any]:
        """Gradient of the last call that was not undone yet.

        The first `backward` after a call overwrites `grads`; those that follow it without a
        call in between add to them.

        Parameters
        ----------
        doutput : array, shape (N, units), or None
            Gradient with respect to the output; None is zeros.
        dstates : like the states, optional
            Gradient with respect to the new states; None, also in the list, is zeros.

        Returns
        -------
        dinputs : array, shape (N, D)
        dstates : like the states that the call was given

        Raises
        ------
        StaleCacheError
            If no call is left.
        """
        if not self._tape:
            raise StaleCacheError(
                f"{self.name}: backward has no call left to undo; to go back over several steps, "
                "call the cell with training=True"
            )
        step, shared, cache, nested, like = self._tape[-1]
        xp = namespace_of(like)
        zeros = xp.zeros_like(like)
        dstate = None
        if dstates is not None:
            given = self._check_state(dstates, like.shape[0], "dstates")
            dstate = core_state([zeros if d is None else d for d in given])
        if doutput is not None:
            require_like(doutput, like, self.name, "doutput")
            require_shape(doutput, tuple(like.shape), self.name, "doutput", "(N, units)")
        self._tape.pop()
        dx, dstate = step.backward(zeros if doutput is None else doutput, dstate, cache)
        self.take_grads(step.grads, add=not self._first)
        self._first = False
        dx = dx if shared is None else dx * shared
        return dx, list(core_parts(dstate)) if nested else dstate

    def take_grads(self, core: list[Array], add: bool = False) -> None:
        """Write the core's gradients into `grads`, or add them."""
        for own, new in zip(self._grads, self.keras_grads(core), strict=True):
            own[...] = own + new if add else new

    def _check_state(self, states: Any, N: int, what: str) -> list[Any]:
        parts = leaves_of(states, [None] * self.parts, self.name, what)
        for k, part in enumerate(parts):
            if part is None and what == "dstates":
                continue
            require_like(part, self._weights[0], self.name, f"{what}[{k}]")
            require_shape(part, (N, self.units), self.name, f"{what}[{k}]", "(N, units)")
        return parts


def core_state(parts: list[Array]) -> Any:
    """The core's state: an array, or a tuple."""
    return parts[0] if len(parts) == 1 else tuple(parts)


def core_parts(state: Any) -> list[Array]:
    """Its arrays."""
    return flatten(state)
