"""What every model has: named parameters in flat buffers, some of them frozen."""

from typing import Any

from rnn_xp._typing import Array
from rnn_xp.backend import Backend, backend_of, to_host
from rnn_xp.errors import CheckpointError, ShapeError
from rnn_xp.layers.base import Layer, precision_of, set_precision
from rnn_xp.models.flat import FlatParameters
from rnn_xp.namespace import float_dtype_name, namespace_of


class Model:
    """Base of the models.

    Attributes
    ----------
    layers : list of layer
    frozen : set of str
        Names of parameters that are not trained: `params`, `grads` and `segments` leave
        them out.
    """

    _flat: FlatParameters
    layers: list[Any]
    frozen: set[str]

    @property
    def backend(self) -> Backend:
        """Where the parameters live."""
        return backend_of(self.flat_params)

    @property
    def dtype(self) -> str:
        """Name of the parameters' dtype."""
        return float_dtype_name(
            self.flat_params.dtype,
            namespace_of(self.flat_params),
            type(self).__name__,
            "parameters",
        )

    @property
    def precision(self) -> str:
        """Precision of the matrix products: see `set_precision`."""
        return precision_of(self._leaves)

    def set_precision(self, precision: str) -> None:
        """Choose the precision of matrix products, on CuPy, with float32 parameters.

        Parameters, gradients, states and all sums stay float32. Copies and pickles keep it; a
        copy on another backend and a file do not. The scores of `predict` are made in float32
        from what the layers below them made in this precision.

        Parameters
        ----------
        precision : {"float32", "tf32", "float16", "bfloat16"}
            What the operands of a product are rounded to; "float32", the default, are IEEE
            products.

        Raises
        ------
        PrecisionUnavailable
            If the backend, the dtype or a layer has no such products; nothing is changed then.
        ValueError
            If there is no such precision.
        """
        set_precision(self._leaves, precision)

    @property
    def _leaves(self) -> list[Layer]:
        """The layers that own parameters."""
        return [leaf for layer in self.layers for leaf in layer.leaves()]

    @property
    def flat_params(self) -> Array:
        """All parameters, shape (total,)."""
        return self._flat.params

    @property
    def flat_grads(self) -> Array:
        """All gradients, shape (total,)."""
        return self._flat.grads

    @property
    def params(self) -> list[Array]:
        """Parameters that are trained, each one once."""
        return [p for name, p in self._flat.views.items() if name not in self.frozen]

    @property
    def grads(self) -> list[Array]:
        """Gradients in the order of `params`."""
        return [g for name, g in self._flat.grad_views.items() if name not in self.frozen]

    @property
    def named_parameters(self) -> dict[str, Array]:
        """All parameters by name, frozen ones included."""
        return dict(self._flat.views)

    @property
    def named_gradients(self) -> dict[str, Array]:
        """All gradients by name; those of frozen parameters may be stale."""
        return dict(self._flat.grad_views)

    @property
    def parameter_count(self) -> int:
        """Number of elements of all parameters, frozen ones included."""
        return sum(stop - start for start, stop in self._flat.spans.values())

    def freeze(self, *names: str) -> None:
        """Leave these parameters out of training. Call it before the first update.

        Raises
        ------
        KeyError
            If a name is unknown; the message lists the known ones.
        """
        for name in names:
            self._check_name(name)
        self.frozen.update(names)

    def _check_name(self, name: str) -> None:
        if name not in self._flat.views:
            raise KeyError(f"no parameter {name!r}, expected one of {', '.join(self._flat.views)}")

    def segments(self) -> list[tuple[Array, Array]]:
        """Runs of the flat buffers that are trained: ``(params, grads)`` pairs of views."""
        runs = self._flat.segments(self.frozen)
        return [(self.flat_params[a:b], self.flat_grads[a:b]) for a, b in runs]

    def set_parameters(self, arrays: dict[str, Any], where: str = "Rnnlm") -> None:
        """Copy named arrays into the parameters.

        Raises
        ------
        CheckpointError
            If a name is missing or unknown.
        ShapeError
            If an array has another shape than its parameter.
        """
        wrong = sorted(set(arrays) ^ set(self._flat.views))
        if wrong:
            raise CheckpointError(
                f"{where}: the parameters do not match the model: {', '.join(wrong)} "
                f"(expected {', '.join(self._flat.views)})"
            )
        for name in self._flat.views:
            self.set_parameter(name, arrays[name], where)

    def set_parameter(self, name: str, array: Any, where: str = "Rnnlm") -> None:
        """Copy an array into a parameter, e.g. pretrained embeddings, shape (V, D).

        Parameters
        ----------
        name : str
        array : array_like
            Of any backend and dtype.

        Raises
        ------
        KeyError
            If the name is unknown; the message lists the known ones.
        ShapeError
        """
        self._check_name(name)
        view = self._flat.views[name]
        array = self.backend.asarray(to_host(array), self.dtype)
        if tuple(array.shape) != tuple(view.shape):
            raise ShapeError(
                f"{where}: {name} has shape {tuple(array.shape)}, expected {tuple(view.shape)}"
            )
        view[...] = array
