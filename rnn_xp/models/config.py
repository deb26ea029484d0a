"""What a language model is made of, as data."""

from dataclasses import asdict, dataclass, fields
from operator import index
from typing import Any

CELLS = ("rnn", "lstm", "gru")
INITS = ("glorot", "book", "uniform")


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
    one_hot: bool = False
    init: str = "book"
    init_scale: float | None = None
    forget_bias: float = 0.0
    seed: int = 0
    dtype: str = "float32"

    def __post_init__(self) -> None:
        for name, least in (
            ("vocab_size", 1),
            ("embed", 1),
            ("hidden", 1),
            ("layers", 1),
            ("seed", 0),
        ):
            value = getattr(self, name)
            if not hasattr(value, "__index__") or index(value) < least:
                raise ValueError(f"Rnnlm: {name} = {value!r}, expected an integer from {least}")
            object.__setattr__(self, name, index(value))  # of a NumPy integer, say
        _one_of("cell", self.cell, CELLS)
        _one_of("init", self.init, INITS)
        _one_of("dtype", self.dtype, ("float32", "float64"))
        if not 0.0 <= self.dropout < 1.0:
            raise ValueError(f"Rnnlm: dropout = {self.dropout}, expected 0 <= dropout < 1")
        if self.tied and self.embed != self.hidden:
            raise ValueError(
                f"Rnnlm: a tied output layer needs embed = hidden, got D = {self.embed} and "
                f"H = {self.hidden}"
            )
        if self.one_hot and (self.embed != self.vocab_size or self.tied):
            raise ValueError(
                f"Rnnlm: one_hot needs embed = vocab_size and no tying, got D = {self.embed}, "
                f"V = {self.vocab_size}, tied = {self.tied}"
            )

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


def _one_of(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise ValueError(f"Rnnlm: {name} = {value!r}, expected one of {', '.join(allowed)}")
