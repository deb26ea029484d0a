"""Which settings of a training run go together."""

from typing import TYPE_CHECKING

from rnn_xp.models.config import GENERIC_OPTIONS
from rnn_xp.train.checks import option_name

if TYPE_CHECKING:
    from rnn_xp.train.settings import TrainSettings


def check_together(settings: "TrainSettings") -> None:
    """Raise unless settings, each of which is right, can be used together.

    Raises
    ------
    ValueError
        One line that names the options as the command line spells them.
    """
    _check_model(settings)
    if settings.precision != "float32":
        _check_precision(settings)
    if settings.batch % settings.accumulate:
        raise ValueError(
            f"--accumulate {settings.accumulate} does not divide --batch {settings.batch}; "
            "the rows of a batch are run in equal parts"
        )
    limited = settings.steps or settings.epochs
    if settings.schedule == "cosine" and not limited and settings.minutes:
        raise ValueError(
            "--schedule cosine needs to know the number of steps: give --steps or --epochs "
            "with --minutes, or --schedule constant"
        )


def _check_model(settings: "TrainSettings") -> None:
    output = "--hidden" if settings.projection is None else "--projection"
    width = settings.hidden if settings.projection is None else settings.projection
    for option, asked in (("--tied", settings.tied), ("--residual", settings.residual)):
        if asked and not settings.one_hot and settings.embed != width:
            raise ValueError(
                f"{option} needs --embed and {output} of one size, got {settings.embed} and {width}"
            )
    if settings.one_hot and (settings.tied or settings.residual):
        raise ValueError("--one-hot has no embedding: give neither --tied nor --residual")
    lstmp = settings.peepholes or settings.projection is not None or settings.cell_clip is not None
    if lstmp and settings.cell != "lstm":
        raise ValueError("--peepholes, --projection and --cell-clip need --cell lstm")


def _check_precision(settings: "TrainSettings") -> None:
    asked = f"--precision {settings.precision}"
    if settings.dtype != "float32":
        raise ValueError(f"{asked} needs --dtype float32, got {settings.dtype}")
    slow = [name for name in GENERIC_OPTIONS if getattr(settings, name)]
    if slow:
        raise ValueError(
            f"{asked} needs the fast kernels, and {option_name(slow[0])} has none; leave one of "
            "the two out"
        )
