"""The training step of `lm_models` in JAX, and in Keras on JAX.

JAX: one jitted step, products of the inputs before the `lax.scan` over time, buffers donated.
Keras: its own layers, their state carried along, and `train_on_batch`.
"""

from typing import Any

import numpy as np
from lm_models import CLIP, LR, batches, weights
from timing import Job, Step


def build_jax(job: Job) -> Step:
    """A training step in JAX."""
    import jax
    import jax.numpy as jnp

    H, L, cell = job["H"], job["layers"], job.get("cell", "lstm")
    dropout, tied = job.get("dropout", 0.0), job.get("tied", False)
    sigmoid = jax.nn.sigmoid

    def lstm(state: Any, p: Any, Wh: Any, b: Any) -> Any:
        h, c = state
        a = p + h @ Wh + b
        i, f, g, o = jnp.split(a, 4, axis=1)
        c = sigmoid(f) * c + sigmoid(i) * jnp.tanh(g)
        h = sigmoid(o) * jnp.tanh(c)
        return (h, c), h

    def gru(state: Any, p: Any, Wh: Any, b: Any) -> Any:
        (h,) = state
        pr, pz, pn = jnp.split(p + b[0], 3, axis=1)
        qr, qz, qn = jnp.split(h @ Wh + b[1], 3, axis=1)
        z = sigmoid(pz + qz)
        h = (1 - z) * jnp.tanh(pn + sigmoid(pr + qr) * qn) + z * h
        return (h,), h

    def rnn(state: Any, p: Any, Wh: Any, b: Any) -> Any:
        h = jnp.tanh(p + state[0] @ Wh + b)
        return (h,), h

    cells = {"lstm": lstm, "gru": gru, "rnn": rnn}

    def drop(xs: Any, key: Any) -> Any:
        if not dropout:
            return xs
        return jnp.where(jax.random.bernoulli(key, 1 - dropout, xs.shape), xs / (1 - dropout), 0)

    def loss_of(params: Any, states: Any, key: Any, xs: Any, ts: Any) -> Any:
        keys = jax.random.split(key, L + 1)
        hs, after = params["embedding.W"][xs.T], []
        for k in range(L):
            Wx, Wh, b = (params[f"layers.{k}.{name}"] for name in ("Wx", "Wh", "b"))
            products = drop(hs, keys[k]) @ Wx
            state, hs = jax.lax.scan(
                lambda s, p, Wh=Wh, b=b: cells[cell](s, p, Wh, b), states[k], products
            )
            after.append(state)
        W = params["embedding.W"].T if tied else params["output.W"]
        scores = drop(hs, keys[L]) @ W + params["output.b"]
        right = jnp.take_along_axis(scores, ts.T[..., None], axis=2)[..., 0]
        return jnp.mean(jax.nn.logsumexp(scores, axis=2) - right), after

    def train(params: Any, states: Any, key: Any, xs: Any, ts: Any) -> Any:
        grad_of = jax.value_and_grad(loss_of, has_aux=True)
        (loss, states), grads = grad_of(params, states, key, xs, ts)
        norm = jnp.sqrt(sum(jnp.sum(g * g) for g in grads.values()))
        scale = LR * jnp.minimum(1.0, CLIP / (norm + 1e-6))
        params = {name: p - scale * grads[name] for name, p in params.items()}
        return params, states, jax.random.split(key)[0], loss

    jitted = jax.jit(train, donate_argnums=(0, 1, 2))
    parts = 2 if cell == "lstm" else 1
    params = {name: jnp.asarray(array) for name, array in weights(job).items()}
    # One buffer each: donated ones must not be the same.
    zeros = [tuple(jnp.array(np.zeros((job["N"], H), "f")) for _ in range(parts)) for _ in range(L)]
    kept = (params, zeros, jax.random.key(0))
    turn = batches(job, np.int32)

    def step() -> tuple[int, Any]:
        nonlocal kept
        xs, ts = next(turn)
        *state, loss = jitted(*kept, xs, ts)
        kept = tuple(state)
        return xs.size, loss

    return step


def build_keras(job: Job) -> Step:
    """A training step in Keras."""
    import keras
    from keras import layers

    cell, L, dropout = job.get("cell", "lstm"), job["layers"], job.get("dropout", 0.0)
    kind = {"lstm": layers.LSTM, "gru": layers.GRU, "rnn": layers.SimpleRNN}[cell]
    embedding = layers.Embedding(job["V"], job["D"])

    class Tied(layers.Layer):
        """Affine layer with the weights of the embedding."""

        def build(self, shape: Any) -> None:
            self.b = self.add_weight(shape=(job["V"],), initializer="zeros")

        def call(self, hs: Any) -> Any:
            return keras.ops.matmul(hs, keras.ops.transpose(embedding.embeddings)) + self.b

    class Stateful(layers.Layer):
        """``stateful=True`` does not keep the state under JAX's jitted step (Keras 3.15)."""

        def __init__(self) -> None:
            super().__init__()
            self.rnn = kind(job["H"], return_sequences=True, return_state=True)
            self.kept = [
                self.add_weight(shape=(job["N"], job["H"]), initializer="zeros", trainable=False)
                for _ in range(2 if cell == "lstm" else 1)
            ]

        def call(self, xs: Any) -> Any:
            hs, *states = self.rnn(xs, initial_state=[kept.value for kept in self.kept])
            for kept, state in zip(self.kept, states, strict=True):
                kept.assign(state)
            return hs

    def drop(xs: Any) -> Any:
        return layers.Dropout(dropout)(xs) if dropout else xs

    inputs = keras.Input(batch_shape=(job["N"], job["T"]), dtype="int32")
    hs = embedding(inputs)
    recurrent = [Stateful() for _ in range(L)]
    for layer in recurrent:
        hs = layer(drop(hs))
    output = Tied() if job.get("tied") else layers.Dense(job["V"])
    model = keras.Model(inputs, output(drop(hs)))
    model.compile(
        keras.optimizers.SGD(LR, global_clipnorm=CLIP),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    arrays = weights(job)
    embedding.set_weights([arrays["embedding.W"]])
    for k, layer in enumerate(recurrent):
        layer.rnn.set_weights(
            [_keras_order(arrays[f"layers.{k}.{n}"], cell) for n in ("Wx", "Wh", "b")]
        )
    output.set_weights([arrays[name] for name in ("output.W", "output.b") if name in arrays])
    turn = batches(job, np.int32)

    def step() -> tuple[int, Any]:
        xs, ts = next(turn)
        return xs.size, model.train_on_batch(xs, ts)

    return step


def _keras_order(a: Any, cell: str) -> Any:
    """Columns of our gates in the order of Keras, which has those of a GRU as z, r, n."""
    if cell != "gru":
        return a
    r, z, n = np.split(a, 3, axis=-1)
    return np.concatenate([z, r, n], axis=-1)
