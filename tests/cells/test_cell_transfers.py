"""No cell waits for the device: nothing becomes a Python number during a step."""

import backends
import numpy as np
import pytest
from proof.cells import CELL_KINDS
from random_kinds import WRAPPERS, D, N, T, make, numbers, packed

from rnn_xp.layers import TimeCell


@pytest.mark.parametrize("name", CELL_KINDS)
def test_cells(name, strict):
    kind = CELL_KINDS[name]
    rng = np.random.default_rng(0)
    params = [strict.asarray(rng.standard_normal(s)) for s in kind.shapes(D).values()]
    layer = kind.make(params)
    xs = strict.asarray(rng.standard_normal((N, T, D)))
    lengths = strict.asarray([T, 0, 2])
    with backends.no_host_transfer():
        hs = layer.forward(xs, lengths=lengths)
        layer.backward(hs)
    assert isinstance(layer, TimeCell)


@pytest.mark.parametrize("name", WRAPPERS)
def test_random_cells(name, strict):
    params, xs, states, dhs, _ = numbers(name)
    layer = make(name, [strict.asarray(p) for p in params])
    layer.set_state(packed([strict.asarray(s) for s in states]))
    xs, dhs = strict.asarray(xs[0]), strict.asarray(dhs)
    with backends.no_host_transfer():
        layer.forward(xs)
        layer.backward(dhs)
        layer.forward(xs, train=False)
