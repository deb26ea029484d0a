"""Models: a list of layers, run forwards and then reversed."""

from rnn_xp.models.book import BetterRnnlm, SimpleRnnlm
from rnn_xp.models.config import LMConfig
from rnn_xp.models.lm import Rnnlm

__all__ = ["BetterRnnlm", "LMConfig", "Rnnlm", "SimpleRnnlm"]
