"""Exported language models compute the same in onnxruntime."""

import itertools

import numpy as np
import pytest
from interop_helpers import assert_same_params, draw, optional
from onnx_helpers import run_in_runtime, runtime_session, states_of

from rnn_xp import (
    Rnnlm,
    Stack,
    to_host,
)
from rnn_xp.interop.onnx import (
    export_lm,
    from_onnx,
    lm_to_onnx,
    recurrent_nodes,
)
from rnn_xp.optim import Adam

KINDS = ("rnn", "lstm", "gru", "gru-before")
V = 13
MODELS = list(itertools.product(KINDS, (1, 2), (False, True)))


def language_model(kind, layers, tied, **settings):
    width = 7 if tied else 6
    model = Rnnlm(
        V,
        width,
        7,
        cell=kind.removesuffix("-before"),
        reset_after=kind == "gru",
        layers=layers,
        tied=tied,
        dropout=0.5,
        **settings,
    )
    for k, (name, array) in enumerate(model.named_parameters.items()):
        model.set_parameter(name, 0.7 * draw(*array.shape, seed=k))
    return model


@pytest.mark.parametrize(("kind", "layers", "tied"), MODELS)
def test_a_language_model_gives_the_same_logits(tmp_path, kind, layers, tied):
    optional("onnx")
    model = language_model(kind, layers, tied)
    path = tmp_path / "model.onnx"
    export_lm(model, path)
    session = runtime_session(str(path))
    assert session.get_inputs()[0].name == "ids"
    states = {
        value.name: np.zeros((4, 7), "float32")
        for value in session.get_inputs()
        if value.name != "ids"
    }
    names = [value.name for value in session.get_outputs()]
    for _ in range(3):  # states go on from call to call
        ids = np.random.default_rng(0).integers(0, V, (4, 9))
        given = dict(zip(names, session.run(None, {"ids": ids, **states}), strict=True))
        expected = model.predict(ids)
        np.testing.assert_allclose(given.pop("logits"), expected, rtol=0, atol=1e-5)
        states = {name.replace("final", "state"): array for name, array in given.items()}
    for k, parts in enumerate(model.state):
        for name, part in zip("hc", parts, strict=False):
            np.testing.assert_allclose(states[f"state.{k}.{name}"], part, atol=1e-5)


def test_a_model_of_any_backend_and_dtype_is_exported(be):
    optional("onnx")
    model = language_model("lstm", 1, False, backend=be, dtype="float64")
    onnx_model = lm_to_onnx(model)
    ids = np.arange(8).reshape(2, 4)
    given = run_in_runtime(onnx_model, {"ids": ids, **states_of(onnx_model, 2)})["logits"]
    np.testing.assert_allclose(given, to_host(model.predict(ids)), rtol=0, atol=1e-5)


def test_a_tied_matrix_is_in_the_file_once():
    optional("onnx")
    model = lm_to_onnx(language_model("gru", 1, True))
    sizes = [np.prod(tensor.dims) for tensor in model.graph.initializer]
    assert sizes.count(V * 7) == 1


def test_layers_of_a_language_model_come_back_bit_for_bit():
    optional("onnx")
    model = language_model("gru", 2, False)
    exported = lm_to_onnx(model)
    layers = from_onnx(exported, nodes=recurrent_nodes(exported), time_major=True)
    assert_same_params(layers, Stack(model.recurrent_layers))
    assert exported.producer_name == "rnn_xp"


def test_a_trained_language_model_gives_the_same_logits(tmp_path):
    optional("onnx")
    model = Rnnlm(V, 16, 24, layers=2, init="glorot", forget_bias=1.0)
    text = np.tile(np.random.default_rng(0).integers(0, V, 16), 12)
    xs, ts = text[:-1][None, :176].reshape(8, 22), text[1:][None, :176].reshape(8, 22)
    optimiser, losses = Adam(0.02), []
    for _ in range(60):
        model.reset_state()
        losses.append(float(model.forward(xs, ts)))
        model.backward()
        optimiser.update(model.params, model.grads)
    assert losses[-1] < 0.2 * losses[0]
    export_lm(model, tmp_path / "model.onnx")
    states = {f"state.{k}.{p}": np.zeros((8, 24), "float32") for k in (0, 1) for p in "hc"}
    given = run_in_runtime(str(tmp_path / "model.onnx"), {"ids": xs, **states})["logits"]
    model.reset_state()
    np.testing.assert_allclose(given, model.predict(xs), rtol=0, atol=1e-5)
