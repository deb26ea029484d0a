"""The training loop of "Deep Learning from Scratch 2", ch. 5, with this library's layers.

A simple recurrent language model learns a short text by heart. Everything is visible: the
batches, truncated backpropagation through time, the update.

    python examples/book_rnnlm.py [TEXT_FILE]
"""

import sys
from pathlib import Path

import numpy as np

from rnn_xp import SimpleRnnlm
from rnn_xp.data.tokenizers import WordTokenizer
from rnn_xp.optim import SGD

TEXT = "you say goodbye and i say hello .\nhello hello .\ni do not know why you say goodbye .\n"


def train(text: str, epochs: int = 200, batch: int = 2, bptt: int = 5) -> list[float]:
    """Train on `text`; return the perplexity of each epoch."""
    tokenizer = WordTokenizer.build([text])
    corpus = tokenizer.encode(text)
    xs, ts = corpus[:-1], corpus[1:]
    model = SimpleRnnlm(tokenizer.size, 30, 30, seed=0)
    optimizer = SGD(lr=0.5)

    steps = len(xs) // (batch * bptt)
    offsets = [row * len(xs) // batch for row in range(batch)]
    perplexities = []
    position = 0
    for _ in range(epochs):
        total = 0.0
        for _ in range(steps):
            columns = (np.arange(position, position + bptt) + np.array(offsets)[:, None]) % len(xs)
            position += bptt
            total += float(model.forward(xs[columns], ts[columns]))
            model.backward()
            optimizer.update(model.params, model.grads)
        perplexities.append(float(np.exp(total / steps)))
    return perplexities


def main() -> None:
    """Train on the text of the first argument, or on three sentences."""
    text = Path(sys.argv[1]).read_text("utf-8") if len(sys.argv) > 1 else TEXT
    perplexities = train(text)
    for epoch in range(0, len(perplexities), max(1, len(perplexities) // 10)):
        print(f"epoch {epoch + 1:4d}   perplexity {perplexities[epoch]:.2f}")
    print(f"at the end   perplexity {perplexities[-1]:.2f}")


if __name__ == "__main__":
    main()
