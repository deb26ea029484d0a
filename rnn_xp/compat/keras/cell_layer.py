"""What `SimpleRNN`, `LSTM` and `GRU` share: an `RNN` that makes its cell from its arguments."""

from typing import Any, Self

from rnn_xp.backend import Backend
from rnn_xp.compat.keras.cell import Cell
from rnn_xp.compat.keras.rnn import RNN
from rnn_xp.compat.keras.serialization import snake_case

RUN = ("return_sequences", "return_state", "go_backwards", "stateful", "unroll")
SHARED = ("dtype", "trainable", "backend")


class CellLayer(RNN):
    """Base of the three layers; the cell's arguments can be read from the layer too."""

    cell_class: type[Cell]

    def __init__(self, arguments: dict[str, Any], layer_arguments: dict[str, Any]):
        """Divide the subclass's arguments, by name, between the cell and the layer."""
        own, rest = dict(arguments), dict(layer_arguments)
        run = {name: own.pop(name) for name in RUN}
        run["activity_regularizer"] = own.pop("activity_regularizer")
        use_cudnn = own.pop("use_cudnn", "auto")
        if use_cudnn not in ("auto", False):
            raise ValueError(
                f"{type(self).__name__}: use_cudnn = {use_cudnn!r}, expected 'auto' or False: "
                "this package has kernels of its own"
            )
        if "implementation" in rest:
            own["implementation"] = rest.pop("implementation")
        own |= {name: rest[name] for name in SHARED if name in rest}
        make: Any = self.cell_class  # whose arguments are the subclass's
        cell = make(**own, name=snake_case(self.cell_class.__name__))
        super().__init__(cell, **run, **rest)

    def __getattr__(self, name: str) -> Any:
        # Only asked for what is not an attribute of the layer: units, activation, kernel...
        if not name.startswith("_") and "cell" in self.__dict__:
            return getattr(self.cell, name)
        raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments, in Keras's form."""
        layer, cell = super().get_config(), self.cell.get_config()
        del layer["cell"]
        return {**cell, **layer, "activity_regularizer": None}

    @classmethod
    def from_config(
        cls,
        config: dict[str, Any],
        custom_objects: dict[str, Any] | None = None,
        *,
        backend: str | Backend | None = None,
    ) -> Self:
        """A new layer with these arguments; see `Layer.from_config`."""
        # Not that of `RNN`: the cell's arguments are among the layer's, there is no cell.
        return super(RNN, cls).from_config(config, custom_objects, backend=backend)
