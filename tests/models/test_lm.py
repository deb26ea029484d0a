"""Language models: the whole gradient, the flat buffers, and what is kept and restored."""

import copy
import pickle

import numpy as np
import pytest

from rnn_xp import BetterRnnlm, Rnnlm, SimpleRnnlm
from rnn_xp.backend import to_host
from rnn_xp.errors import CheckpointError, DataError, ShapeError
from rnn_xp.kernels.cpu import embedding as cpu_embedding
from rnn_xp.models import LMConfig
from rnn_xp.optim import SGD, Adam

V = 7
KINDS = {
    "rnn": {"cell": "rnn"},
    "lstm": {"cell": "lstm", "layers": 2},
    "gru": {"cell": "gru"},
    "gru reset before": {"cell": "gru", "reset_after": False},
    "tied": {"tied": True},
    "dropout": {"dropout": 0.4, "layers": 2},
    "variational": {"dropout": 0.4, "variational": True, "tied": True},
    "layer norm": {"layer_norm": True, "zoneout": 0.3},
    "layer norm gru": {"cell": "gru", "layer_norm": True, "recurrent_dropout": 0.3},
    "layer norm gru reset before": {"cell": "gru", "layer_norm": True, "reset_after": False},
    "layer norm lstmp": {  # large weights: a norm of little variance bends too much for differences
        **{"layer_norm": True, "peepholes": True, "projection": 3, "cell_clip": 0.5},
        **{"init": "uniform", "init_scale": 1.0},
    },
    "lstmp": {"peepholes": True, "projection": 3, "cell_clip": 0.5, "recurrent_dropout": 0.3},
    "zoneout rnn": {"cell": "rnn", "zoneout": 0.3, "weight_drop": 0.2},
    "wrappers": {"weight_drop": 0.3, "residual": True, "dropout": 0.2, "layers": 2},
    "trainable state": {"trainable_state": True, "residual": True, "layers": 2},
    "trainable state and a cell": {"trainable_state": True, "projection": 4, "tied": True},
}


def make(be="numpy", **settings):
    settings = {"dtype": "float64", "init": "glorot", "forget_bias": 1.0, "seed": 3, **settings}
    return Rnnlm(V, 4, 4, backend=be, **settings)


def batch(seed=0, N=2, T=4):
    ids = np.random.default_rng(seed).integers(0, V, (N, T + 1))
    return ids[:, :-1], ids[:, 1:]


@pytest.mark.parametrize("kind", KINDS)
def test_gradient_of_the_whole_model(be, kind):
    model = make(be, **KINDS[kind])
    first, (xs, ts) = batch(1), batch(2)
    ts = ts.copy()
    ts[0, 1] = -1
    model.forward(*first)  # so that the state is not zero
    if model.config.trainable_state:
        model.reset_state()  # so that the learned state is what it starts from
    state, counters = model.state, model.dropout_counters

    def loss():
        model.state, model.dropout_counters = state, counters
        return float(to_host(model.forward(xs, ts)))

    loss()
    model.backward()
    analytic = to_host(model.flat_grads).copy()
    values = to_host(model.flat_params).copy()
    numeric = np.zeros_like(values)
    eps = 1e-5
    for start, stop in model._flat.spans.values():
        for k in range(start, stop):
            for sign in (1, -1):
                shifted = values.copy()
                shifted[k] += sign * eps
                model.flat_params[...] = model.backend.asarray(shifted)
                numeric[k] += sign * loss() / (2 * eps)
    np.testing.assert_allclose(analytic, numeric, rtol=0, atol=1e-8 * np.abs(numeric).max() + 1e-10)


def test_the_same_on_every_backend(be):
    ours, other = make("numpy", dropout=0.3), make(be, dropout=0.3)
    for seed in range(3):
        losses = []
        for model in (ours, other):
            losses.append(float(to_host(model.forward(*batch(seed)))))
            model.backward()
        assert losses[0] == pytest.approx(losses[1], rel=1e-12)
        np.testing.assert_allclose(to_host(other.flat_grads), ours.flat_grads, atol=1e-14)


def test_parameters_are_views_of_one_buffer(be):
    model = make(be, tied=True)
    for name, view in model.named_parameters.items():
        start, _ = model._flat.spans[name]
        assert start * 8 % 256 == 0
        view[...] = model.backend.xp.zeros_like(view) + 5.0
        assert to_host(model.flat_params)[start] == 5.0
    embedding, output = model.layers[0], model.layers[-1]
    assert embedding.params[0] is output.params[0]
    assert "output.W" not in model.named_parameters
    assert model.parameter_count == V * 4 + 4 * 16 + 4 * 16 + 16 + V


def train(model, steps=5, seed=0):
    optimizer = Adam(lr=0.05)
    for step in range(steps):
        model.forward(*batch(seed + step))
        model.backward()
        params, grads = zip(*model.segments(), strict=True)
        optimizer.update(list(params), list(grads))
    return to_host(model.flat_params).copy()


@pytest.mark.parametrize("clone", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_a_copy_trains_like_the_original(be, clone):
    model = make(be, layers=2, dropout=0.3, tied=True)
    model.freeze("layers.0.Wx")
    train(model)
    other = clone(model)
    before = to_host(model.flat_params).copy()
    np.testing.assert_array_equal(to_host(other.flat_params), before)
    expected = train(model, seed=9)
    np.testing.assert_array_equal(train(other, seed=9), expected)
    assert not np.array_equal(expected, before)


@pytest.mark.parametrize("tied", [False, True])
def test_gradients_may_be_changed_between_steps(be, tied, monkeypatch):
    """As an all-reduce or a hand-written weight decay does."""
    monkeypatch.setattr(cpu_embedding, "ONE_HOT_WORK", 0)  # the path of a big embedding
    model = make(be, tied=tied)
    state = model.state
    for _ in range(2):
        model.state = state
        model.forward(*batch())
        model.backward()
        gradients = to_host(model.flat_grads).copy()
        for p, g in zip(model.params, model.grads, strict=True):
            g[...] = g + 0.01 * p
    fresh = make(be, tied=tied)
    fresh.forward(*batch())
    fresh.backward()
    np.testing.assert_array_equal(gradients, to_host(fresh.flat_grads))


class OwnLM(Rnnlm):
    """A model with attributes of its own, one of them a layer."""

    def __init__(self, *args, **settings):
        super().__init__(*args, **settings)
        self.notes = ["made"]
        self.first, self.calls = self.recurrent_layers[0], {"model": self}


COPIES = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "pickle": lambda model: pickle.loads(pickle.dumps(model)),
    "to": lambda model: model.to(model.backend),
}


@pytest.mark.parametrize("way", COPIES)
@pytest.mark.parametrize("settings", [{}, {"trainable_state": True, "weight_drop": 0.2}])
def test_a_copy_keeps_what_was_set_after_building(be, way, settings):
    model = make(be, layers=2, dropout=0.4, **settings)
    model.recurrent_layers[0].stateful = False
    model.layers[1].dropout_ratio = 0.25
    train(model)
    other = COPIES[way](model)
    assert [layer.stateful for layer in other.recurrent_layers] == [False, True]
    assert other.layers[1].dropout_ratio == 0.25
    assert other.layers[3].dropout_ratio == 0.4
    if way == "to":
        model.reset_state()
    expected = train(model, seed=9)
    np.testing.assert_array_equal(train(other, seed=9), expected)
    assert not any(a is b for a in other.params for b in model.params)


@pytest.mark.parametrize("way", COPIES)
def test_a_copy_of_a_subclass_keeps_its_attributes(be, way):
    model = OwnLM(V, 4, 4, backend=be)
    other = COPIES[way](model)
    assert type(other) is OwnLM
    assert other.notes == ["made"]
    assert other.first is other.recurrent_layers[0]
    assert other.first is not model.first
    if way != "copy":  # which is as deep as the layers only
        assert other.calls["model"] is other


@pytest.mark.parametrize("loop", ["segments", "params"])
def test_frozen_parameters_do_not_move(be, loop):
    model = make(be)
    model.freeze("embedding.W", "layers.0.Wh")
    before = {n: to_host(p).copy() for n, p in model.named_parameters.items()}
    optimizer = SGD(lr=1.0, weight_decay=0.1)
    model.forward(*batch())
    model.backward()
    if loop == "segments":
        params, grads = (list(z) for z in zip(*model.segments(), strict=True))
    else:
        params, grads = model.params, model.grads
    optimizer.update(params, grads)
    for name, p in model.named_parameters.items():
        same = np.array_equal(to_host(p), before[name])
        assert same == (name in ("embedding.W", "layers.0.Wh")), name


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


def test_save_and_load(be, tmp_path):
    model = make(be, layers=2, tied=True)
    model.freeze("output.b")
    train(model)
    model.save(tmp_path / "model.safetensors")
    for target in ("numpy", be):
        read = Rnnlm.load(tmp_path / "model.safetensors", target)
        assert read.config == model.config
        assert read.frozen == {"output.b"}
        np.testing.assert_array_equal(to_host(read.flat_params), to_host(model.flat_params))
    assert Rnnlm.load(tmp_path / "model.safetensors", be, dtype="float32").dtype == "float32"
    with pytest.raises(CheckpointError, match="do not match the model"):
        model.set_parameters({"embedding.W": np.zeros((V, 4))})


def test_moving_keeps_weights_and_counters(be):
    model = make("numpy", dropout=0.3)
    train(model)
    moved = model.to(be)
    assert moved.backend == be
    assert moved.dropout_counters == model.dropout_counters
    model.reset_state()
    losses = [float(to_host(m.forward(*batch(5)))) for m in (model, moved)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-12)


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


def test_an_ignored_batch_has_loss_and_gradient_zero(be):
    model = make(be, tied=True)
    xs, ts = batch()
    assert float(to_host(model.forward(xs, np.full_like(ts, -1)))) == 0.0
    model.backward()
    assert not to_host(model.flat_grads).any()


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


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"vocab_size": 0}, "vocab_size = 0, expected an integer from 1"),
        ({"vocab_size": 5, "hidden": 2.5}, "hidden = 2.5"),
        ({"vocab_size": 5, "seed": -1}, "seed = -1, expected an integer from 0"),
        ({"vocab_size": 5, "cell": "elman"}, "cell = 'elman', expected one of rnn, lstm, gru"),
        ({"vocab_size": 5, "dropout": 1.0}, "dropout = 1.0"),
        ({"vocab_size": 5, "init": "uniform", "init_scale": -1.0}, "init_scale = -1.0, expected a"),
        ({"vocab_size": 5, "init": "uniform", "init_scale": 0.0}, "init_scale = 0.0"),
        ({"vocab_size": 5, "init_scale": float("inf")}, "init_scale = inf"),
        ({"vocab_size": 5, "tied": True, "embed": 3, "hidden": 4}, "got D = 3 and H = 4"),
        ({"vocab_size": 5, "one_hot": True}, "one_hot needs embed = vocab_size"),
        ({"vocab_size": 5, "dtype": "float16"}, "dtype = 'float16'"),
    ],
)
def test_impossible_configurations(settings, message):
    with pytest.raises(ValueError, match=message):
        LMConfig(**settings)


@pytest.mark.parametrize("name", ["dropout", "zoneout", "recurrent_dropout", "weight_drop"])
@pytest.mark.parametrize("ratio", [1 - 2**-18, 0.9999999, float("nan")])
def test_ratios_that_would_drop_all_are_refused(name, ratio):
    with pytest.raises(ValueError, match=f"^Rnnlm: {name} = {ratio}, expected 0 <= {name} < 1"):
        LMConfig(V, **{name: ratio})
    assert getattr(LMConfig(V, **{name: 0.9999}), name) == 0.9999


def test_numpy_integers_are_integers():
    assert LMConfig(np.int64(9)).to_json()["vocab_size"] == 9


def test_ids_out_of_range_are_refused(be):
    model = make(be)
    xs, ts = batch()
    with pytest.raises(DataError, match="ids from 0 to 7, expected 0 to 6"):
        model.forward(np.where(xs == xs.max(), V, 0), ts)


@pytest.mark.parametrize("kind", [k for k in KINDS if "dropout" not in k])
def test_options_survive_a_copy_a_file_and_a_move(be, kind, tmp_path):
    model = make(be, **KINDS[kind])
    for seed in range(2):
        model.forward(*batch(seed))
    model.save(tmp_path / "model.safetensors")
    model.reset_state()
    copies = [
        copy.deepcopy(model),
        pickle.loads(pickle.dumps(model)),
        model.to("numpy"),
        Rnnlm.load(tmp_path / "model.safetensors", backend=be),
    ]
    copies[-1].dropout_counters = model.dropout_counters
    expected = float(to_host(model.forward(*batch(5))))
    for other in copies:
        assert other.config == model.config
        assert float(to_host(other.forward(*batch(5)))) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"peepholes": True, "cell": "gru"}, "need cell = 'lstm', got 'gru'"),
        ({"projection": 3, "tied": True}, "a tied output layer needs embed = projection"),
        ({"residual": True, "projection": 3}, "residual needs embed = projection, got D = 4"),
        ({"cell_clip": -1.0}, "cell_clip = -1.0, expected a positive number"),
        ({"projection": 0}, "projection = 0, expected an integer from 1 or None"),
        ({"zoneout": 1.0}, "zoneout = 1.0, expected 0 <= zoneout < 1"),
    ],
)
def test_options_that_do_not_fit_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        make(**settings)


def test_the_configuration_tells_what_leaves_the_fast_kernels():
    config = make(zoneout=0.1, cell_clip=2.0, weight_drop=0.1, trainable_state=True).config
    assert config.generic_because == ("cell_clip", "zoneout")
    assert config.options == ("cell_clip", "zoneout", "weight_drop", "trainable_state")
    assert make(weight_drop=0.1, residual=True).config.generic_because == ()
