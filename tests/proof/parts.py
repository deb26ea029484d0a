"""The layers without recurrence, as cases of the proof grid: embedding, affine, dropout, losses."""

import zlib

import numpy as np
from proof.sequences import draw

from rnn_xp.backend import to_host
from rnn_xp.layers import (
    TimeAffine,
    TimeAffineSoftmaxWithLoss,
    TimeDropout,
    TimeEmbedding,
    TimeSoftmaxWithLoss,
)
from rnn_xp.rng import DropoutKey, draw_dropout_mask

N, T, H, V = 2, 3, 3, 5
LONG = 180  # with N = 2 more rows than the generic loss takes in one chunk
IGNORE = -1


class PartCase:
    """One layer: named inputs, one named output, and the same function by torch.

    Parameters
    ----------
    name, label : str
    inputs : dict of str to shape
    output : str
        "ys" or "loss".
    ours : callable ``(arrays, train) -> (output, backward)``
        ``backward(doutput)`` returns the gradients by name of the input.
    torch : callable ``(leaves) -> output``
    """

    def __init__(self, name, label, inputs, output, ours, torch):
        self.name, self.label = name, label
        rng = np.random.default_rng(zlib.crc32(name.encode()))
        self.inputs = {k: draw(rng, shape) for k, shape in inputs.items()}
        self.output, self._ours, self._torch = output, ours, torch
        shape = self.forward(self.inputs, _numpy(), "float64")[output].shape
        self.upstream = {output: np.array(0.75) if output == "loss" else draw(rng, shape)}

    def __repr__(self):
        return self.name

    @property
    def subsets(self):
        """Sets of upstream gradients to switch on."""
        return ((self.output,),)

    def forward(self, values, be, dtype):
        arrays = {k: be.asarray(v, dtype) for k, v in values.items()}
        return {self.output: to_host(self._ours(arrays, False)[0])}

    def gradients(self, be, dtype, chosen):
        arrays = {k: be.asarray(v, dtype) for k, v in self.inputs.items()}
        output, backward = self._ours(arrays, True)
        given = self.upstream[self.output]
        upstream = float(given) if self.output == "loss" else be.asarray(given, dtype)
        grads = {k: to_host(g) for k, g in backward(upstream).items()}
        return {self.output: to_host(output)}, grads

    def torch(self, leaves):
        return {self.output: self._torch(leaves)}


def _numpy():
    from rnn_xp.backend import get_backend

    return get_backend("numpy")


def _ids(name, shape, size, ignored=0.0):
    """Ids on the host, some of them repeated, a share of them ignored."""
    rng = np.random.default_rng(zlib.crc32(f"{name} ids".encode()))
    ids = rng.integers(0, size, shape)
    if ignored:
        ids[rng.random(shape) < ignored] = IGNORE
        ids.reshape(-1)[0] = IGNORE
    return ids


def embedding():
    ids = _ids("embedding", (N, T), V)

    def ours(arrays, train):
        layer = TimeEmbedding(arrays["W"])
        ys = layer.forward(ids, train=train)

        def backward(dys):
            layer.backward(dys)
            return {"W": layer.grads[0]}

        return ys, backward

    shapes = {"W": (V, H)}
    return PartCase("embedding", "`TimeEmbedding`", shapes, "ys", ours, lambda v: v["W"][ids])


def affine(name, transposed, bias):
    shapes = {"xs": (N, T, H), "W": (V, H) if transposed else (H, V)} | (
        {"b": (V,)} if bias else {}
    )

    def ours(arrays, train):
        layer = TimeAffine(arrays["W"], arrays.get("b"), transposed=transposed)
        ys = layer.forward(arrays["xs"], train=train)

        def backward(dys):
            dxs = layer.backward(dys)
            return dict(zip(shapes, (dxs, *layer.grads), strict=True))

        return ys, backward

    def torch(v):
        ys = v["xs"] @ (v["W"].T if transposed else v["W"])
        return ys + v["b"] if bias else ys

    return PartCase(name, "`TimeAffine`", shapes, "ys", ours, torch)


def dropout(name, variational):
    def ours(arrays, train):
        layer = TimeDropout(0.4, variational=variational, seed=7, stream=1)
        # A pass without `train` drops nothing; differences are about the pass that does.
        ys = layer.forward(arrays["xs"], train=True)
        return ys, lambda dys: {"xs": layer.backward(dys)}

    def torch(v):
        import torch

        shape = (1, N, H) if variational else (T, N, H)
        mask = draw_dropout_mask(shape, 0.4, DropoutKey(7, 1, 0)).transpose(1, 0, 2)
        return v["xs"] * torch.tensor(mask, dtype=v["xs"].dtype)

    return PartCase(name, "`TimeDropout`", {"xs": (N, T, H)}, "ys", ours, torch)


def cross_entropy(scores, ids):
    """torch's own mean loss over the targets that count; 0 if there are none."""
    import torch

    flat = torch.tensor(ids.reshape(-1))
    total = torch.nn.functional.cross_entropy(
        scores.reshape(len(flat), -1), flat, ignore_index=IGNORE, reduction="sum"
    )
    return total / max(int((flat != IGNORE).sum()), 1)


def softmax(name, ids):
    def ours(arrays, train):
        layer = TimeSoftmaxWithLoss(IGNORE)
        loss = layer.forward(arrays["xs"], ids, train=train)
        return loss, lambda dout: {"xs": layer.backward(dout)}

    return PartCase(
        name,
        "`TimeSoftmaxWithLoss`",
        {"xs": (*ids.shape, V)},
        "loss",
        ours,
        lambda v: cross_entropy(v["xs"], ids),
    )


def fused(name, ids, width, size, transposed=False, bias=True):
    W = (size, width) if transposed else (width, size)
    shapes = {"xs": (*ids.shape, width), "W": W} | ({"b": (size,)} if bias else {})

    def ours(arrays, train):
        layer = TimeAffineSoftmaxWithLoss(
            arrays["W"], arrays.get("b"), transposed=transposed, ignore_label=IGNORE
        )
        loss = layer.forward(arrays["xs"], ids, train=train)

        def backward(dout):
            dxs = layer.backward(dout)
            return dict(zip(shapes, (dxs, *layer.grads), strict=True))

        return loss, backward

    def torch(v):
        scores = v["xs"] @ (v["W"].T if transposed else v["W"])
        return cross_entropy(scores + v["b"] if bias else scores, ids)

    return PartCase(name, "`TimeAffineSoftmaxWithLoss`", shapes, "loss", ours, torch)


def tied():
    """One matrix as embedding and as output layer: both gradients in one array."""
    ids, targets = _ids("tied in", (N, T), V), _ids("tied out", (N, T), V, 0.3)

    def ours(arrays, train):
        embedding = TimeEmbedding(arrays["W"], shared=True)
        output = TimeAffineSoftmaxWithLoss(arrays["W"], arrays["b"], transposed=True)
        embedding.grads = output.grads[:1]
        loss = output.forward(embedding.forward(ids, train=train), targets, train=train)

        def backward(dout):
            embedding.backward(output.backward(dout))
            return {"W": output.grads[0], "b": output.grads[1]}

        return loss, backward

    return PartCase(
        "tied",
        "embedding and output tied",
        {"W": (V, H), "b": (V,)},
        "loss",
        ours,
        lambda v: cross_entropy(v["W"][ids] @ v["W"].T + v["b"], targets),
    )


PARTS = (
    embedding(),
    affine("affine", False, True),
    affine("affine without bias", False, False),
    affine("affine transposed", True, True),
    dropout("dropout", False),
    dropout("dropout variational", True),
    softmax("softmax", _ids("softmax", (N, T), V)),
    softmax("softmax ignore", _ids("softmax", (N, T), V, 0.3)),
    softmax("softmax all ignored", np.full((N, T), IGNORE)),
    fused("fused", _ids("fused", (N, T), V), H, V),
    fused("fused ignore", _ids("fused", (N, T), V, 0.3), H, V),
    fused("fused all ignored", np.full((N, T), IGNORE), H, V),
    fused("fused transposed", _ids("fused", (N, T), V), H, V, transposed=True),
    fused("fused without bias", _ids("fused", (N, T), V), H, V, bias=False),
    fused("fused chunks", _ids("chunks", (N, LONG), 3), 2, 3),
    fused("fused chunks ignore", _ids("chunks", (N, LONG), 3, 0.3), 2, 3, transposed=True),
    tied(),
)
