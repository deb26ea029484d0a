import math

import pytest

from rnn_xp.train import RunFolder, make_settings, train


def test_the_simple_model_of_the_book_on_its_thousand_words(shared, tmp_path):
    folder = shared("ptb/ptb.train.txt").parent
    settings = make_settings("dlfs2-simple-rnnlm", data=f"ptb:{folder}", backend="numpy")
    result = train(settings, tmp_path / "run")
    run = RunFolder.open(tmp_path / "run")
    assert run.config.model.vocab_size == 418
    losses = [row["epoch_loss"] for row in run.metrics() if "epoch_loss" in row]
    assert (len(losses), result.step) == (100, 1900)
    # The book's code, five seeds: 386 to 401, 191 to 194, 72 to 84, 5.25 to 6.30.
    assert math.exp(losses[9]) == pytest.approx(192.5, abs=4.0)
    assert 5.2 <= result.train_perplexity <= 6.4
