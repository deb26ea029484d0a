"""Optimisers, clipping, learning rate schedules, gradient accumulation, loss scaling.

::

    norm = global_norm(grads)
    scale, ok = clip_coefficient(norm, max_norm=0.25)
    optimizer.lr = schedule.lr_at(step, epoch)
    optimizer.update(params, grads, scale=scale, ok=ok)

Nothing in these lines waits for the device: a step whose norm is not finite is skipped
there.
"""

from rnn_xp.optim.accumulate import GradientAccumulator
from rnn_xp.optim.adam import Adam, AdamW
from rnn_xp.optim.adaptive import AdaGrad, RMSprop
from rnn_xp.optim.base import Optimizer
from rnn_xp.optim.clip import clip_coefficient, clip_grads, clip_values, global_norm
from rnn_xp.optim.loss_scale import LossScale
from rnn_xp.optim.registry import OPTIMIZERS, SCHEDULES, get_optimizer, get_schedule
from rnn_xp.optim.schedules import (
    Constant,
    CosineWithWarmup,
    DecayAfter,
    DivideOnWorse,
    Schedule,
)
from rnn_xp.optim.sgd import SGD, Momentum, Nesterov

__all__ = [
    "OPTIMIZERS",
    "SCHEDULES",
    "SGD",
    "AdaGrad",
    "Adam",
    "AdamW",
    "Constant",
    "CosineWithWarmup",
    "DecayAfter",
    "DivideOnWorse",
    "GradientAccumulator",
    "LossScale",
    "Momentum",
    "Nesterov",
    "Optimizer",
    "RMSprop",
    "Schedule",
    "clip_coefficient",
    "clip_grads",
    "clip_values",
    "get_optimizer",
    "get_schedule",
    "global_norm",
]
