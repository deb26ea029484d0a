"""`TimeAffine`: the same affine map at every step."""

from rnn_xp._typing import Array
from rnn_xp.errors import ShapeError
from rnn_xp.layers.base import Layer
from rnn_xp.namespace import namespace_of, require_float, require_like, require_shape


def check_affine(where: str, W: Array, b: Array | None, transposed: bool) -> None:
    """Raise unless `W` (H, V), or (V, H) if `transposed`, and `b` (V,) fit together.

    Raises
    ------
    ShapeError, DTypeError, MixedBackendError
    """
    require_float(W, where, "W")
    names = "(V, H)" if transposed else "(H, V)"
    if len(W.shape) != 2:
        raise ShapeError(f"{where}: W has shape {tuple(W.shape)}, expected {names}")
    if b is not None:
        require_like(b, W, where, "b")
        require_shape(b, (W.shape[0 if transposed else 1],), where, "b", "(V,)")


class TimeAffine(Layer):
    """``y = x W + b`` at every step.

    Parameters
    ----------
    W : array, shape (H, V), or (V, H) if `transposed`
    b : array, shape (V,), or None
    transposed : bool
        Whether `W` is stored transposed, as a matrix shared with the embedding is.
    """

    products = ()  # its products are those of the arrays, in any precision

    def __init__(self, W: Array, b: Array | None = None, *, transposed: bool = False):
        check_affine("TimeAffine", W, b, transposed)
        super().__init__([W] if b is None else [W, b])
        self.transposed = transposed

    def forward(self, xs: Array, train: bool = True) -> Array:
        """Map every step.

        Parameters
        ----------
        xs : array, shape (N, T, H) (or any (..., H))
        train : bool
            False keeps nothing for `backward`.

        Returns
        -------
        ys : array, shape (N, T, V)
        """
        W = self.params[0]
        matrix = W.T if self.transposed else W
        require_like(xs, W, self.name, "xs")
        if len(xs.shape) < 2 or xs.shape[-1] != matrix.shape[0]:
            raise ShapeError(
                f"{self.name}: xs has shape {tuple(xs.shape)}, expected (N, T, H) with "
                f"H = {matrix.shape[0]}"
            )
        xp = namespace_of(xs)
        flat = xp.reshape(xs, (-1, xs.shape[-1]))
        ys = flat @ matrix
        if len(self.params) == 2:
            ys = ys + self.params[1]
        self._cache = (flat, tuple(xs.shape)) if train else None
        return xp.reshape(ys, (*xs.shape[:-1], matrix.shape[1]))

    def backward(self, dys: Array) -> Array:
        """Gradient of the last `forward`; overwrites `grads`.

        Parameters
        ----------
        dys : array, shape (N, T, V)

        Returns
        -------
        dxs : array, shape (N, T, H)
        """
        _, shape = self._held_cache()
        W = self.params[0]
        matrix = W.T if self.transposed else W
        require_like(dys, W, self.name, "dys")
        require_shape(dys, (*shape[:-1], matrix.shape[1]), self.name, "dys", "(N, T, V)")
        x, _ = self._take_cache()
        xp = namespace_of(dys)
        dy = xp.reshape(dys, (-1, matrix.shape[1]))
        self.grads[0][...] = dy.T @ x if self.transposed else x.T @ dy
        if len(self.params) == 2:
            self.grads[1][...] = xp.sum(dy, axis=0)
        return xp.reshape(dy @ matrix.T, shape)
