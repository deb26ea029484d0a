"""What every layer is: parameters, gradients of the same shapes, forward and backward."""

import copy
from collections.abc import Iterable
from typing import Any, ClassVar, Self

from rnn_xp._typing import Array
from rnn_xp.backend import Backend, backend_of, get_backend, to_host
from rnn_xp.errors import PrecisionUnavailable, StaleCacheError
from rnn_xp.kernels import PRECISIONS, Kernels, Workspace
from rnn_xp.namespace import float_dtype_name, namespace_of


class Layer:
    """Base of the layers.

    Attributes
    ----------
    params, grads : list of array
        In the same order and of the same shapes. `backward` overwrites the gradients in
        place. A model may rebind the entries to views of its flat buffers.
    precision : str
        Of the matrix products; see `set_precision`.
    products : tuple of str, or None
        The kernels that make this layer's matrix products, empty if it has none whose precision
        can be chosen; None if some are made elsewhere, as a cell makes its own: such a layer
        computes in the precision of its arrays only.
    """

    precision: str = "float32"
    products: ClassVar[tuple[str, ...] | None] = None

    def __init__(self, params: list[Array]):
        self.params = params
        self.grads = [namespace_of(p).zeros_like(p) for p in params]
        self._workspace = Workspace()
        self._cache: Any = None
        self._kernels: Kernels | None = None

    @property
    def name(self) -> str:
        """The class name, for messages."""
        return type(self).__name__

    @property
    def kernels(self) -> Kernels:
        """The kernels of the backend that the parameters live on."""
        if self._kernels is None:
            W = self.params[0]
            dtype = float_dtype_name(W.dtype, namespace_of(W), self.name, "parameter 0")
            self._kernels = backend_of(W).kernels(dtype, self.precision)
        return self._kernels

    def set_precision(self, precision: str) -> None:
        """Choose the precision of matrix products, on CuPy, with float32 parameters.

        Parameters, gradients, states and all sums stay float32. Copies have the same precision,
        on another backend float32. A layer without products takes any and stays as it is.

        Parameters
        ----------
        precision : {"float32", "tf32", "float16", "bfloat16"}
            What the operands of a product are rounded to; "float32" are IEEE products.

        Raises
        ------
        PrecisionUnavailable
            If the backend, the dtype or the kind of layer has no such products; nothing is
            changed then.
        ValueError
            If there is no such precision.
        """
        set_precision(self.leaves(), precision)

    def leaves(self) -> "list[Layer]":
        """The layers that own parameters: this one."""
        return [self]

    def to(self, backend: str | Backend) -> Self:
        """A copy of this layer on another backend; state, caches and buffers stay behind."""
        target = get_backend(backend)
        moved = copy.copy(self)
        moved.params = [target.asarray(to_host(p)) for p in self.params]
        moved.grads = [namespace_of(p).zeros_like(p) for p in moved.params]
        moved._kernels = None
        if moved.precision != "float32" and target.name != backend_of(self.params[0]).name:
            moved.precision = "float32"
        moved._forget()
        return moved

    def __getstate__(self) -> dict[str, Any]:
        """What `copy` and `pickle` take: not the buffers, nor what was kept for `backward`."""
        state = dict(self.__dict__)
        for name, empty in (("_workspace", Workspace()), ("_cache", None), ("_kernels", None)):
            if name in state:
                state[name] = empty
        if "_keeper" in state:  # its own: a call of the copy must not move this layer's state
            state["_keeper"] = copy.copy(state["_keeper"])
        return state

    def _forget(self) -> None:
        """Drop what belongs to past calls."""
        self._workspace = Workspace()
        self._cache = None

    def _held_cache(self) -> Any:
        """The data kept by the last forward call; it stays until `_take_cache`.

        Raises
        ------
        StaleCacheError
            If there is none.
        """
        if self._cache is None:
            raise StaleCacheError(
                f"{self.name}: backward needs a forward(train=True) before it; the last one "
                "was already used, or ran with train=False"
            )
        return self._cache

    def _take_cache(self) -> Any:
        """The same, and forget it: a second backward finds none.

        Called when the arguments of `backward` are checked, so that a refused call uses
        nothing up.
        """
        cache = self._held_cache()
        self._cache = None
        return cache

    def _check_upstream(self, dout: Any, dstate: Any = None) -> None:
        """Raise unless `backward` would take these; layers made of layers ask all before any."""

    def _check_precision(self, precision: str) -> None:
        """Raise unless this layer's products can be made in `precision`."""
        if precision == "float32":
            return
        W = self.params[0]
        dtype = float_dtype_name(W.dtype, namespace_of(W), self.name, "parameter 0")
        made = backend_of(W).kernels(dtype, precision).precise
        if self.products is None or not made.issuperset(self.products):
            raise PrecisionUnavailable(
                f"precision {precision}: {self.name} makes its matrix products in float32 only"
            )


def set_precision(leaves: Iterable[Layer], precision: str) -> None:
    """See `Layer.set_precision`; of all layers, or of none if one refuses."""
    if precision not in PRECISIONS:
        raise ValueError(f"precision {precision!r}, expected one of {', '.join(PRECISIONS)}")
    makers = [leaf for leaf in leaves if leaf.products != ()]
    for leaf in makers:
        leaf._check_precision(precision)
    for leaf in makers:
        leaf.precision = precision
        leaf._kernels = leaf._cache = None


def precision_of(leaves: Iterable[Layer]) -> str:
    """Precision of the first of these layers that has products; "float32" if none has."""
    return next((leaf.precision for leaf in leaves if leaf.products != ()), "float32")
