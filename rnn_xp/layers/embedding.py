"""`TimeEmbedding`: token ids to vectors."""

from typing import Any

from rnn_xp._typing import Array
from rnn_xp.errors import ShapeError
from rnn_xp.host import TokenIds, device_integers, host_integers, is_host, token_ids
from rnn_xp.layers.base import Layer
from rnn_xp.namespace import namespace_of, require_float, require_like, require_shape


class TimeEmbedding(Layer):
    """Rows of a matrix, chosen by token id.

    Parameters
    ----------
    W : array, shape (V, D)
        One row for each id.
    time_major : bool
        Whether `forward` returns (T, N, D) for ids of shape (N, T).
    shared : bool
        Whether the output layer uses the same matrix and writes its gradient first; then
        `backward` adds to the gradient instead of overwriting it.

    Notes
    -----
    The gradient is dense, of shape (V, D), and `backward` writes all of it.
    """

    products = ()

    def __init__(self, W: Array, *, time_major: bool = False, shared: bool = False):
        require_float(W, "TimeEmbedding", "W")
        if len(W.shape) != 2:
            raise ShapeError(f"TimeEmbedding: W has shape {tuple(W.shape)}, expected (V, D)")
        super().__init__([W])
        self.time_major = time_major
        self.shared = shared

    def forward(self, ids: Any, train: bool = True) -> Array:
        """Look up `ids`.

        Parameters
        ----------
        ids : array of int, shape (N, T), or what `checked` returned
            On the host, where they are checked, or on the device, where they are trusted.
        train : bool
            False keeps nothing for `backward`.

        Returns
        -------
        xs : array, shape (N, T, D), or (T, N, D) if `time_major`

        Raises
        ------
        DataError
            If an id is not in ``[0, V)``.
        DTypeError, ShapeError, MixedBackendError
        """
        W = self.params[0]
        flat = ids if isinstance(ids, TokenIds) else self.checked(ids, W)
        self._cache = (flat, flat.shape) if train else None
        rows = self.kernels.embedding_forward(W, flat)
        return namespace_of(W).reshape(rows, (*flat.shape, W.shape[1]))

    def checked(self, ids: Any, like: Array) -> TokenIds:
        """Check `ids`, bring them into the order of the rows, and copy them to where `like` is."""
        ids = _two_dimensional(ids, like, self.name)
        ordered = ids.T if self.time_major else ids
        return token_ids(ordered, self.params[0].shape[0], like, self.name)

    def backward(self, dxs: Array) -> None:
        """Gradient of the last `forward`; writes ``grads[0]``.

        Parameters
        ----------
        dxs : array, shape of what `forward` returned
        """
        _, shape = self._held_cache()
        W, dW = self.params[0], self.grads[0]
        D = W.shape[1]
        require_like(dxs, W, self.name, "dxs")
        require_shape(dxs, (*shape, D), self.name, "dxs", "(N, T, D)")
        ids, _ = self._take_cache()
        flat = namespace_of(dxs).reshape(dxs, (-1, D))
        self.kernels.embedding_backward(flat, ids, dW, accumulate=self.shared)


def _two_dimensional(ids: Any, W: Array, where: str) -> Any:
    if is_host(ids):
        ids = host_integers(ids, where, "ids")
    else:
        device_integers(ids, W, where, "ids")
    if len(ids.shape) != 2:
        raise ShapeError(f"{where}: ids has shape {tuple(ids.shape)}, expected (N, T)")
    return ids
