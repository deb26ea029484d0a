"""`RNN`: any cell, or a list of cells, over sequences; as in keras/src/layers/rnn/rnn.py."""

import copy
from typing import Any, Self

from rnn_xp._typing import Array
from rnn_xp.backend import Backend
from rnn_xp.compat.keras.layer import Layer, check_backend
from rnn_xp.compat.keras.masking import (
    layer_output,
    layer_output_backward,
    layer_output_shape,
    valid_steps,
)
from rnn_xp.compat.keras.nest import flatten, is_nested, leaves_of, pack
from rnn_xp.compat.keras.own_cell import OwnCell
from rnn_xp.compat.keras.runs import CellRun
from rnn_xp.compat.keras.serialization import layer_from_config
from rnn_xp.compat.keras.shapes import rnn_output_shape
from rnn_xp.compat.keras.stacked import StackedRNNCells, as_cell
from rnn_xp.compat.keras.start import check_widths, start_state
from rnn_xp.errors import ShapeError, StaleCacheError
from rnn_xp.namespace import namespace_of, require_float, require_like, require_shape


class RNN(Layer):
    """Base of the recurrent layers.

    Runs on the core's layers with fast kernels where the cell's activations are the defaults
    and no mask for each gate is drawn; on `rnn_xp.layers.TimeCell` otherwise.

    Parameters
    ----------
    cell : cell, or list of cell
        Of this facade, or one of your own that follows `rnn_xp.cells.base.Cell`. A list is
        `StackedRNNCells`.
    return_sequences : bool
        Whether to return the output of every step, instead of the last.
    return_state : bool
        Whether to return the final states too: ``(output, *states)``.
    go_backwards : bool
        Whether to run from the last step to the first. Outputs come in the order in which
        they are computed.
    stateful : bool
        Whether a call starts where the last one ended. The gradient stops between calls.
    unroll : bool
        Kept for the configuration; it changes nothing.
    zero_output_for_mask : bool
        What the output of a masked step is: zeros if True. If False the step before is
        repeated, and a first step that is masked is zeros, as Keras's TensorFlow and torch
        backends have it (its NumPy and JAX backends put out the initial state there). The
        output without `return_sequences` is that of the last step: with zeros, a row whose
        last step is masked has the output 0.
    **kwargs
        As for `rnn_xp.compat.keras.layer.Layer`; dtype and backend are the cell's by default.

    Attributes
    ----------
    states : list or None
        Of a stateful layer, in the structure of the cell's states.
    dstate : list or None
        After `backward`: the gradient with respect to the states that the call started from,
        in the structure in which `initial_state` was given.
    """

    def __init__(
        self,
        cell: Any,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        zero_output_for_mask: bool = False,
        **kwargs: Any,
    ):
        self.cell = StackedRNNCells(cell) if is_nested(cell) else as_cell(cell)
        check_backend(type(self).__name__, kwargs.get("backend"), self.cell.leaves()[0])
        super().__init__(**{"dtype": self.cell.dtype, "backend": self.cell._backend, **kwargs})
        if self.dtype != self.cell.dtype:
            raise ValueError(
                f"{self.name}: dtype = {self.dtype!r}, but the cell's is {self.cell.dtype!r}"
            )
        self.return_sequences = bool(return_sequences)
        self.return_state = bool(return_state)
        self.go_backwards = bool(go_backwards)
        self.stateful = bool(stateful)
        self.unroll = bool(unroll)
        self.zero_output_for_mask = bool(zero_output_for_mask)
        self.states: list[Any] | None = None
        self.dstate: Any = None
        self._runs = [CellRun(leaf) for leaf in self.cell.leaves()]
        self._cache: Any = None

    @property
    def backend(self) -> Backend:
        """The cell's."""
        found: Backend = self.cell.leaves()[0].backend
        return found

    @property
    def weights(self) -> list[Array]:
        """The arrays themselves, in the order of Keras."""
        return list(self.cell.weights)

    @property
    def grads(self) -> list[Array]:
        """Gradients in the order of `weights`."""
        return list(self.cell.grads)

    @property
    def state_size(self) -> list[Any]:
        """Widths of the states, in a list."""
        size = self.cell.state_size
        return list(size) if is_nested(size) else [size]

    @property
    def output_size(self) -> int:
        """Width of the output."""
        return int(self.cell.output_size)

    def get_initial_state(self, batch_size: int) -> list[Any]:
        """Zeros in the structure of the cell's states."""
        return list(self.cell.get_initial_state(batch_size))

    def build(self, input_shape: Any) -> None:
        """Make the weights for inputs of shape (N, T, D); N and T may be None.

        Raises
        ------
        ValueError
            If the layer is stateful and N is None.
        """
        if not is_nested(input_shape) or len(input_shape) != 3:
            raise ShapeError(f"{self.name}: input_shape is {input_shape}, expected (N, T, D)")
        if self.stateful and input_shape[0] is None:
            raise ValueError(f"{self.name}: stateful=True needs the batch size, got None for N")
        if not self.cell.built:
            self.cell.build((input_shape[0], input_shape[2]))
        if self.stateful:
            self.states = self.get_initial_state(input_shape[0])
        self.built = True

    def reset_state(self) -> None:
        """Set the states of a stateful layer to zeros, for any batch size."""
        self.states = None

    reset_states = reset_state

    def call(
        self, sequences: Array, initial_state: Any = None, mask: Any = None, training: bool = False
    ) -> Any:
        """Run the layer.

        Parameters
        ----------
        sequences : array, shape (N, T, D)
            In the dtype of the weights. Do not modify it before `backward`.
        initial_state : list of array, or array, optional
            Each (N, units), nested as the cell's states; used for this call.
        mask : array or lists, shape (N, T), optional
            True, or not 0, where a step counts.
        training : bool
            Whether to drop out. `backward` works either way.

        Returns
        -------
        output : array, shape (N, units), or (N, T, units) with `return_sequences`
        *states : array, or lists of array
            With `return_state`.

        Raises
        ------
        ShapeError, DTypeError, MixedBackendError
        """
        require_float(sequences, self.name, "sequences")
        if len(sequences.shape) != 3 or 0 in sequences.shape:
            raise ShapeError(
                f"{self.name}: sequences has shape {tuple(sequences.shape)}, expected (N, T, D), "
                "each at least 1"
            )
        xp = namespace_of(sequences)
        N, T = sequences.shape[:2]
        if not self.built:
            self.build(tuple(sequences.shape))
        valid = valid_steps(mask, N, T, sequences, self.name)
        start, like = start_state(self, initial_state, N, sequences)
        x = xp.permute_dims(sequences, (1, 0, 2))
        if self.go_backwards:
            x = xp.flip(x, axis=0)
            valid = None if valid is None else xp.flip(valid, axis=0)
        self._cache = None
        final: list[Array] = []
        for run in self._runs:
            count = len(flatten(run.cell.state_size))
            own = None if start is None else start[len(final) : len(final) + count]
            x, parts = run.forward(x, own, valid, training)
            final += parts
        self._cache = (valid, tuple(x.shape), x[0, :, :], like)
        output = layer_output(x, valid, self.return_sequences, self.zero_output_for_mask)
        states = pack(like, final)
        if self.stateful:
            # Copies, so that what the caller does to its arrays cannot change the states.
            kept = [xp.asarray(part, copy=True, device=part.device) for part in final]
            self.states = pack(self.state_template, kept)
        return (output, *states) if self.return_state else output

    def backward(self, doutput: Array | None, *dstates: Any) -> Array:
        """Gradient of the last call; overwrites `grads` and sets `dstate`.

        Parameters
        ----------
        doutput : array, shape of the output, or None
            None is zeros.
        *dstates : array, or lists of array
            Gradients with respect to the final states, as `return_state` returns them; None,
            also in a list, is zeros. May be left out.

        Returns
        -------
        dsequences : array, shape (N, T, D)

        Raises
        ------
        StaleCacheError
            If there is no call, or `backward` was called for it already.
        """
        if self._cache is None:
            raise StaleCacheError(f"{self.name}: backward needs a call of the layer before it")
        valid, shape, reference, like = self._cache
        xp = namespace_of(reference)
        final = list(dstates) if dstates else None
        given = leaves_of(final, self.state_template, self.name, "dstates")
        check_widths(self, given, "dstates", shape[1], reference)
        d = None
        if doutput is not None:
            wanted = layer_output_shape(shape, self.return_sequences)
            require_like(doutput, reference, self.name, "doutput")
            require_shape(doutput, wanted, self.name, "doutput", "the output's shape")
            d = layer_output_backward(
                doutput, valid, shape[0], self.return_sequences, self.zero_output_for_mask
            )
        self._cache = None
        initial: list[Array] = []
        for run in reversed(self._runs):
            count = len(flatten(run.cell.state_size))
            own, given = given[len(given) - count :], given[: len(given) - count]
            d, parts = run.backward(d, own)
            initial = parts + initial
        self.dstate = pack(like, initial)
        d = xp.flip(d, axis=0) if self.go_backwards else d
        return xp.permute_dims(d, (1, 0, 2))

    def compute_output_shape(self, sequences_shape: Any, initial_state_shape: Any = None) -> Any:
        """Shapes of what a call returns; N and T may be None."""
        return rnn_output_shape(self, sequences_shape)

    @property
    def state_template(self) -> list[Any]:
        """The nesting of the states; a single cell's one state is a list of one."""
        return list(self.cell.state_template)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments, in Keras's form."""
        names = ("return_sequences", "return_state", "go_backwards", "stateful", "unroll")
        own = {name: getattr(self, name) for name in (*names, "zero_output_for_mask")}
        return {**super().get_config(), **own, "cell": self.cell.serialize()}

    @classmethod
    def from_config(
        cls,
        config: dict[str, Any],
        custom_objects: dict[str, Any] | None = None,
        *,
        backend: str | Backend | None = None,
    ) -> Self:
        """A new object with these arguments; see `Layer.from_config`."""
        rest = dict(config)
        cell = layer_from_config(rest.pop("cell"), custom_objects, backend)
        return cls(cell, **rest)

    def custom_objects(self) -> dict[str, Any]:
        """What the configuration only names; see `Layer.custom_objects`."""
        found: dict[str, Any] = self.cell.custom_objects()
        return found

    def clone(self, **changes: Any) -> Self:
        """A new layer of the same configuration, but for `changes`, with new weights.

        A cell of your own brings its weights along: it is copied with them.
        """
        if not any(isinstance(leaf, OwnCell) for leaf in self.cell.leaves()):
            return super().clone(**changes)
        made = copy.deepcopy(self)
        made.reset_state()
        for name, value in changes.items():
            setattr(made, name, value)
        return made
