"""A source whose entropy is known: a trained model comes within one percent of the optimum."""

import hmm
import numpy as np
import pytest

from rnn_xp.backend import to_host
from rnn_xp.train import RunFolder, make_settings, train

HELD_OUT = 200_000


def token_losses(model, ids, width=1000):
    """Nats of each predictable token, in one row with all its past."""
    losses = []
    with model.fresh_state():
        for start in range(0, len(ids) - 1, width):
            stop = min(start + width, len(ids) - 1)
            part = model.token_losses(ids[None, start:stop], ids[None, start + 1 : stop + 1])
            losses.append(to_host(part)[0].astype(np.float64))
    return np.concatenate(losses)


@pytest.mark.slow
def test_a_trained_model_comes_close_to_the_forward_algorithm(tmp_path):
    seen, held_out = hmm.sample(1_000_000, seed=1), hmm.sample(HELD_OUT, seed=2)
    (tmp_path / "dice.txt").write_text("".join(map(str, seen.tolist())), encoding="ascii")
    settings = make_settings(
        data=str(tmp_path / "dice.txt"),
        valid_fraction=0.02,
        embed=8,
        hidden=32,
        batch=50,
        bptt=50,
        steps=1200,
        lr=0.01,
        validate_every=600,
        backend="numpy",
    )
    train(settings, tmp_path / "run")
    run = RunFolder.open(tmp_path / "run")
    # Digits are numbered in the order of their code points: symbol k is token k.
    assert "".join(run.tokenizer().symbols) == "01234567"

    ours = token_losses(run.load_model("numpy"), held_out)
    least = hmm.log_loss_per_symbol(held_out)[1:]
    difference = ours - least
    error = difference.std(ddof=1) / np.sqrt(len(difference))
    assert ours.mean() <= 1.01 * least.mean()
    assert difference.mean() >= -3.0 * error

    order1 = hmm.order1_log_loss_per_symbol(seen, held_out)[1:]
    assert order1.mean() >= 1.03 * least.mean()
