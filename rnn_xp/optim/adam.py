"""Adam and AdamW."""

from typing import Any, ClassVar

from rnn_xp._typing import Array
from rnn_xp.optim.base import Optimizer, State
from rnn_xp.optim.checks import at_least, fraction, positive


class Adam(Optimizer):
    """Adam (Kingma and Ba, arXiv 1412.6980).

    Parameters
    ----------
    lr : float
    beta1, beta2 : float
        In [0, 1): decay of the running means of the gradient and of its square.
    eps : float
    eps_hat : bool
        Two forms of the paper differ in where `eps` stands. True, the default:
        ``lr_t * m / (sqrt(v) + eps)``, as in DLFS2 and Keras (whose eps is 1e-7 too).
        False: ``lr * m_hat / (sqrt(v_hat) + eps)``, as in PyTorch (whose eps is 1e-8).
    weight_decay : float
        Factor of an L2 term in the gradient; for decoupled decay see `AdamW`.
    """

    name: ClassVar[str] = "adam"
    settings: ClassVar[tuple[str, ...]] = (
        "lr",
        "beta1",
        "beta2",
        "eps",
        "eps_hat",
        "weight_decay",
    )
    arrays: ClassVar[tuple[str, ...]] = ("m", "v")
    counters: ClassVar[tuple[str, ...]] = ("t",)
    decoupled: ClassVar[bool] = False

    def __init__(
        self,
        lr: float = 0.001,
        beta1: float = 0.9,
        beta2: float = 0.999,
        *,
        eps: float = 1e-7,
        eps_hat: bool = True,
        weight_decay: float = 0.0,
    ):
        super().__init__(lr)
        self.beta1 = fraction("beta1", beta1)
        self.beta2 = fraction("beta2", beta2)
        self.eps = positive("eps", eps)
        self.eps_hat = eps_hat
        self.weight_decay = at_least("weight_decay", weight_decay, 0.0)

    def _apply(self, kernels: Any, p: Array, g: Array, state: State, scale: Any, ok: Any) -> None:
        kernels.adam_update(
            p,
            g,
            state["m"],
            state["v"],
            state["t"],
            lr=self.lr,
            beta1=self.beta1,
            beta2=self.beta2,
            eps=self.eps,
            eps_hat=self.eps_hat,
            weight_decay=self.weight_decay,
            decoupled=self.decoupled,
            scale=scale,
            ok=ok,
        )


class AdamW(Adam):
    """Adam with decoupled weight decay (Loshchilov and Hutter, arXiv 1711.05101).

    The parameters are multiplied by ``1 - lr * weight_decay`` before each step of `Adam`;
    the running means do not see the decay. With its defaults it is ``torch.optim.AdamW``.

    Parameters
    ----------
    lr, beta1, beta2, eps, eps_hat
        As for `Adam`, with PyTorch's defaults of the last two.
    weight_decay : float
    """

    name: ClassVar[str] = "adamw"
    decoupled: ClassVar[bool] = True

    def __init__(
        self,
        lr: float = 0.001,
        beta1: float = 0.9,
        beta2: float = 0.999,
        *,
        eps: float = 1e-8,
        eps_hat: bool = False,
        weight_decay: float = 0.01,
    ):
        super().__init__(lr, beta1, beta2, eps=eps, eps_hat=eps_hat, weight_decay=weight_decay)
