"""`TimeDropout`: dropout over sequences, per step or with one mask for all steps."""

from typing import Any

from rnn_xp._typing import Array
from rnn_xp.backend import Backend, backend_of, get_backend
from rnn_xp.cells.masks import check_ratio, check_stream
from rnn_xp.errors import ShapeError
from rnn_xp.kernels import Kernels
from rnn_xp.layers.base import Layer
from rnn_xp.namespace import (
    float_dtype_name,
    namespace_of,
    require_float,
    require_like,
    require_shape,
)
from rnn_xp.rng import DropoutKey


def check_dropout(where: str, what: str, ratio: float, seed: int, stream: int) -> None:
    """Raise unless these can make a `rnn_xp.rng.DropoutKey` and a mask."""
    check_ratio(ratio, where, what)
    check_stream(seed, stream, where)


class TimeDropout(Layer):
    """Set elements to zero at random while training, and scale the others.

    Parameters
    ----------
    dropout_ratio : float
        Probability of a zero, 0 <= ratio < 1 (quantised to 1/65536); the others are
        multiplied by ``1 / (1 - ratio)``.
    variational : bool
        Whether all steps of a row share one mask (Gal & Ghahramani, arXiv:1512.05287)
        instead of each step having its own.
    seed : int
        Masks are a function of (seed, stream, number of the training call): the same on
        every backend, and after a resume.
    stream : int
        Tells the dropout layers of a model apart.
    time_major : bool
        Whether sequences are (T, N, D) instead of (N, T, D). The masks do not depend on it.

    Attributes
    ----------
    counter : int
        Number of training calls so far; part of what a resume restores.
    """

    products = ()

    def __init__(
        self,
        dropout_ratio: float = 0.5,
        *,
        variational: bool = False,
        seed: int = 0,
        stream: int = 0,
        time_major: bool = False,
    ):
        check_dropout("TimeDropout", "dropout_ratio", dropout_ratio, seed, stream)
        super().__init__([])
        self.dropout_ratio = dropout_ratio
        self.variational = variational
        self.seed = seed
        self.stream = stream
        self.time_major = time_major
        self.counter = 0

    def forward(self, xs: Array, train: bool = True) -> Array:
        """Drop elements if `train`; otherwise return `xs` itself.

        Parameters
        ----------
        xs : array, shape (N, T, D), or (T, N, D) if `time_major`
        """
        require_float(xs, self.name, "xs")
        if len(xs.shape) != 3:
            raise ShapeError(f"TimeDropout: xs has shape {tuple(xs.shape)}, expected (N, T, D)")
        self._cache = None
        if not train:
            return xs
        if self.dropout_ratio == 0.0:
            self._cache = (None, tuple(xs.shape))
            return xs
        xp = namespace_of(xs)
        T, N, D = xs.shape if self.time_major else (xs.shape[1], xs.shape[0], xs.shape[2])
        key = DropoutKey(self.seed, self.stream, self.counter)
        self.counter += 1
        shape = (1, N, D) if self.variational else (T, N, D)
        mask = _kernels_for(xs).dropout_mask(shape, self.dropout_ratio, key, xs)
        if not self.time_major:
            mask = xp.permute_dims(mask, (1, 0, 2))
        self._cache = (mask, tuple(xs.shape))
        return xs * mask

    def backward(self, dxs: Array) -> Array:
        """Gradient of the last `forward`: `dxs` times the same mask."""
        self._check_upstream(dxs)
        mask, _ = self._take_cache()
        return dxs if mask is None else dxs * mask

    def _check_upstream(self, dout: Any, dstate: Any = None) -> None:
        mask, shape = self._held_cache()
        require_float(dout, self.name, "dxs")
        require_shape(dout, shape, self.name, "dxs", "(N, T, D)")
        if mask is not None:
            require_like(dout, mask, self.name, "dxs")

    def to(self, backend: str | Backend) -> "TimeDropout":
        """A copy of this layer, with its counter, for another backend."""
        get_backend(backend)
        moved = super().to(backend)
        moved.counter = self.counter
        return moved


def _kernels_for(xs: Array) -> Kernels:
    dtype = float_dtype_name(xs.dtype, namespace_of(xs), "TimeDropout", "xs")
    return backend_of(xs).kernels(dtype)
