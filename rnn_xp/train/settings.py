"""Every option of a training run, with its default, as one value."""

from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

from rnn_xp.data.tokenizers import LEVELS
from rnn_xp.kernels import PRECISIONS
from rnn_xp.models.config import CELLS, INITS
from rnn_xp.optim import OPTIMIZERS, SCHEDULES
from rnn_xp.train.checks import (
    Check,
    at_least,
    boolean,
    choice,
    dropout_ratio,
    fraction,
    integer,
    option_name,
    optional,
    positive,
    text,
)
from rnn_xp.train.combinations import check_together

BATCHINGS = ("streams", "dlfs2", "char-rnn")
VALID_PROTOCOLS = ("exact", "dlfs2")
NO_VALIDATION = "none"
DEFAULT_STEPS = 1000
DEFAULT_LR = {
    "sgd": 1.0,
    "momentum": 0.1,
    "nesterov": 0.1,
    "adagrad": 0.05,
    "rmsprop": 0.002,
    "adam": 0.008,
    "adamw": 0.008,
}


def _option(default: Any, check: Check) -> Any:
    return field(default=default, metadata={"check": check})


@dataclass(frozen=True, slots=True)
class TrainSettings:
    """Options of `rnn_xp.train.train`, checked when they are made.

    The command line spells ``save_every`` as ``--save-every``, and so do the messages. The
    defaults are those of a first run: a character LSTM on the King James Bible, `DEFAULT_STEPS`
    steps.

    Attributes
    ----------
    data : str or None
        Name of a corpus, folder of Penn Treebank files, or path of a text; None is ``kjv``.
    valid : str or None
        Path of a text to validate on. None: the validation text that comes with the data,
        else the last `valid_fraction` of the training text. ``"none"``: no validation.
    valid_fraction : float
        Part of the tokens that is held back for validation if there is no other text.
    level : {"char", "word", "byte"} or None
        None is what suits the data.
    vocab_size : int or None
        Keep the most frequent words only, so that V is at most this (word level).
    min_count : int
        Keep the words that come at least this often (word level).
    unknown : bool
        One more symbol of the vocabulary stands for characters that the training text has
        not, so that texts with such characters can be evaluated (char level).
    max_tokens : int or None
        Train on the first tokens of the text only.
    cell : {"rnn", "lstm", "gru"}
    embed, hidden, layers : int
        D, H and L.
    dropout : float
        Ratio after the embedding and after each recurrent layer.
    variational : bool
        One dropout mask for all steps of a sequence.
    tied : bool
        Embedding and output share one matrix (needs ``embed = hidden``).
    one_hot : bool
        No embedding: the input is the one-hot vector of the token, and `embed` is V.
    reset_after : bool
        The GRU variant.
    layer_norm, peepholes, projection, cell_clip : bool, bool, int or None, float or None
    zoneout, recurrent_dropout, weight_drop : float
    residual, trainable_state : bool
        Options of the recurrent layers; see `rnn_xp.models.LMConfig`.
    init : {"glorot", "book", "uniform"}
        Initial weights; see `rnn_xp.initializers`.
    init_scale : float or None
        Limit of "uniform".
    forget_bias : float
        Initial bias of the LSTM's forget gate.
    batch, bptt : int
        N streams and T tokens a step.
    batching : {"streams", "dlfs2", "char-rnn"}
        How the text is cut: `ContiguousStreams`, `BookStreams`, `CharRnnStreams`.
    reset_state_each_epoch : bool or None
        None is what belongs to the batching. With "dlfs2", True also starts each epoch at
        the first token (``rewind`` of `BookStreams`).
    accumulate : int
        The N rows of a batch are run in this many parts, for one update, in less memory:
        the same gradient, but for rounding, and with dropout one of other masks.
    optimizer : str
        One of ``rnn_xp.optim.OPTIMIZERS``.
    lr : float or None
        Learning rate; None is what suits the optimizer.
    momentum, beta1, beta2, decay_rate : float
        Of Momentum and Nesterov, of Adam and AdamW, of RMSprop.
    eps : float or None
        None is the optimizer's own.
    weight_decay : float or None
        Of SGD, Adam and AdamW; None is the optimizer's own, 0.01 for AdamW, else 0.
    clip : float or None
        Largest global norm of the gradient; None does not clip.
    clip_values : float or None
        Clamp each element of the gradient to plus or minus this.
    sum_over_time : bool
        The gradient is that of the sum over the T steps instead of their mean, as in
        char-rnn.
    schedule : str or None
        One of ``rnn_xp.optim.SCHEDULES``. None is "cosine" where the number of steps is
        known, and "constant" where only `minutes` limits the run.
    warmup : int
        Steps in which the cosine schedule rises.
    final_lr : float
        Where the cosine schedule ends.
    decay_after, decay_factor : int, float
        Epochs at the full rate of "decay-after", and its factor for each epoch from then on.
    divide_factor : float
        Divisor of "divide-on-worse".
    epochs, steps : int or None
    minutes : float or None
        The run ends at the first limit that it reaches. Without any there are
        `DEFAULT_STEPS` steps.
    validate_every : int or None
        Steps; 0 is the end of every epoch; None is about four times a run, at least 20
        and at most 1000 steps apart, and the end of every epoch for "divide-on-worse".
    valid_batch : int
        Rows in which the validation text is read.
    valid_protocol : {"exact", "dlfs2"}
        See `rnn_xp.train.evaluate`.
    patience : int or None
        End after this many validations in a row that were no better than the best.
    log_every : int
        Steps between two rows of ``metrics.jsonl``.
    save_every : float
        At most this many seconds between two checkpoints.
    seed : int
        Of the initial weights and of the dropout masks.
    threads : int or None
        Recorded only: the command line sets them before NumPy is loaded.
    backend : str or None
        None is what ``RNN_BACKEND`` names.
    dtype : {"float32", "float64"}
    precision : {"float32", "tf32", "float16", "bfloat16"}
        What the operands of the matrix products are rounded to, see
        `rnn_xp.models.Rnnlm.set_precision`. Another than float32 needs CuPy, `dtype` float32 and
        the fast kernels; float16 also scales the loss, see `rnn_xp.optim.LossScale`.
    preset : str or None
        Recorded only: `rnn_xp.train.make_settings` applies it.

    Raises
    ------
    ValueError
        One line that names the option as the command line spells it.
    """

    data: str | None = _option(None, optional(text))
    valid: str | None = _option(None, optional(text))
    valid_fraction: float = _option(0.1, fraction(above_zero=True))
    level: str | None = _option(None, optional(choice(LEVELS)))
    vocab_size: int | None = _option(None, optional(integer(2)))
    min_count: int = _option(1, integer(1))
    unknown: bool = _option(False, boolean)
    max_tokens: int | None = _option(None, optional(integer(2)))
    cell: str = _option("lstm", choice(CELLS))
    embed: int = _option(64, integer(1))
    hidden: int = _option(512, integer(1))
    layers: int = _option(1, integer(1))
    dropout: float = _option(0.0, dropout_ratio)
    variational: bool = _option(False, boolean)
    tied: bool = _option(False, boolean)
    one_hot: bool = _option(False, boolean)
    reset_after: bool = _option(True, boolean)
    layer_norm: bool = _option(False, boolean)
    peepholes: bool = _option(False, boolean)
    projection: int | None = _option(None, optional(integer(1)))
    cell_clip: float | None = _option(None, optional(positive))
    zoneout: float = _option(0.0, dropout_ratio)
    recurrent_dropout: float = _option(0.0, dropout_ratio)
    weight_drop: float = _option(0.0, dropout_ratio)
    residual: bool = _option(False, boolean)
    trainable_state: bool = _option(False, boolean)
    init: str = _option("glorot", choice(INITS))
    init_scale: float | None = _option(None, optional(positive))
    forget_bias: float = _option(1.0, at_least())
    batch: int = _option(32, integer(1))
    bptt: int = _option(64, integer(1))
    batching: str = _option("streams", choice(BATCHINGS))
    reset_state_each_epoch: bool | None = _option(None, optional(boolean))
    accumulate: int = _option(1, integer(1))
    optimizer: str = _option("adamw", choice(OPTIMIZERS))
    lr: float | None = _option(None, optional(positive))
    momentum: float = _option(0.9, fraction())
    beta1: float = _option(0.9, fraction())
    beta2: float = _option(0.99, fraction())
    decay_rate: float = _option(0.99, fraction())
    eps: float | None = _option(None, optional(positive))
    weight_decay: float | None = _option(None, optional(at_least(0.0)))
    clip: float | None = _option(1.0, optional(positive))
    clip_values: float | None = _option(None, optional(positive))
    sum_over_time: bool = _option(False, boolean)
    schedule: str | None = _option(None, optional(choice(SCHEDULES)))
    warmup: int = _option(100, integer(0))
    final_lr: float = _option(0.0, at_least(0.0))
    decay_after: int = _option(4, integer(0))
    decay_factor: float = _option(0.5, positive)
    divide_factor: float = _option(4.0, at_least(1.0))
    epochs: int | None = _option(None, optional(integer(1)))
    steps: int | None = _option(None, optional(integer(1)))
    minutes: float | None = _option(None, optional(positive))
    validate_every: int | None = _option(None, optional(integer(0)))
    valid_batch: int = _option(32, integer(1))
    valid_protocol: str = _option("exact", choice(VALID_PROTOCOLS))
    patience: int | None = _option(None, optional(integer(1)))
    log_every: int = _option(20, integer(1))
    save_every: float = _option(300.0, positive)
    seed: int = _option(0, integer(0, 2**63 - 1))
    threads: int | None = _option(None, optional(integer(1)))
    backend: str | None = _option(None, optional(text))
    dtype: str = _option("float32", choice(("float32", "float64")))
    precision: str = _option("float32", choice(PRECISIONS))
    preset: str | None = _option(None, optional(text))

    def __post_init__(self) -> None:
        for entry in fields(self):
            entry.metadata["check"](option_name(entry.name), getattr(self, entry.name))
        check_together(self)

    @property
    def learning_rate(self) -> float:
        """`lr`, or what suits the optimizer."""
        return DEFAULT_LR[self.optimizer] if self.lr is None else self.lr

    def replace(self, **changes: Any) -> "TrainSettings":
        """Return a copy with other values, checked."""
        known(changes)
        return replace(self, **changes)

    def to_json(self) -> dict[str, Any]:
        """Return a dictionary of JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> "TrainSettings":
        """Read what `to_json` returned; what is missing has its default.

        Raises
        ------
        ValueError
            If an option is unknown or out of range.
        """
        known(document)
        return cls(**document)


def known(names: dict[str, Any]) -> None:
    """Raise `ValueError` if a name is no setting."""
    allowed = {entry.name for entry in fields(TrainSettings)}
    unknown = sorted(set(names) - allowed)
    if unknown:
        raise ValueError(f"unknown training option {', '.join(map(option_name, unknown))}")
