"""Recurrent layers, run by this package: one case of the proof grid each.

A case has named inputs (parameters, sequence, initial states) and named outputs (the
output sequence and, for a single layer, the final states). `forward` and `gradients` run
the package, `torch` is the same function by an independent program.
"""

import zlib
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from proof.usercell import LeakyCell

from rnn_xp.backend import to_host
from rnn_xp.cells import GRUCell, LSTMCell, RNNCell
from rnn_xp.layers import Bidirectional, Stack, TimeCell, TimeGRU, TimeLSTM, TimeRNN
from rnn_xp.namespace import namespace_of

D, H, K = 2, 3, 2  # input, hidden, and output width of the user's cell


@dataclass(frozen=True)
class Kind:
    """A layer class or a cell class.

    `gates` and `bias_rows` give the shapes of Wx, Wh, b; `states` is the number of state
    arrays; `make` builds the layer from its parameters.
    """

    name: str
    label: str
    gates: int
    states: int
    make: object
    bias_rows: int = 0
    cell: bool = False  # runs in TimeCell
    random: bool = False  # draws something in a training call

    def shapes(self, width, size=H):
        """Shapes of the parameters, by name, for an input of `width`."""
        if self.name == "user":
            return {"W": (width, size), "U": (size, size), "P": (size, K)}
        G = self.gates * size
        bias = (self.bias_rows, G) if self.bias_rows else (G,)
        return {"Wx": (width, G), "Wh": (size, G), "b": bias}

    @property
    def width(self):
        return self.output_size(H)

    def output_size(self, size):
        return K if self.name == "user" else size

    def state_sizes(self, size):
        """Widths of the parts of the state."""
        return [size] * self.states

    def pack(self, parts):
        """State arrays in the structure that `set_state` takes."""
        if self.name == "user":
            return (parts[0], (parts[1],))
        return parts[0] if self.states == 1 else tuple(parts)

    def unpack(self, state):
        if self.name == "user":
            return [state[0], state[1][0]]
        return list(state) if isinstance(state, tuple) else [state]


def _activation(name):
    return lambda params, **options: TimeCell(RNNCell(*params, activation=name), **options)


def _cell(cls):
    return lambda params, **options: TimeCell(cls(*params), **options)


def _layer(cls):
    return lambda params, **options: cls(*params, **options)


KINDS = {
    kind.name: kind
    for kind in (
        Kind("rnn", "`TimeRNN`", 1, 1, _layer(TimeRNN)),
        Kind("lstm", "`TimeLSTM`", 4, 2, _layer(TimeLSTM)),
        Kind("gru-after", "`TimeGRU`, reset after", 3, 1, _layer(TimeGRU), bias_rows=2),
        Kind("gru-before", "`TimeGRU`, reset before", 3, 1, _layer(TimeGRU)),
        Kind("relu", "`TimeCell`, `RNNCell` relu", 1, 1, _activation("relu"), cell=True),
        Kind("sigmoid", "`TimeCell`, `RNNCell` sigmoid", 1, 1, _activation("sigmoid"), cell=True),
        Kind("linear", "`TimeCell`, `RNNCell` linear", 1, 1, _activation(None), cell=True),
        Kind("lstm-cell", "`TimeCell`, `LSTMCell`", 4, 2, _cell(LSTMCell), cell=True),
        Kind("gru-cell", "`TimeCell`, `GRUCell`", 3, 1, _cell(GRUCell), bias_rows=2, cell=True),
        Kind("user", "`TimeCell`, a user's cell", 1, 2, _cell(LeakyCell), cell=True),
    )
}


def draw(rng, shape, scale=1.0):
    """Normal draws that float32 holds exactly, so that both dtypes compute with the same."""
    return (rng.standard_normal(shape) * scale).astype(np.float32).astype(np.float64)


class SequenceCase:
    """A recurrent net with non-zero initial states, and one or two layers."""

    def __init__(self, kind, option, N, T, tag=""):
        self.kind, self.option = kind, option
        self.name = f"{kind.name} {option.name}"
        self.N, self.T = N, T
        rng = np.random.default_rng(zlib.crc32(f"{self.name}{tag}".encode()))
        self.layers = 1 if option.net == "single" else 2
        self.inputs = {"xs": draw(rng, (N, T, D))}
        for k in range(self.layers):
            width = kind.width if k == 1 and option.net == "stacked" else D
            for name, shape in kind.shapes(width).items():
                self.inputs[f"{k}.{name}"] = draw(rng, shape, 0.6)
            for s in range(kind.states):
                self.inputs[f"{k}.s{s}"] = draw(rng, (N, H), 0.7)
        width = kind.width * (2 if option.net == "bidirectional" else 1)
        self.upstream = {"hs": draw(rng, (N, T, width))}
        if option.net == "single":
            self.upstream |= {f"s{s}": draw(rng, (N, H)) for s in range(kind.states)}

    def __repr__(self):
        return self.name

    @property
    def label(self):
        """The line of the README's table that this case belongs to."""
        return self.kind.label

    @property
    def parameters(self):
        """Names of the inputs that are parameters."""
        return [name for name in self.inputs if name.split(".s")[0] == name and name != "xs"]

    @property
    def chain(self):
        """Output and input that are one state, from one call to the next."""
        return [(f"s{s}", f"0.s{s}") for s in range(self.kind.states)]

    @property
    def subsets(self):
        """Sets of upstream gradients to switch on: every one that is not empty."""
        names = list(self.upstream)
        return tuple(c for k in range(len(names)) for c in combinations(names, k + 1))

    def params(self, values, k):
        """Parameters of layer `k`, in order."""
        return [values[f"{k}.{name}"] for name in self.kind.shapes(D)]

    def states(self, values, k):
        return [values[f"{k}.s{s}"] for s in range(self.kind.states)]

    def build(self, values, **options):
        """The net and its recurrent layers, from arrays."""
        options = {"time_major": self.option.time_major, **options}
        layers = [self.kind.make(self.params(values, k), **options) for k in range(self.layers)]
        if self.option.net == "single":
            return layers[0], layers
        if self.option.net == "bidirectional":
            return Bidirectional(*layers), layers
        return Stack(layers), layers

    def call(self, net, xs, *, train):
        mask = self.option.mask
        if mask is not None:
            mask = np.array(mask)
            mask = mask.T if self.option.time_major else mask
        lengths = None if self.option.lengths is None else list(self.option.lengths)
        return self.turn(net.forward(self.turn(xs), lengths=lengths, mask=mask, train=train))

    def turn(self, a):
        """(N, T, ...) to (T, N, ...) and back for a time-major layer."""
        if a is None or not self.option.time_major:
            return a
        return namespace_of(a).permute_dims(a, (1, 0, 2))

    def outputs(self, hs, layers):
        """Host copies of the output sequence and of the final states."""
        out = {"hs": to_host(hs)}
        if self.option.net == "single":
            finals = self.kind.unpack(layers[0].state)
            out |= {f"s{s}": to_host(a) for s, a in enumerate(finals)}
        return out

    def forward(self, values, be, dtype):
        """Outputs on the host, of a forward pass without `train`."""
        arrays = {k: be.asarray(v, dtype) for k, v in values.items()}
        net, layers = self.build(arrays)
        self.start(layers, arrays)
        return self.outputs(self.call(net, arrays["xs"], train=False), layers)

    def start(self, layers, arrays):
        for k, layer in enumerate(layers):
            set_state(layer, self.kind, self.states(arrays, k))

    def backward(self, net, layers, upstream):
        """Gradients on the host, by name of the input."""
        dhs = self.turn(upstream.get("hs"))
        if self.option.net == "single":
            finals = [upstream.get(f"s{s}") for s in range(self.kind.states)]
            dxs = backward_to_states(net, self.kind, dhs, finals)
        else:
            dxs = net.backward(dhs)
        grads = {"xs": to_host(self.turn(dxs))}
        for k, layer in enumerate(layers):
            for name, grad in zip(self.kind.shapes(D), layer.grads, strict=True):
                grads[f"{k}.{name}"] = to_host(grad).copy()
            for s, grad in enumerate(initial_gradients(layer, self.kind)):
                grads[f"{k}.s{s}"] = to_host(grad)
        return grads

    def gradients(self, be, dtype, chosen):
        """``(outputs, gradients)`` on the host, with only the `chosen` upstream gradients."""
        arrays = {k: be.asarray(v, dtype) for k, v in self.inputs.items()}
        net, layers = self.build(arrays)
        self.start(layers, arrays)
        hs = self.call(net, arrays["xs"], train=True)
        outputs = self.outputs(hs, layers)
        upstream = {k: be.asarray(self.upstream[k], dtype) for k in chosen}
        return outputs, self.backward(net, layers, upstream)

    def torch(self, leaves):
        from proof.torch_oracle import torch_net

        return torch_net(self, leaves)


def set_state(layer, kind, parts):
    """Set the initial state of a time layer, or of a `TimeCell`."""
    if kind.cell:
        layer.set_state(kind.pack(parts))
    else:
        layer.set_state(*parts)


def backward_to_states(layer, kind, dhs, finals):
    """Backward with gradients into the final states, of which any may be None."""
    if not kind.cell:
        return layer.backward(dhs, *finals)
    if all(part is None for part in finals):
        return layer.backward(dhs)
    like = next(part for part in finals if part is not None)
    return layer.backward(dhs, kind.pack([0.0 * like if p is None else p for p in finals]))


def initial_gradients(layer, kind):
    if kind.cell:
        return kind.unpack(layer.dstate)
    return [layer.dh] if kind.states == 1 else [layer.dh, layer.dc]
