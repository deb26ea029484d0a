"""`TimeDistributed`, as in keras/src/layers/rnn/time_distributed.py."""

from typing import Any, Self

from rnn_xp._typing import Array
from rnn_xp.backend import Backend, backend_of
from rnn_xp.cells.base import WeightsCell
from rnn_xp.compat.keras.bidirectional import Bidirectional
from rnn_xp.compat.keras.cell import Cell
from rnn_xp.compat.keras.layer import Layer
from rnn_xp.compat.keras.masking import mask_array
from rnn_xp.compat.keras.own_cell import OwnCell
from rnn_xp.compat.keras.rnn import RNN
from rnn_xp.compat.keras.serialization import class_config, layer_from_config
from rnn_xp.compat.keras.stacked import StackedRNNCells
from rnn_xp.errors import ShapeError
from rnn_xp.namespace import float_dtype_name, namespace_of, require_float


class TimeDistributed(Layer):
    """The same layer at every step of axis 1.

    The steps are put on the batch axis and run in one call, which gives the same numbers
    because a layer treats its rows alike.

    Parameters
    ----------
    layer : layer
        Of this facade, or one with ``forward``, ``backward``, ``params`` and ``grads``, as
        those of `rnn_xp.layers` (`TimeAffine` is Keras's Dense).
    **kwargs
        As for `rnn_xp.compat.keras.layer.Layer`.
    """

    def __init__(self, layer: Any, **kwargs: Any):
        own = isinstance(layer, Layer)
        if isinstance(layer, Cell | StackedRNNCells | OwnCell | WeightsCell):
            raise ValueError(
                f"TimeDistributed: layer is a {type(layer).__name__}, a cell, which needs a state "
                "at every step; expected a layer; RNN runs a cell over time"
            )
        if not own and not all(hasattr(layer, n) for n in ("forward", "backward", "params")):
            raise ValueError(
                f"TimeDistributed: layer is a {type(layer).__name__}, expected a layer of "
                "rnn_xp.compat.keras, or one with forward, backward, params and grads"
            )
        if getattr(layer, "stateful", False) or getattr(layer, "return_state", False):
            raise ValueError(
                "TimeDistributed: layer has stateful=True or return_state=True, expected neither: "
                "its steps are independent and have one output each"
            )
        if own:
            kwargs = {"dtype": layer.dtype, "backend": layer._backend, **kwargs}
        elif layer.params:
            like = layer.params[0]
            name = float_dtype_name(like.dtype, namespace_of(like), "TimeDistributed", "params[0]")
            kwargs = {"dtype": name, "backend": backend_of(like), **kwargs}
        super().__init__(**kwargs)
        self.layer = layer
        self._shape: tuple[int, ...] | None = None  # of the last call's input

    @property
    def weights(self) -> list[Array]:
        """The arrays themselves, in the order of Keras."""
        return list(self.layer.params)

    @property
    def grads(self) -> list[Array]:
        """Gradients in the order of `weights`."""
        return list(self.layer.grads)

    def build(self, input_shape: Any) -> None:
        """Build the layer for one step of an input of shape (N, T, ...)."""
        if len(input_shape) < 3:
            raise ShapeError(
                f"{self.name}: input_shape is {tuple(input_shape)}, expected (N, T, ...)"
            )
        if isinstance(self.layer, Layer) and not self.layer.built:
            self.layer.build((input_shape[0], *input_shape[2:]))
        self.built = True

    def call(self, inputs: Array, training: bool = False, mask: Any = None) -> Array:
        """Run the layer at every step.

        Parameters
        ----------
        inputs : array, shape (N, T, ...)
        training : bool
        mask : array, shape (N, T, ...), optional
            The layer gets the mask's steps, if it takes a mask.

        Returns
        -------
        outputs : array, shape (N, T, ...)
        """
        require_float(inputs, self.name, "inputs")
        self.build(tuple(inputs.shape))
        xp = namespace_of(inputs)
        N, T = inputs.shape[:2]
        mask = mask_array(mask, self.name)
        if mask is not None and tuple(mask.shape[:2]) != (N, T):
            raise ShapeError(
                f"{self.name}: mask has shape {tuple(mask.shape)}, expected (N, T, ...) with "
                f"(N, T) = {(N, T)}"
            )
        rows = xp.reshape(inputs, (N * T, *inputs.shape[2:]))
        if isinstance(self.layer, RNN | Bidirectional):
            if mask is not None:
                mask = namespace_of(mask).reshape(mask, (N * T, *mask.shape[2:]))
            outputs = self.layer(rows, mask=mask, training=training)
        elif isinstance(self.layer, Layer):
            outputs = self.layer(rows, training=training)
        else:
            outputs = self.layer.forward(rows)
        if isinstance(outputs, tuple):
            raise ValueError(f"{self.name}: the layer has {len(outputs)} outputs, expected one")
        self._shape = tuple(inputs.shape)
        return xp.reshape(outputs, (N, T, *outputs.shape[1:]))

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Shape of what a call returns; N and T may be None.

        Raises
        ------
        TypeError
            If the layer does not tell: those of `rnn_xp.layers` do not.
        """
        if not hasattr(self.layer, "compute_output_shape"):
            raise TypeError(
                f"{self.name}: a {type(self.layer).__name__} has no compute_output_shape, so the "
                "shape is known only from a call"
            )
        N, T, *rest = input_shape
        first, *others = self.layer.compute_output_shape((N, *rest))
        return (first, T, *others)

    def backward(self, doutputs: Array) -> Array:
        """Gradient of the last call: `doutputs` as the outputs, returned as the inputs."""
        if self._shape is None:
            raise ShapeError(f"{self.name}: backward needs a call of the layer before it")
        xp = namespace_of(doutputs)
        if tuple(doutputs.shape[:2]) != self._shape[:2]:
            raise ShapeError(
                f"{self.name}: doutputs has shape {tuple(doutputs.shape)}, expected (N, T, ...) "
                f"with (N, T) = {self._shape[:2]}"
            )
        N, T = self._shape[:2]
        rows = xp.reshape(doutputs, (N * T, *doutputs.shape[2:]))
        return xp.reshape(self.layer.backward(rows), self._shape)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments, in Keras's form."""
        if isinstance(self.layer, Layer):
            return {**super().get_config(), "layer": self.layer.serialize()}
        if not hasattr(self.layer, "get_config"):
            raise TypeError(
                f"get_config: {type(self.layer).__name__} has no get_config(), so no "
                "configuration can hold it"
            )
        return {**super().get_config(), "layer": class_config(self.layer, "")}

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
        return cls(layer_from_config(rest.pop("layer"), custom_objects, backend), **rest)

    def custom_objects(self) -> dict[str, Any]:
        """What the configuration only names; see `Layer.custom_objects`."""
        return self.layer.custom_objects() if isinstance(self.layer, Layer) else {}
