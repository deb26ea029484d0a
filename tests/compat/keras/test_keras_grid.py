"""The facade against Keras 3 on torch: outputs, states and all gradients, over a random grid.

Both get the same weights, inputs, states, masks and, with dropout, the same dropout masks.
Keras computes in float64. Errors are relative to the largest entry of each reference.
"""

from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from keras_oracle import open_keras, run_keras, worst

from rnn_xp.backend import get_backend, to_host
from rnn_xp.compat import keras as ours
from rnn_xp.compat.keras.nest import flatten, pack

keras = open_keras()

# Forward, gradients, and the floor of `worst`.
TOLERANCES = {"float64": (1e-12, 1e-12, 0.0), "float32": (1e-6, 5e-6, 0.25)}
KINDS = ("SimpleRNN", "LSTM", "GRU")
GRID = settings(
    max_examples=25, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck)
)


@dataclass
class Case:
    """What one example runs; `make(library)` builds the layer in either library."""

    cells: list  # (kind, units, arguments) each
    form: str  # "layer", "cells" or "bidirectional"
    options: dict
    merge: str | None
    sizes: tuple  # N, T, D
    seed: int
    masked: str
    with_state: bool
    drop: dict = field(default_factory=dict)  # (cell, kind of mask) -> masks

    def __post_init__(self):
        self.rng = np.random.default_rng(self.seed)
        N, T, D = self.sizes
        self.x = self.rng.standard_normal((N, T, D)).astype("float32").astype("float64")
        self.mask = None
        if self.masked == "random":
            self.mask = self.rng.random((N, T)) < 0.6
        elif self.masked == "lengths":
            self.mask = np.arange(T) < self.rng.integers(0, T + 1, N)[:, None]

    @property
    def training(self):
        return any(a.get("dropout") or a.get("recurrent_dropout") for _, _, a in self.cells)

    def make(self, library, dtype="float64", **extra):
        common = {"dtype": dtype, **extra}
        if self.form == "cells":
            cells = [getattr(library, f"{k}Cell")(u, **a, **common) for k, u, a in self.cells]
            # Keras makes a list into a stack of float32, whatever the dtype of its cells.
            stack = library.StackedRNNCells(cells, **common) if len(cells) > 1 else cells[0]
            return library.RNN(stack, **self.options, **common)
        kind, units, arguments = self.cells[0]
        layer = getattr(library, kind)(units, **arguments, **self.options, **common)
        if self.form == "layer":
            return layer
        return library.Bidirectional(layer, merge_mode=self.merge, **common)

    def state(self):
        if not self.with_state:
            return None
        N = self.sizes[0]
        one = [[np.zeros((N, u))] * (2 if kind == "LSTM" else 1) for kind, u, _ in self.cells]
        template = one if len(self.cells) > 1 else one[0]
        if self.form == "bidirectional":
            template = template * 2
        draws = [self.rng.standard_normal(p.shape) for p in flatten(template)]
        return pack(template, [d.astype("float32").astype("float64") for d in draws])


def leaf_cells(layer):
    """The cells of a layer of either library."""
    if hasattr(layer, "forward_layer"):
        return leaf_cells(layer.forward_layer) + leaf_cells(layer.backward_layer)
    cell = layer.cell
    return list(cell.cells) if hasattr(cell, "cells") else [cell]


def preset_dropout(case, mine, theirs):
    """Give the cells of both libraries the same masks."""
    import torch

    N = case.sizes[0]
    for own, other in zip(leaf_cells(mine), leaf_cells(theirs), strict=True):
        width = to_host(own.kernel).shape[0]
        masks = {}
        for kind, size, ratio in ((0, width, own.dropout), (1, own.units, own.recurrent_dropout)):
            shape = (N, size) if own.masks.count is None else (own.masks.count, N, size)
            masks[kind] = None
            if ratio > 0:
                masks[kind] = (case.rng.random(shape) >= ratio) / (1.0 - ratio)
                masks[kind] = masks[kind].astype("float32").astype("float64")

        def draw(kind, rows, size, backend, dtype, masks=masks):
            return None if masks[kind] is None else backend.asarray(masks[kind], dtype)

        own.masks.draw = draw
        names = ("_dropout_mask", "_recurrent_dropout_mask")
        for name, value in zip(names, masks.values(), strict=True):
            if value is not None:
                value = torch.tensor(value)
                setattr(other, name, list(value) if own.masks.count else value)


def check(case, spec="numpy"):
    be = get_backend(spec)
    state = case.state()
    for dtype, (forward, backward, floor) in TOLERANCES.items():
        mine = case.make(ours, dtype, backend=be)
        mine.build(case.x.shape)
        rng = np.random.default_rng(case.seed + 1)
        # Small enough that no gate saturates: 1 - y * y has few digits in float32 there.
        weights = [0.6 * rng.standard_normal(w.shape) / w.shape[0] ** 0.5 for w in mine.weights]
        weights = [w.astype("float32").astype("float64") for w in weights]
        mine.set_weights(weights)
        theirs = case.make(keras.layers)
        theirs.build(case.x.shape)
        preset_dropout(case, mine, theirs)

        def upstream(k, shape):
            draws = np.random.default_rng(k + 7).standard_normal(shape)
            return draws.astype("float32").astype("float64")

        outputs, gradients = run_keras(
            theirs, weights, case.x, state, case.mask, upstream, training=case.training
        )
        given_state = None
        if state is not None:
            given_state = pack(state, [be.asarray(p, dtype) for p in flatten(state)])
        found = mine(be.asarray(case.x, dtype), given_state, mask=case.mask, training=case.training)
        parts = flatten(found)
        assert worst([to_host(p) for p in parts], outputs, floor) <= forward
        dparts = [be.asarray(upstream(k, tuple(p.shape)), dtype) for k, p in enumerate(parts)]
        packed = pack(found, dparts)
        dx = mine.backward(*packed) if isinstance(found, tuple) else mine.backward(packed)
        reference = gradients["x"] + gradients["weights"]
        gotten = [dx, *mine.grads]
        if state is not None:
            reference = reference + gradients["state"]
            gotten += flatten(mine.dstate)
        assert worst([to_host(g) for g in gotten], reference, floor) <= backward


@st.composite
def cell(draw, kinds=KINDS, dropout=False):
    kind = draw(st.sampled_from(kinds))
    arguments = {"use_bias": draw(st.booleans())}
    if draw(st.integers(0, 2)) == 0:
        arguments["activation"] = draw(st.sampled_from(["sigmoid", "softsign", None, "elu"]))
        if kind != "SimpleRNN":
            arguments["recurrent_activation"] = draw(st.sampled_from(["tanh", "softsign"]))
    if kind == "GRU":
        arguments["reset_after"] = draw(st.booleans())
    if dropout:
        arguments["dropout"] = draw(st.sampled_from([0.0, 0.4]))
        arguments["recurrent_dropout"] = draw(st.sampled_from([0.0, 0.3]))
    return kind, draw(st.integers(1, 5)), arguments


@st.composite
def cases(draw, form, dropout=False):
    count = draw(st.integers(1, 3)) if form == "cells" else 1
    cells = [draw(cell(dropout=dropout)) for _ in range(count)]
    if form == "cells" and dropout:
        for kind, _, arguments in cells:
            if kind != "SimpleRNN":
                arguments["implementation"] = draw(st.sampled_from([1, 2]))
    options = {
        "return_sequences": draw(st.booleans()),
        "return_state": draw(st.booleans()),
        "zero_output_for_mask": draw(st.booleans()),
    }
    if form != "bidirectional":
        options["go_backwards"] = draw(st.booleans())
    return Case(
        cells,
        form,
        options,
        draw(st.sampled_from(["concat", "sum", "mul", "ave", None])),
        (draw(st.integers(1, 4)), draw(st.integers(1, 6)), draw(st.integers(1, 5))),
        draw(st.integers(0, 10**6)),
        draw(st.sampled_from(["none", "random", "lengths"])),
        draw(st.booleans()),
    )


@GRID
@given(case=cases("layer"))
def test_layers(case):
    check(case)


@GRID
@given(case=cases("cells"))
def test_cells_and_stacks_of_cells(case):
    check(case)


@GRID
@given(case=cases("bidirectional"))
def test_bidirectional(case):
    check(case)


@pytest.mark.parametrize("form", ["layer", "cells", "bidirectional"])
def test_dropout_with_the_same_masks(form):
    @settings(GRID, max_examples=15)
    @given(case=cases(form, dropout=True))
    def run(case):
        check(case)

    run()
