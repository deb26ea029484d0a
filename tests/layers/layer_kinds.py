"""The recurrent layers as the tests of this folder make them."""

import numpy as np

from rnn_xp.cells import LSTMCell
from rnn_xp.layers import TimeCell, TimeGRU, TimeLSTM, TimeRNN

N, T, D, H = 3, 4, 2, 5

LAYERS = {
    "rnn": (TimeRNN, 1, (H,)),
    "lstm": (TimeLSTM, 4, (4 * H,)),
    "gru-after": (TimeGRU, 3, (2, 3 * H)),
    "gru-before": (TimeGRU, 3, (3 * H,)),
    "cell": (lambda *p, **o: TimeCell(LSTMCell(*p[:3]), *p[3:], **o), 4, (4 * H,)),
}


def weights(name, be, dtype="float64", seed=0):
    """Wx, Wh, b."""
    _, gates, bias = LAYERS[name]
    rng = np.random.default_rng(seed)
    shapes = ((D, gates * H), (H, gates * H), bias)
    return [be.asarray(0.5 * rng.standard_normal(s), dtype) for s in shapes]


def make(name, be, *, dtype="float64", seed=0, **options):
    """A layer with weights from `seed`."""
    return LAYERS[name][0](*weights(name, be, dtype, seed), **options)


def draw(be, *shape, dtype="float64", seed=1):
    return be.asarray(np.random.default_rng(seed).standard_normal(shape), dtype)


def set_state(layer, h, c):
    """Set the state of any of the layers, from h and, where there is one, c."""
    if isinstance(layer, TimeCell):
        layer.set_state((h, c))
    elif isinstance(layer, TimeLSTM):
        layer.set_state(h, c)
    else:
        layer.set_state(h)


def parts(state):
    """The arrays of a state."""
    return list(state) if isinstance(state, tuple) else [state]


def initial_gradients(layer):
    if isinstance(layer, TimeCell):
        return parts(layer.dstate)
    return [layer.dh, layer.dc] if isinstance(layer, TimeLSTM) else [layer.dh]
