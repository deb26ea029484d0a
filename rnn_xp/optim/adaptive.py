"""A learning rate for each element: AdaGrad and RMSprop."""

from typing import Any, ClassVar

from rnn_xp._typing import Array
from rnn_xp.optim.base import Optimizer, State
from rnn_xp.optim.checks import fraction, positive


class AdaGrad(Optimizer):
    """``h += g ** 2``, ``p -= lr * g / (sqrt(h) + eps)``.

    Parameters
    ----------
    lr : float
    eps : float
        1e-7 in DLFS2 and Keras, 1e-10 in PyTorch.
    """

    name: ClassVar[str] = "adagrad"
    settings: ClassVar[tuple[str, ...]] = ("lr", "eps")
    arrays: ClassVar[tuple[str, ...]] = ("h",)

    def __init__(self, lr: float = 0.01, *, eps: float = 1e-7):
        super().__init__(lr)
        self.eps = positive("eps", eps)

    def _apply(self, kernels: Any, p: Array, g: Array, state: State, scale: Any, ok: Any) -> None:
        kernels.adagrad_update(p, g, state["h"], lr=self.lr, eps=self.eps, scale=scale, ok=ok)


class RMSprop(Optimizer):
    """``h = decay_rate * h + (1 - decay_rate) * g ** 2``, ``p -= lr * g / (sqrt(h) + eps)``.

    Parameters
    ----------
    lr : float
    decay_rate : float
        In [0, 1).
    eps : float
        1e-7 in DLFS2, 1e-8 in PyTorch and char-rnn.
    """

    name: ClassVar[str] = "rmsprop"
    settings: ClassVar[tuple[str, ...]] = ("lr", "decay_rate", "eps")
    arrays: ClassVar[tuple[str, ...]] = ("h",)

    def __init__(self, lr: float = 0.01, decay_rate: float = 0.99, *, eps: float = 1e-7):
        super().__init__(lr)
        self.decay_rate = fraction("decay_rate", decay_rate)
        self.eps = positive("eps", eps)

    def _apply(self, kernels: Any, p: Array, g: Array, state: State, scale: Any, ok: Any) -> None:
        kernels.rmsprop_update(
            p, g, state["h"], lr=self.lr, decay=self.decay_rate, eps=self.eps, scale=scale, ok=ok
        )
