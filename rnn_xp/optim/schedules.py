"""Learning rates over time. Plain objects: the loop asks them and sets ``optimizer.lr``.

::

    optimizer.lr = schedule.lr_at(step, epoch)     # before each step
    schedule.on_validation(loss)                   # after each validation
"""

import math
from typing import Any, ClassVar

from rnn_xp.optim.checks import at_least, positive


class Schedule:
    """Base of the schedules.

    Parameters
    ----------
    base_lr : float
        The rate that the schedule starts from, or rises to.
    """

    name: ClassVar[str]

    def __init__(self, base_lr: float):
        self.base_lr = at_least("base_lr", base_lr, 0.0)

    def lr_at(self, step: int, epoch: float) -> float:
        """Learning rate of the next step.

        Parameters
        ----------
        step : int
            Steps done so far: 0 for the first one.
        epoch : float
            Epochs done so far, ``step / steps_per_epoch``: below 1 in the first one.
        """
        raise NotImplementedError

    def on_validation(self, loss: float) -> None:
        """Take note of a validation loss; most schedules do not care."""

    def state_dict(self) -> dict[str, Any]:
        """What happened so far, as values that JSON has; empty for a function of time alone."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from what `state_dict` returned."""
        expected = self.state_dict()
        if set(state) != set(expected):
            raise ValueError(
                f"{type(self).__name__}.load_state_dict: got the entries {sorted(state)}, "
                f"expected {sorted(expected)}"
            )
        for key, value in state.items():
            setattr(self, key, value)


class Constant(Schedule):
    """Always `base_lr`."""

    name: ClassVar[str] = "constant"

    def lr_at(self, step: int, epoch: float) -> float:
        """Learning rate of the next step."""
        return self.base_lr


class DivideOnWorse(Schedule):
    """Divide by `factor` at each validation that is not better than the best before it.

    As in DLFS2 (ch06/train_better_rnnlm.py) and the PTB runs of pytorch/examples: an equal
    loss divides too, and so does NaN.

    Parameters
    ----------
    base_lr : float
    factor : float
        At least 1.
    """

    name: ClassVar[str] = "divide-on-worse"

    def __init__(self, base_lr: float, factor: float = 4.0):
        super().__init__(base_lr)
        self.factor = at_least("factor", factor, 1.0)
        self.best: float | None = None
        self.divisions = 0

    def lr_at(self, step: int, epoch: float) -> float:
        """Learning rate of the next step."""
        return self.base_lr / self.factor**self.divisions

    def on_validation(self, loss: float) -> None:
        """Divide unless `loss` is below the best so far; the first finite one is the best."""
        if math.isfinite(loss) and (self.best is None or loss < self.best):
            self.best = loss
        else:
            self.divisions += 1

    def state_dict(self) -> dict[str, Any]:
        """``best`` (None before the first validation) and ``divisions``."""
        return {"best": self.best, "divisions": self.divisions}


class DecayAfter(Schedule):
    """`base_lr` for the first `epochs` epochs, then times `factor` at every epoch's start.

    ::

        lr = base_lr * factor ** max(floor(epoch) + 1 - epochs, 0)

    So epoch number `epochs` + 1 (counting from 1) is the first with a lower rate. This is
    both Zaremba's rule (arXiv 1409.2329; TensorFlow's ptb_word_lm.py, ``max_epoch`` is
    `epochs`: 4 and 0.5 for the small model) and char-rnn's (train.lua multiplies at the *end*
    of each epoch from ``learning_rate_decay_after`` on: 10 and 0.97).

    Parameters
    ----------
    base_lr : float
    epochs : int
        Epochs at the full rate.
    factor : float
        Above 0.
    """

    name: ClassVar[str] = "decay-after"

    def __init__(self, base_lr: float, epochs: int = 4, factor: float = 0.5):
        super().__init__(base_lr)
        at_least("epochs", epochs, 0)
        self.epochs = epochs
        self.factor = positive("factor", factor)

    def lr_at(self, step: int, epoch: float) -> float:
        """Learning rate of the next step."""
        decays = max(math.floor(epoch) + 1 - self.epochs, 0)
        return float(self.base_lr * self.factor**decays)


class CosineWithWarmup(Schedule):
    """Rise in a line over `warmup_steps`, then fall along half a cosine to `final`.

    ::

        lr = base_lr * (step + 1) / warmup_steps                            step < warmup_steps
        lr = final + (base_lr - final) * (1 + cos(pi * x)) / 2,
             x = (step - warmup_steps) / (total_steps - warmup_steps)       before total_steps
        lr = final                                                          from then on

    (Loshchilov and Hutter, arXiv 1608.03983, one period.) The first step is not wasted on a
    rate of zero, the last step of the rise and the one after it both have `base_lr`.

    Parameters
    ----------
    base_lr : float
    total_steps : int
        Above `warmup_steps`.
    warmup_steps : int
    final : float
        A learning rate, not a fraction of `base_lr`.
    """

    name: ClassVar[str] = "cosine"

    def __init__(self, base_lr: float, total_steps: int, warmup_steps: int = 0, final: float = 0.0):
        super().__init__(base_lr)
        self.warmup_steps = at_least("warmup_steps", warmup_steps, 0)
        self.final = at_least("final", final, 0.0)
        if not total_steps > warmup_steps:
            raise ValueError(
                f"CosineWithWarmup: total_steps is {total_steps}, expected more than "
                f"warmup_steps = {warmup_steps}"
            )
        self.total_steps = total_steps

    def lr_at(self, step: int, epoch: float) -> float:
        """Learning rate of the next step."""
        if step < self.warmup_steps:
            return self.base_lr * (step + 1) / self.warmup_steps
        if step >= self.total_steps:
            return self.final
        x = (step - self.warmup_steps) / (self.total_steps - self.warmup_steps)
        return self.final + (self.base_lr - self.final) * (1.0 + math.cos(math.pi * x)) / 2.0
