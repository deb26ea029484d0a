"""Optimisers and schedules by name, for command lines and saved runs."""

import inspect
from typing import Any, TypeVar

from rnn_xp.optim.adam import Adam, AdamW
from rnn_xp.optim.adaptive import AdaGrad, RMSprop
from rnn_xp.optim.base import Optimizer
from rnn_xp.optim.schedules import (
    Constant,
    CosineWithWarmup,
    DecayAfter,
    DivideOnWorse,
    Schedule,
)
from rnn_xp.optim.sgd import SGD, Momentum, Nesterov

Kind = TypeVar("Kind")

OPTIMIZERS: dict[str, type[Optimizer]] = {
    kind.name: kind for kind in (SGD, Momentum, Nesterov, AdaGrad, RMSprop, Adam, AdamW)
}
SCHEDULES: dict[str, type[Schedule]] = {
    kind.name: kind for kind in (Constant, DivideOnWorse, DecayAfter, CosineWithWarmup)
}


def get_optimizer(name: str, **settings: Any) -> Optimizer:
    """Make an optimiser, as in ``get_optimizer("adam", lr=0.002)``.

    Raises
    ------
    ValueError
        If the name or a setting is unknown; the message lists the known ones.
    """
    return _make("optimizer", OPTIMIZERS, name, (), settings)


def get_schedule(name: str, base_lr: float, **settings: Any) -> Schedule:
    """Make a schedule, as in ``get_schedule("decay-after", 1.0, epochs=4, factor=0.5)``.

    Raises
    ------
    ValueError
        If the name or a setting is unknown; the message lists the known ones.
    """
    return _make("schedule", SCHEDULES, name, (base_lr,), settings)


def _make(
    what: str,
    known: dict[str, type[Kind]],
    name: str,
    args: tuple[float, ...],
    settings: dict[str, Any],
) -> Kind:
    kind = known.get(name.lower())
    if kind is None:
        raise ValueError(f"unknown {what} {name!r}, expected one of {', '.join(known)}")
    allowed = list(inspect.signature(kind).parameters)[len(args) :]
    wrong = [setting for setting in settings if setting not in allowed]
    if wrong:
        raise ValueError(
            f"{what} {name!r} has no setting {wrong[0]!r}, expected one of "
            f"{', '.join(allowed) or '(none)'}"
        )
    return kind(*args, **settings)
