"""The book's names for two settings of `Rnnlm`."""

from typing import Any

from rnn_xp.models.lm import Rnnlm


class SimpleRnnlm(Rnnlm):
    """The book's first language model (ch. 5): one simple recurrent layer of tanh."""

    def __init__(self, vocab_size: int, wordvec_size: int, hidden_size: int, **settings: Any):
        super().__init__(vocab_size, wordvec_size, hidden_size, cell="rnn", **settings)


class BetterRnnlm(Rnnlm):
    """The book's better model (ch. 6): two LSTM layers, dropout, tied output.

    Dropout comes after the embedding and after each LSTM layer, with a new mask at each
    step; embedding and output share one matrix.
    """

    def __init__(
        self,
        vocab_size: int = 10000,
        wordvec_size: int = 650,
        hidden_size: int = 650,
        dropout_ratio: float = 0.5,
        **settings: Any,
    ):
        super().__init__(
            vocab_size,
            wordvec_size,
            hidden_size,
            **{"cell": "lstm", "layers": 2, "dropout": dropout_ratio, "tied": True, **settings},
        )
