"""How long a run is, when it validates, and with which optimiser: derived from the settings."""

import math
from typing import Any

from rnn_xp.models import LMConfig
from rnn_xp.optim import (
    OPTIMIZERS,
    CosineWithWarmup,
    DecayAfter,
    DivideOnWorse,
    Optimizer,
    Schedule,
    get_optimizer,
    get_schedule,
)
from rnn_xp.train.checks import option_name
from rnn_xp.train.settings import DEFAULT_STEPS, TrainSettings

_FEWEST, _MOST = 20, 1000  # steps between two validations, if nothing was asked for


def resolved(settings: TrainSettings, level: str, steps_per_epoch: int) -> TrainSettings:
    """The same settings with what was left open filled in, as a run folder records it."""
    steps, schedule, every = settings.steps, settings.schedule, settings.validate_every
    if steps is None and settings.epochs is None and settings.minutes is None:
        steps = DEFAULT_STEPS
    limited = steps is not None or settings.epochs is not None
    if schedule is None:
        schedule = "cosine" if limited else "constant"
    filled = settings.replace(
        level=level, steps=steps, schedule=schedule, lr=settings.learning_rate
    )
    if every is None:
        every = _validation_interval(filled, steps_per_epoch)
    return filled.replace(validate_every=every)


def total_steps(settings: TrainSettings, steps_per_epoch: int) -> int | None:
    """Steps of the whole run; None if only time limits it."""
    limits = [] if settings.steps is None else [settings.steps]
    if settings.epochs is not None:
        limits.append(settings.epochs * steps_per_epoch)
    return min(limits) if limits else None


def _validation_interval(settings: TrainSettings, steps_per_epoch: int) -> int:
    if settings.schedule == "divide-on-worse":
        return 0
    if settings.epochs is not None and steps_per_epoch <= _MOST:
        return 0
    total = total_steps(settings, steps_per_epoch)
    if total is None:
        return min(max(_FEWEST, steps_per_epoch), _MOST)
    return min(max(-(-total // 4), _FEWEST), _MOST)


def validation_due(
    settings: TrainSettings, step: int, steps_per_epoch: int, total: int | None
) -> bool:
    """Whether to validate after `step` steps."""
    if step == 0:
        return False
    every = settings.validate_every or steps_per_epoch
    return step % every == 0 or step == total


def make_optimizer(settings: TrainSettings) -> Optimizer:
    """The optimiser with the settings that it has.

    Raises
    ------
    ValueError
        If an option was given that this optimiser does not have.
    """
    kind = OPTIMIZERS[settings.optimizer]
    given: dict[str, Any] = {"lr": settings.learning_rate}
    for name in ("momentum", "beta1", "beta2", "decay_rate", "eps", "weight_decay"):
        value = getattr(settings, name)
        if name in kind.settings:
            if value is not None:
                given[name] = value
        elif name in ("eps", "weight_decay") and value is not None:
            raise ValueError(
                f"{option_name(name)} {value:g}: --optimizer {settings.optimizer} has no such "
                "setting; leave it out"
            )
    return get_optimizer(settings.optimizer, **given)


def make_schedule(settings: TrainSettings, total: int | None) -> Schedule:
    """The learning rate schedule for a run of `total` steps."""
    lr = settings.learning_rate
    if settings.schedule == CosineWithWarmup.name:
        if total is None:
            raise ValueError("--schedule cosine needs --steps or --epochs")
        # A short run must not spend most of itself on the way up.
        warmup = min(settings.warmup, total // 10)
        return CosineWithWarmup(lr, total, warmup, min(settings.final_lr, lr))
    if settings.schedule == DecayAfter.name:
        return DecayAfter(lr, settings.decay_after, settings.decay_factor)
    if settings.schedule == DivideOnWorse.name:
        return DivideOnWorse(lr, settings.divide_factor)
    return get_schedule(settings.schedule or "constant", lr)


def model_config(settings: TrainSettings, vocab_size: int) -> LMConfig:
    """The model that the settings describe."""
    return LMConfig(
        vocab_size,
        embed=vocab_size if settings.one_hot else settings.embed,
        hidden=settings.hidden,
        cell=settings.cell,
        layers=settings.layers,
        dropout=settings.dropout,
        variational=settings.variational,
        tied=settings.tied,
        reset_after=settings.reset_after,
        layer_norm=settings.layer_norm,
        peepholes=settings.peepholes,
        projection=settings.projection,
        cell_clip=settings.cell_clip,
        zoneout=settings.zoneout,
        recurrent_dropout=settings.recurrent_dropout,
        weight_drop=settings.weight_drop,
        residual=settings.residual,
        trainable_state=settings.trainable_state,
        one_hot=settings.one_hot,
        init=settings.init,
        init_scale=settings.init_scale,
        forget_bias=settings.forget_bias,
        seed=settings.seed,
        dtype=settings.dtype,
    )


def describe(settings: TrainSettings, config: LMConfig, parameters: int | None, name: str) -> str:
    """Model and data in a line."""
    size = f"{config.layers} x {config.hidden}"
    extras = ", tied" if config.tied else ", one-hot input" if config.one_hot else ""
    extras += "".join(f", {option.replace('_', ' ')}" for option in config.options)
    count = "" if parameters is None else f", {parameters:,} parameters"
    return (
        f"{config.cell.upper()} {size}{extras} on {name} ({settings.level}s, "
        f"V = {config.vocab_size:,}){count}"
    )


def metric_of(level: str, nats: float) -> tuple[str, float]:
    """Name and value of the validation number that readers of this level expect."""
    from rnn_xp.train.evaluate import perplexity

    if level == "word":
        return "valid_perplexity", perplexity(nats)
    return "valid_bits_per_char", nats / math.log(2.0)
