"""Language models: what they predict, their weights by name, and the book's."""

import numpy as np
import pytest
from lm_helpers import V, batch, make, train

from rnn_xp import BetterRnnlm, Rnnlm, SimpleRnnlm
from rnn_xp.backend import to_host
from rnn_xp.errors import DataError, ShapeError


def test_unknown_names_are_refused():
    model = make()
    for call in (lambda: model.freeze("x"), lambda: model.set_parameter("x", [1.0])):
        with pytest.raises(KeyError, match=r"no parameter 'x', expected one of embedding\.W"):
            call()


def test_pretrained_embeddings(be):
    model = make(be)
    host = np.random.default_rng(0).standard_normal((V, 4)).astype("float32")
    model.set_parameter("embedding.W", host)
    np.testing.assert_array_equal(to_host(model.named_parameters["embedding.W"]), host)
    model.set_parameter("embedding.W", model.backend.asarray(2 * host))
    np.testing.assert_array_equal(to_host(model.layers[0].params[0]), 2 * host)
    with pytest.raises(ShapeError, match=r"embedding\.W has shape \(3, 4\), expected \(7, 4\)"):
        model.set_parameter("embedding.W", host[:3])


def test_one_hot_is_the_identity_and_stays_it():
    model = Rnnlm(V, V, 4, one_hot=True)
    np.testing.assert_array_equal(model.named_parameters["embedding.W"], np.eye(V))
    train(model)
    np.testing.assert_array_equal(model.named_parameters["embedding.W"], np.eye(V))


def test_validation_leaves_the_training_stream_alone(be):
    model, other = make(be, dropout=0.2), make(be, dropout=0.2)
    for m in (model, other):
        m.forward(*batch(0))
        m.backward()
    with model.fresh_state():
        model.forward(*batch(7, N=5), train=False)
        assert to_host(model.token_losses(*batch(8, N=5))).shape == (5, 4)
    assert float(to_host(model.forward(*batch(1)))) == float(to_host(other.forward(*batch(1))))


def test_predict_and_token_losses_agree(be):
    model = make(be)
    xs, ts = batch()
    model.reset_state()
    scores = to_host(model.predict(xs))
    assert scores.shape == (2, 4, V)
    model.reset_state()
    losses = to_host(model.token_losses(xs, ts))
    log_p = scores - np.log(np.exp(scores).sum(axis=2, keepdims=True))
    np.testing.assert_allclose(losses, -np.take_along_axis(log_p, ts[:, :, None], 2)[:, :, 0])
    model.reset_state()
    assert float(to_host(model.forward(xs, ts))) == pytest.approx(losses.mean(), rel=1e-12)


def test_the_books_models():
    assert SimpleRnnlm(V, 5, 6).config.cell == "rnn"
    better = BetterRnnlm(V, 6, 6, seed=1)
    assert (better.config.layers, better.config.tied, better.config.dropout) == (2, True, 0.5)
    assert [type(x).__name__ for x in better.layers] == [
        "TimeEmbedding",
        "TimeDropout",
        "TimeLSTM",
        "TimeDropout",
        "TimeLSTM",
        "TimeDropout",
        "TimeAffineSoftmaxWithLoss",
    ]


def test_ids_out_of_range_are_refused(be):
    model = make(be)
    xs, ts = batch()
    with pytest.raises(DataError, match="ids from 0 to 7, expected 0 to 6"):
        model.forward(np.where(xs == xs.max(), V, 0), ts)
