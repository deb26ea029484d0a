"""Models: a list of layers, run forwards and then reversed."""

from rnn_xp.models.config import LMConfig
from rnn_xp.models.lm import BetterRnnlm, Rnnlm, SimpleRnnlm

__all__ = ["BetterRnnlm", "LMConfig", "Rnnlm", "SimpleRnnlm"]
