"""What every layer and cell of the facade is: a name, a dtype, weights and their gradients."""

from math import prod
from typing import Any, Self

from rnn_xp._typing import Array
from rnn_xp.backend import Backend, get_backend, to_host
from rnn_xp.compat.keras import activations, initializers
from rnn_xp.compat.keras.serialization import class_config, snake_case
from rnn_xp.errors import ShapeError
from rnn_xp.namespace import FLOAT_DTYPES


class Layer:
    """Base of the facade's layers.

    Parameters
    ----------
    name : str, optional
        Default: the class's name in snake case. It is not made unique, as Keras makes it.
    trainable : bool
        False empties `trainable_weights`; gradients are computed all the same.
    dtype : {"float32", "float64"} or dict, optional
        Of the weights, and of what is computed; default float32. An input of another dtype
        is an error here, where Keras converts it.
    backend : str or Backend, optional
        Where the weights live; default what ``RNN_BACKEND`` names. Not part of the
        configuration.

    Raises
    ------
    TypeError
        If there are other arguments.
    ValueError
        If one has a value that this facade does not have.
    """

    def __init__(
        self,
        *,
        name: str | None = None,
        trainable: bool = True,
        dtype: Any = None,
        backend: str | Backend | None = None,
        activity_regularizer: Any = None,
        **unknown: Any,
    ):
        if unknown:
            raise TypeError(f"{type(self).__name__}: unknown argument {', '.join(sorted(unknown))}")
        refuse(type(self).__name__, activity_regularizer=activity_regularizer)
        self.name = snake_case(type(self).__name__) if name is None else name
        self.trainable = trainable
        self.dtype = dtype_name(dtype, type(self).__name__)
        self.built = False
        self._backend = backend

    @property
    def backend(self) -> Backend:
        """Where the weights live; chosen when it is first asked for."""
        if not isinstance(self._backend, Backend):
            self._backend = get_backend(self._backend)
        return self._backend

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """The same as `call`."""
        return self.call(*args, **kwargs)

    def call(self, *args: Any, **kwargs: Any) -> Any:
        """Run the layer; the weights are made first, if `build` has not been called."""
        raise NotImplementedError(f"{self.name} has no call")

    def build(self, input_shape: Any) -> None:
        """Make the weights for inputs of `input_shape`; sizes other than the last may be None."""
        raise NotImplementedError(f"{self.name} has no build")

    @property
    def weights(self) -> list[Array]:
        """The arrays themselves, in Keras's layout and order; write into them to change them.

        Empty before the layer is built.
        """
        return []

    @property
    def grads(self) -> list[Array]:
        """Gradients in the order of `weights`, overwritten by `backward`."""
        return []

    @property
    def params(self) -> list[Array]:
        """`weights`, under the name that the rest of the package uses."""
        return self.weights

    @property
    def variables(self) -> list[Array]:
        """The same as `weights`."""
        return self.weights

    @property
    def trainable_weights(self) -> list[Array]:
        """`weights`, or nothing if the layer is frozen."""
        return self.weights if self.trainable else []

    @property
    def non_trainable_weights(self) -> list[Array]:
        """`weights` of a frozen layer."""
        return [] if self.trainable else self.weights

    @property
    def trainable_variables(self) -> list[Array]:
        """The same as `trainable_weights`."""
        return self.trainable_weights

    def count_params(self) -> int:
        """Number of weights."""
        return sum(prod(w.shape) for w in self.weights)

    def get_weights(self) -> list[Any]:
        """Copies on the host, as NumPy arrays."""
        return [to_host(w).copy() for w in self.weights]

    def set_weights(self, weights: list[Any]) -> None:
        """Overwrite the weights in place.

        Parameters
        ----------
        weights : list of array_like
            As `get_weights` gives them, of this layer or of Keras's.

        Raises
        ------
        ShapeError
            If they are not as many, or not of the same shapes; nothing is changed then.
        """
        own = self.weights
        if not isinstance(weights, list | tuple):
            raise TypeError(
                f"{self.name}: weights is a {type(weights).__name__}, expected a list of arrays"
            )
        if len(weights) != len(own):
            hint = "" if self.built else "; build it first"
            raise ShapeError(f"{self.name}: got {len(weights)} weights, expected {len(own)}{hint}")
        for k, given in enumerate(weights):
            if isinstance(given, str) or given is None:
                raise TypeError(
                    f"{self.name}: weight {k} is a {type(given).__name__}, expected an array"
                )
        values = [self.backend.asarray(to_host(w), self.dtype) for w in weights]
        for k, (value, weight) in enumerate(zip(values, own, strict=True)):
            if tuple(value.shape) != tuple(weight.shape):
                raise ShapeError(
                    f"{self.name}: weight {k} has shape {tuple(value.shape)}, expected "
                    f"{tuple(weight.shape)}"
                )
        for value, weight in zip(values, own, strict=True):
            weight[...] = value

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments, in Keras's form; `backend` is left out."""
        policy = {
            "module": "keras",
            "class_name": "DTypePolicy",
            "config": {"name": self.dtype},
            "registered_name": None,
        }
        return {"name": self.name, "trainable": self.trainable, "dtype": policy}

    @classmethod
    def from_config(
        cls,
        config: dict[str, Any],
        custom_objects: dict[str, Any] | None = None,
        *,
        backend: str | Backend | None = None,
    ) -> Self:
        """A new layer with these arguments and new weights.

        Parameters
        ----------
        config : dict
            From `get_config`, of this class or of Keras's.
        custom_objects : dict, optional
            Your own classes and functions that it names.
        backend : str or Backend, optional
        """
        return cls(**with_functions(config, custom_objects), backend=backend)

    def serialize(self) -> dict[str, Any]:
        """The configuration with the class's name, as one layer's holds another's."""
        return class_config(self, "keras.layers")

    def custom_objects(self) -> dict[str, Any]:
        """The functions and objects that the configuration only names."""
        return {}

    def clone(self, **changes: Any) -> Self:
        """A new layer of the same configuration, but for `changes`, with new weights."""
        config = {**self.get_config(), **changes}
        return type(self).from_config(config, self.custom_objects(), backend=self._backend)

    def __getstate__(self) -> dict[str, Any]:
        """What `copy` and `pickle` take: not what was kept for `backward`."""
        state = dict(self.__dict__)
        if isinstance(self._backend, Backend):
            state["_backend"] = self._backend.label
        for name, empty in (("_cache", None), ("_tape", [])):
            if name in state:
                state[name] = empty
        return state

    def _new_weight(self, what: str, shape: tuple[int, ...], initializer: Any) -> Array:
        made = to_host(initializer(shape, dtype=self.dtype))
        if tuple(made.shape) != shape:
            raise ShapeError(
                f"{self.name}: the initializer of {what} gave shape {tuple(made.shape)}, "
                f"expected {shape}"
            )
        return self.backend.asarray(made, self.dtype)


def with_functions(config: dict[str, Any], custom_objects: dict[str, Any] | None) -> dict[str, Any]:
    """`config` with initialisers and activations in the place of their names."""
    made = dict(config)
    for key, value in config.items():
        if key.endswith("_initializer"):
            made[key] = initializers.get(value, custom_objects)
        elif key in ("activation", "recurrent_activation"):
            made[key] = activations.get(value, custom_objects)
    return made


def dtype_name(dtype: Any, where: str) -> str:
    """``"float32"`` or ``"float64"`` from what Keras takes or writes as a dtype.

    Raises
    ------
    ValueError
        If it is another one, or a mixed policy.
    """
    given = dtype
    if isinstance(dtype, dict):
        dtype = (dtype.get("config") or {}).get("name")
    if dtype is None:
        return "float32"
    if not isinstance(dtype, str):  # a library's own: numpy.float32, torch.float32, a policy
        dtype = getattr(dtype, "name", None) or getattr(dtype, "__name__", None) or str(dtype)
    name = str(dtype).rsplit(".", maxsplit=1)[-1]
    if name not in FLOAT_DTYPES:
        raise ValueError(f"{where}: dtype = {given!r}, expected float32 or float64")
    return name


def check_backend(where: str, given: str | Backend | None, inner: Layer) -> None:
    """Raise `ValueError` if a wrapper is given another backend than what it wraps has."""
    if given is not None and get_backend(given) != inner.backend:
        raise ValueError(
            f"{where}: backend = {get_backend(given).label}, but {inner.name} is on "
            f"{inner.backend.label}"
        )


def refuse(where: str, **arguments: Any) -> None:
    """Raise `ValueError` for a regulariser or constraint that is not None."""
    for name, value in arguments.items():
        if value is not None:
            kind = "regularizers" if name.endswith("regularizer") else "constraints"
            raise ValueError(
                f"{where}: {name} = {value!r}, expected None: {kind} are not part of this "
                "facade; add their term to the gradients, or project the weights, after backward"
            )
