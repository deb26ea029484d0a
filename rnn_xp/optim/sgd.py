"""Gradient descent, and its two kinds of momentum."""

from typing import Any, ClassVar

from rnn_xp._typing import Array
from rnn_xp.optim.base import Optimizer, State
from rnn_xp.optim.checks import at_least, fraction


class SGD(Optimizer):
    """``p -= lr * (g + weight_decay * p)``.

    Parameters
    ----------
    lr : float
    weight_decay : float
        Factor of the L2 term, which clipping leaves alone.
    """

    name: ClassVar[str] = "sgd"
    settings: ClassVar[tuple[str, ...]] = ("lr", "weight_decay")

    def __init__(self, lr: float = 0.01, *, weight_decay: float = 0.0):
        super().__init__(lr)
        self.weight_decay = at_least("weight_decay", weight_decay, 0.0)

    def _apply(self, kernels: Any, p: Array, g: Array, state: State, scale: Any, ok: Any) -> None:
        kernels.sgd_update(p, g, lr=self.lr, scale=scale, ok=ok, weight_decay=self.weight_decay)


class Momentum(Optimizer):
    """``v = momentum * v - lr * g``, ``p += v``.

    The velocity contains the learning rate, as in DLFS2; a change of `lr` acts on new
    gradients only. (PyTorch's velocity does not contain it.)

    Parameters
    ----------
    lr : float
    momentum : float
        In [0, 1).
    """

    name: ClassVar[str] = "momentum"
    settings: ClassVar[tuple[str, ...]] = ("lr", "momentum")
    arrays: ClassVar[tuple[str, ...]] = ("v",)

    def __init__(self, lr: float = 0.01, momentum: float = 0.9):
        super().__init__(lr)
        self.momentum = fraction("momentum", momentum)

    def _apply(self, kernels: Any, p: Array, g: Array, state: State, scale: Any, ok: Any) -> None:
        kernels.momentum_update(
            p, g, state["v"], lr=self.lr, momentum=self.momentum, scale=scale, ok=ok
        )


class Nesterov(Momentum):
    """Nesterov's momentum, ``p += momentum ** 2 * v - (1 + momentum) * lr * g``.

    Here ``v`` is the velocity *before* this step's gradient enters it, as in Bengio,
    Boulanger-Lewandowski and Pascanu (arXiv 1212.0901, section 3.5). The listing in DLFS2
    (common/optimizer.py) updates ``v`` first and then uses the new one in the same
    expression, which counts the gradient ``momentum ** 2`` times too often; this class does
    not.
    """

    name: ClassVar[str] = "nesterov"

    def _apply(self, kernels: Any, p: Array, g: Array, state: State, scale: Any, ok: Any) -> None:
        kernels.nesterov_update(
            p, g, state["v"], lr=self.lr, momentum=self.momentum, scale=scale, ok=ok
        )
