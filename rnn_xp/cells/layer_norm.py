"""Layer normalisation of a row, and the simple cell with it."""

from typing import Any

from rnn_xp._typing import Array, Namespace
from rnn_xp.cells.activations import ActivationLike, get_activation
from rnn_xp.cells.base import WeightsCell, check_weights
from rnn_xp.cells.numbers import positive_number
from rnn_xp.namespace import namespace_of, require_like, require_shape

EPS = 1e-5


def normalize(p: Array, eps: float, xp: Namespace) -> tuple[Array, Array]:
    """Rows of `p` (N, W) with mean 0 and variance 1, and the factor (N, 1) that did it.

    ``y = (p - mean(p)) * factor`` with ``factor = 1 / sqrt(mean((p - mean(p))**2) + eps)``, each
    mean over the W numbers of a row: equation 3 of Ba et al., with an eps as in PyTorch.
    """
    centred = p - xp.mean(p, axis=1, keepdims=True)
    factor = 1.0 / xp.sqrt(xp.mean(centred * centred, axis=1, keepdims=True) + eps)
    return centred * factor, factor


def normalize_backward(dy: Array, norm: tuple[Array, Array], xp: Namespace) -> Array:
    """Gradient with respect to `p` (N, W), from `dy` (N, W) and what `normalize` returned.

    ``dp = factor * (dy - mean(dy) - y * mean(dy * y))``: the two means are what the mean of the
    row and its variance take away, as each depends on all of `p`.
    """
    y, factor = norm
    along = xp.mean(dy * y, axis=1, keepdims=True)
    return factor * (dy - xp.mean(dy, axis=1, keepdims=True) - y * along)


def check_extra(where: str, like: Array, **expected: tuple[Array, tuple[int, ...], str]) -> None:
    """Raise unless the parameters of a normalisation fit: ``name=(array, shape, names)``."""
    for name, (array, shape, names) in expected.items():
        require_like(array, like, where, name)
        require_shape(array, shape, where, name, names)


def check_eps(where: str, eps: float) -> None:
    """Raise unless `eps` is a positive number."""
    positive_number(eps, where, "eps")


class LayerNormRNNCell(WeightsCell):
    """Simple recurrent cell (Elman) with layer norm.

    Runs in `TimeCell`; there is no fast kernel.

    Parameters
    ----------
    Wx : array, shape (D, H)
        Input weights, float32 or float64.
    Wh : array, shape (H, H)
        Recurrent weights.
    b : array, shape (H,)
        Bias, after the normalisation (the paper's b).
    gamma : array, shape (H,)
        Gain (the paper's g); ones to start with.
    eps : float
        Added to the variance.
    activation : str, Activation, callable or None
        Default tanh.
    grads : list of array, optional
        Arrays that `backward` adds into, in the order of `params`: Wx, Wh, b, gamma.

    Notes
    -----
    ::

        p = x Wx + h Wh
        a = LN(p) * gamma + b
        h' = tanh(a)

    The norm goes over the H numbers of a row. The state is ``h``; the output is ``h'``. No
    input is modified.

    References
    ----------
    Ba, Kiros & Hinton, "Layer normalization", arXiv:1607.06450, equation 4.
    """

    def __init__(
        self,
        Wx: Array,
        Wh: Array,
        b: Array,
        gamma: Array,
        *,
        eps: float = EPS,
        activation: ActivationLike = "tanh",
        grads: list[Array] | None = None,
    ):
        where = type(self).__name__
        check_weights(where, Wx, Wh, b, 1, lambda Wh: ((Wh.shape[0],),))
        check_extra(where, Wx, gamma=(gamma, (Wh.shape[0],), "(H,)"))
        check_eps(where, eps)
        super().__init__([Wx, Wh, b, gamma], grads)
        self.eps = eps
        self.activation = get_activation(activation)

    def forward(self, x: Array, h: Array) -> tuple[Array, Array, Any]:
        """One step; shapes and results as in `rnn_xp.cells.RNNCell.forward`."""
        Wx, Wh, b, gamma = self.params
        xp = namespace_of(x)
        p = x @ Wx + h @ Wh  # (N, H)
        norm = normalize(p, self.eps, xp)
        a = norm[0] * gamma + b
        h_next, kept = self.activation.apply(a, xp)
        return h_next, h_next, (x, h, norm, kept)

    def backward(self, doutput: Array, dstate: Array | None, cache: Any) -> tuple[Array, Array]:
        """Gradient of one step, as in `rnn_xp.cells.RNNCell.backward`; adds into `grads`."""
        Wx, Wh, _, gamma = self.params
        x, h, norm, kept = cache
        xp = namespace_of(x)
        dh_next = doutput if dstate is None else doutput + dstate
        da = self.activation.backward(dh_next, kept, xp)
        dp = normalize_backward(da * gamma, norm, xp)
        dgamma = xp.sum(da * norm[0], axis=0)
        self._add_to_grads(x.T @ dp, h.T @ dp, xp.sum(da, axis=0), dgamma)
        return dp @ Wx.T, dp @ Wh.T
