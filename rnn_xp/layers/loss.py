"""Softmax with cross-entropy over time, alone and fused with the affine layer before it."""

from typing import Any

from rnn_xp._typing import Array
from rnn_xp.backend import backend_of
from rnn_xp.errors import ShapeError
from rnn_xp.host import Targets, device_integers, host_integers, is_host, targets
from rnn_xp.layers.affine import check_affine
from rnn_xp.layers.base import Layer
from rnn_xp.namespace import (
    float_dtype_name,
    namespace_of,
    require_float,
    require_home,
    require_like,
    require_shape,
)


class LossLayer(Layer):
    """What the two losses share.

    Attributes
    ----------
    losses : array, shape (N, T), or (T, N) if `time_major`
        Loss of each token of the last call, nats; zero where ignored.
    count : int or 0-d array
        How many tokens of the last call were counted.
    """

    def __init__(self, params: list[Array], ignore_label: int, time_major: bool):
        super().__init__(params)
        self.ignore_label = ignore_label
        self.time_major = time_major
        self.losses: Array = None
        self.count: Any = 0

    def _targets(self, ts: Any, xs: Array, V: int) -> Targets:
        """Check `ts` (N, T) against `xs`, and bring it into the order of its rows."""
        order = -1 if self.time_major else 1
        shape = tuple(xs.shape[:2][::order])
        if isinstance(ts, Targets):
            given = ts.shape[::order]
        else:
            if is_host(ts):
                ts = host_integers(ts, self.name, "ts")
            else:
                device_integers(ts, xs, self.name, "ts")
            given = tuple(ts.shape)
        if given != shape:
            raise ShapeError(f"{self.name}: ts has shape {given}, expected (N, T) = {shape}")
        return ts if isinstance(ts, Targets) else self.checked(ts, V, xs)

    def checked(self, ts: Any, V: int, like: Array) -> Targets:
        """Check targets, bring them into the order of the rows, and copy them to `like`."""
        ordered = ts.T if self.time_major else ts
        return targets(ordered, V, like, self.ignore_label, self.name)

    def _mean(self, losses: Array, chosen: Targets, xs: Array) -> Array:
        """Mean over the counted tokens; 0 if there are none."""
        xp = namespace_of(losses)
        self.losses = xp.reshape(losses, tuple(xs.shape[:2]))
        self.count = chosen.count
        return xp.sum(losses) * _reciprocal(chosen.count, xp)

    def _scaled(self, dout: Any, *arrays: Array) -> None:
        """Multiply gradients, which were computed for ``dout = 1``, in place."""
        if isinstance(dout, float | int) or (is_host(dout) and getattr(dout, "shape", None) == ()):
            dout = float(dout)  # also from NumPy's scalars, which other libraries refuse
            if dout == 1.0:
                return
        else:
            require_home(dout, arrays[0], self.name, "dout")
            require_shape(dout, (), self.name, "dout", "a number or a 0-d array, shape")
        for array in arrays:
            array[...] = array * dout


def _reciprocal(count: Any, xp: Any) -> Any:
    """``1 / count``, or 0 for an empty batch."""
    if isinstance(count, int):
        return 1.0 / count if count else 0.0
    ones = xp.ones_like(count)
    return xp.where(count > 0, ones / xp.maximum(count, ones), xp.zeros_like(count))


class TimeSoftmaxWithLoss(LossLayer):
    """Softmax and cross-entropy, mean over the counted tokens, in nats per token.

    Parameters
    ----------
    ignore_label : int
        Targets of this value do not count. A batch in which none counts has loss 0 and
        gradient 0.
    time_major : bool
        Whether the scores are (T, N, V) instead of (N, T, V); targets are (N, T) always.
    """

    products = ()

    def __init__(self, ignore_label: int = -1, *, time_major: bool = False):
        super().__init__([], ignore_label, time_major)

    def forward(self, xs: Array, ts: Any, train: bool = True) -> Array:
        """Mean loss.

        Parameters
        ----------
        xs : array, shape (N, T, V), or (T, N, V) if `time_major`
            Scores (logits).
        ts : array of int, shape (N, T)
            Target ids: on the host, where they are checked, or on the device (trusted); or what
            `checked` returned.
        train : bool
            False computes no gradient.

        Returns
        -------
        loss : array, 0-d
            Nats per counted token; on the device, ``float(loss)`` waits for it.
        """
        require_float(xs, self.name, "xs")
        if len(xs.shape) != 3 or 0 in xs.shape:
            raise ShapeError(f"{self.name}: xs has shape {tuple(xs.shape)}, expected (N, T, V)")
        xp = namespace_of(xs)
        V = xs.shape[2]
        dtype = float_dtype_name(xs.dtype, xp, self.name, "xs")
        chosen = self._targets(ts, xs, V)
        self._cache = None
        losses, dlogits = (
            backend_of(xs)
            .kernels(dtype)
            .softmax_cross_entropy(
                xp.reshape(xs, (-1, V)),
                chosen,
                scale=_reciprocal(chosen.count, xp) if train else None,
            )
        )
        if train:
            self._cache = xp.reshape(dlogits, tuple(xs.shape))
        return self._mean(losses, chosen, xs)

    def backward(self, dout: Any = 1) -> Array:
        """Gradient with respect to the scores, times `dout`: shape of `xs`."""
        self._scaled(dout, self._held_cache())
        return self._take_cache()


class TimeAffineSoftmaxWithLoss(LossLayer):
    """Affine layer, softmax and cross-entropy in one, in chunks of rows.

    The (N, T, V) scores are never in memory at once, and neither is their gradient.

    Parameters
    ----------
    W : array, shape (H, V), or (V, H) if `transposed`
    b : array, shape (V,), or None
    transposed : bool
        Whether `W` is stored transposed, as a matrix shared with the embedding is.
    ignore_label : int
        Targets of this value do not count.
    time_major : bool
        Whether the input is (T, N, H) instead of (N, T, H); targets are (N, T) always.
    """

    products = ("affine_softmax_cross_entropy",)

    def __init__(
        self,
        W: Array,
        b: Array | None = None,
        *,
        transposed: bool = False,
        ignore_label: int = -1,
        time_major: bool = False,
    ):
        check_affine("TimeAffineSoftmaxWithLoss", W, b, transposed)
        super().__init__([W] if b is None else [W, b], ignore_label, time_major)
        self.transposed = transposed

    @property
    def _bias(self) -> Array | None:
        return self.params[1] if len(self.params) == 2 else None

    def _rows(self, xs: Array) -> Array:
        W = self.params[0]
        H = W.shape[1 if self.transposed else 0]
        require_like(xs, W, self.name, "xs")
        if len(xs.shape) != 3 or xs.shape[2] != H or 0 in xs.shape:
            raise ShapeError(
                f"{self.name}: xs has shape {tuple(xs.shape)}, expected (N, T, H) with H = {H}"
            )
        return namespace_of(xs).reshape(xs, (-1, H))

    def forward(self, xs: Array, ts: Any, train: bool = True) -> Array:
        """Mean loss; with `train` the gradients are computed on the way.

        Parameters
        ----------
        xs : array, shape (N, T, H), or (T, N, H) if `time_major`
        ts : array of int, shape (N, T)
            Target ids: on the host, where they are checked, or on the device (trusted); or what
            `checked` returned.
        train : bool
            False computes no gradient and leaves `grads` alone.

        Returns
        -------
        loss : array, 0-d
            Nats per counted token.
        """
        W = self.params[0]
        xp = namespace_of(W)
        rows = self._rows(xs)
        V = W.shape[0 if self.transposed else 1]
        chosen = self._targets(ts, xs, V)
        self._cache = None
        losses, dx = self.kernels.affine_softmax_cross_entropy(
            rows,
            W,
            self._bias,
            chosen,
            transposed=self.transposed,
            grads=self.grads if train else None,
            scale=_reciprocal(chosen.count, xp) if train else None,
            workspace=self._workspace,
        )
        if train:
            self._cache = xp.reshape(dx, tuple(xs.shape))
        return self._mean(losses, chosen, xs)

    def backward(self, dout: Any = 1) -> Array:
        """Gradient with respect to `xs`, times `dout`; scales `grads` likewise."""
        self._scaled(dout, self._held_cache(), *self.grads)
        return self._take_cache()

    def predict(self, xs: Array) -> Array:
        """Scores (logits) for `xs`: shape (N, T, V), or (T, N, V)."""
        rows = self._rows(xs)
        W = self.params[0]
        scores = rows @ (W.T if self.transposed else W)
        if self._bias is not None:
            scores = scores + self._bias
        return namespace_of(xs).reshape(scores, (*xs.shape[:2], scores.shape[1]))
