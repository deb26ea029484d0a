"""What a language model is made of, as data."""

from dataclasses import asdict, dataclass, fields
from math import isfinite
from numbers import Real
from operator import index
from typing import Any, get_args

from rnn_xp.rng import dropout_threshold

CELLS = ("rnn", "lstm", "gru")
INITS = ("glorot", "book", "uniform")
# Options of the recurrent layers: those that change the step of a cell, for which there are no
# fast sequence kernels, and those that act from outside.
GENERIC_OPTIONS = (
    "layer_norm",
    "peepholes",
    "projection",
    "cell_clip",
    "zoneout",
    "recurrent_dropout",
)
FAST_OPTIONS = ("weight_drop", "residual", "trainable_state")
LEAST = {"seed": 0}  # of the integers; of the others 1


@dataclass(frozen=True, slots=True)
class LMConfig:
    """Shape and settings of an `Rnnlm`; JSON in a run folder.

    Attributes
    ----------
    vocab_size : int
        V.
    embed : int
        D, the width of the embedding.
    hidden : int
        H, the width of every recurrent layer.
    cell : {"rnn", "lstm", "gru"}
    layers : int
        L.
    dropout : float
        Ratio after the embedding and after every recurrent layer.
    variational : bool
        Whether dropout masks are the same for all steps of a call.
    tied : bool
        Whether embedding and output share one matrix (needs D = H).
    reset_after : bool
        The GRU variant.
    layer_norm : bool
        Whether the products in the cell are normalised; see `rnn_xp.cells.LayerNormLSTMPCell`.
    peepholes : bool
        Whether the gates of an LSTM see its cell state.
    projection : int or None
        P: an LSTM's output is projected to this width.
    cell_clip : float or None
        The cell state of an LSTM is clipped to plus or minus this.
    zoneout : float
        Probability that an element of the state keeps its old value while training.
    recurrent_dropout : float
        Ratio for the state as the cell sees it; one mask for all steps of a call.
    weight_drop : float
        Ratio for the recurrent weights; one mask for a call.
    residual : bool
        Whether each recurrent layer adds its input to its output (needs D = the width of the
        output).
    trainable_state : bool
        Whether the state that a text starts from is learned instead of zero.
    one_hot : bool
        Whether the embedding is the identity and stays it (needs D = V).
    init : {"glorot", "book", "uniform"}
        Initial weights; see `rnn_xp.initializers`.
    init_scale : float or None
        The limit of "uniform".
    forget_bias : float
        Initial bias of the LSTM's forget gate.
    seed : int
        Of the initial weights and of the dropout masks.
    dtype : {"float32", "float64"}
    """

    vocab_size: int
    embed: int = 100
    hidden: int = 100
    cell: str = "lstm"
    layers: int = 1
    dropout: float = 0.0
    variational: bool = False
    tied: bool = False
    reset_after: bool = True
    layer_norm: bool = False
    peepholes: bool = False
    projection: int | None = None
    cell_clip: float | None = None
    zoneout: float = 0.0
    recurrent_dropout: float = 0.0
    weight_drop: float = 0.0
    residual: bool = False
    trainable_state: bool = False
    one_hot: bool = False
    init: str = "book"
    init_scale: float | None = None
    forget_bias: float = 0.0
    seed: int = 0
    dtype: str = "float32"

    def __post_init__(self) -> None:
        for entry in fields(self):
            given = getattr(self, entry.name)
            object.__setattr__(self, entry.name, _plain(entry.name, given, entry.type))
        _one_of("cell", self.cell, CELLS)
        _one_of("init", self.init, INITS)
        _one_of("dtype", self.dtype, ("float32", "float64"))
        for name in ("dropout", "zoneout", "recurrent_dropout", "weight_drop"):
            ratio = getattr(self, name)
            if not 0.0 <= ratio < 1.0 or dropout_threshold(ratio) == 65536:
                raise ValueError(
                    f"Rnnlm: {name} = {ratio}, expected 0 <= {name} < 1 (rounded to 1/65536)"
                )
        for name in ("init_scale", "cell_clip"):
            value = getattr(self, name)
            if value is not None and not (value > 0.0 and isfinite(value)):
                raise ValueError(f"Rnnlm: {name} = {value}, expected a positive number")
        if not isfinite(self.forget_bias):
            raise ValueError(f"Rnnlm: forget_bias = {self.forget_bias}, expected a finite number")
        if self.is_lstmp and self.cell != "lstm":
            raise ValueError(
                f"Rnnlm: peepholes, projection and cell_clip need cell = 'lstm', got {self.cell!r}"
            )
        for what, asked in (("a tied output layer", self.tied), ("residual", self.residual)):
            if asked and self.embed != self.width:
                width = "hidden" if self.projection is None else "projection"
                raise ValueError(
                    f"Rnnlm: {what} needs embed = {width}, got D = {self.embed} and "
                    f"{'H' if self.projection is None else 'P'} = {self.width}"
                )
        if self.one_hot and (self.embed != self.vocab_size or self.tied):
            raise ValueError(
                f"Rnnlm: one_hot needs embed = vocab_size and no tying, got D = {self.embed}, "
                f"V = {self.vocab_size}, tied = {self.tied}"
            )

    @property
    def is_lstmp(self) -> bool:
        """Whether the cell is an `rnn_xp.cells.LSTMPCell`, or that with layer norm."""
        return self.peepholes or self.projection is not None or self.cell_clip is not None

    @property
    def width(self) -> int:
        """Width of the output of each recurrent layer: P or H."""
        return self.hidden if self.projection is None else self.projection

    @property
    def generic_because(self) -> tuple[str, ...]:
        """The options that leave the fast sequence kernels; none of them: they are used."""
        return tuple(name for name in GENERIC_OPTIONS if getattr(self, name))

    @property
    def options(self) -> tuple[str, ...]:
        """The options of the recurrent layers that are in use."""
        return tuple(name for name in (*GENERIC_OPTIONS, *FAST_OPTIONS) if getattr(self, name))

    def to_json(self) -> dict[str, Any]:
        """Return a dictionary of JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> "LMConfig":
        """Read what `to_json` returned.

        Raises
        ------
        ValueError
            If a setting is unknown or out of range.
        """
        known = {f.name for f in fields(cls)}
        unknown = sorted(set(document) - known)
        if unknown:
            raise ValueError(f"Rnnlm: unknown settings {', '.join(unknown)}")
        if "vocab_size" not in document:
            raise ValueError("Rnnlm: vocab_size is missing")
        return cls(**document)


def _plain(name: str, value: Any, annotation: Any) -> Any:
    """`value` as Python's own bool, int, float or str, as `annotation` says: JSON holds those."""
    kinds = get_args(annotation) or (annotation,)
    if value is None and type(None) in kinds:
        return None
    kind, least = kinds[0], LEAST.get(name, 1)
    is_bool = isinstance(value, bool)  # Python takes True for the integer 1
    if kind is bool:
        made, expected = (value if is_bool else None), "True or False"
    elif kind is int:
        made, expected = (None if is_bool else _integer(value)), f"an integer from {least}"
        made = None if made is None or made < least else made
    elif kind is float:
        made, expected = (None if is_bool else _number(value)), "a number"
    else:
        made, expected = (str(value) if isinstance(value, str) else None), "a string"
    if made is None:
        or_none = " or None" if type(None) in kinds else ""
        raise ValueError(f"Rnnlm: {name} = {value!r}, expected {expected}{or_none}")
    return made


def _integer(value: Any) -> int | None:
    try:
        return index(value)
    except TypeError:
        return None


def _number(value: Any) -> float | None:
    try:
        return float(value) if isinstance(value, Real) else None
    except OverflowError:  # an integer of hundreds of digits
        return None


def _one_of(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise ValueError(f"Rnnlm: {name} = {value!r}, expected one of {', '.join(allowed)}")
