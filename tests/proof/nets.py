"""Nets of layers and wrappers, as cases of the proof grid.

`NetCase.build` makes a net of this package's layers from its specification (see `proof.specs`),
`proof.torch_nets` computes it without them.
"""

import zlib

import numpy as np
from proof.sequences import D, draw
from proof.specs import DROPOUTS, WRAPPERS, has, leaves, part_of, two_outputs

from rnn_xp.backend import to_host
from rnn_xp.layers import (
    Bidirectional,
    Residual,
    Reversed,
    Stack,
    TimeDropout,
    TimeReset,
    TrainableState,
    WeightDrop,
)
from rnn_xp.layers.composite import random_parts
from rnn_xp.layers.state import arrays_in
from rnn_xp.namespace import namespace_of

RATIO, SEED = 0.4, 7


class NetCase:
    """A net with named inputs and outputs; the same interface as `proof.sequences.SequenceCase`.

    Parameters
    ----------
    label : str
        The option, and its line in the README's table.
    spec : nested tuple
        The net.
    kinds : list of (Kind, int)
        For each layer what it is and how wide.
    lengths, mask, resets : nested tuple, optional
    time_major : bool
    call : int
        How many training calls went before: masks depend on it.
    set_states : bool
        Whether the states that the net starts from are inputs.
    ends : bool
        Whether the states that it ends in are outputs.
    tag : str
        Tells cases of one name apart.
    """

    def __init__(self, label, spec, kinds, N, T, **options):
        self.label, self.spec, self.kinds = label, spec, kinds
        self.N, self.T = N, T
        self.lengths, self.mask = options.pop("lengths", None), options.pop("mask", None)
        self.resets = options.pop("resets", None)
        self.time_major = options.pop("time_major", False)
        self.call_number = options.pop("call", 0)
        self.set_states = options.pop("set_states", not has(spec, "trainable"))
        ends = options.pop("ends", True)
        tag = options.pop("tag", "")
        assert not options
        names = ", ".join(kinds[k][0].name for k in leaves(spec))
        self.name = f"{label} of {names}{', time-major' * self.time_major}"
        rng = np.random.default_rng(zlib.crc32(f"{self.name}{tag}".encode()))
        self.widths = {}
        in_width = self._input_width()
        self.inputs = {"xs": draw(rng, (N, T, in_width))}
        width = self._measure(spec, in_width)
        self.names = self._parameter_names(spec)
        shapes = {}
        for k in leaves(spec):
            kind, size = kinds[k]
            shapes |= {f"{k}.{n}": s for n, s in self._shapes(k).items()}
            sizes = kind.state_sizes(size)
            shapes |= {f"{k}.t{s}": (width,) for s, width in enumerate(sizes)}
            shapes |= {f"{k}.s{s}": (N, width) for s, width in enumerate(sizes)}
        self.states = [f"{k}.s{s}" for k in leaves(spec) for s in range(kinds[k][0].states)]
        self.states *= ends
        for name in self.names + self.states * self.set_states:
            self.inputs[name] = draw(rng, shapes[name], 0.6)
        for k in leaves(spec):
            kind, size = kinds[k]
            if getattr(kind, "forget_bias", 0.0):
                self.inputs[f"{k}.b"][size : 2 * size] += kind.forget_bias
        self.upstream = {"hs": draw(rng, (N, T, width))}
        self.upstream |= {f"end {name}": draw(rng, shapes[name]) for name in self.states}

    def __repr__(self):
        return self.name

    @property
    def used(self):
        """What the net's layers are."""
        return [self.kinds[k][0] for k in leaves(self.spec)]

    @property
    def random(self):
        """Whether something is drawn; then a pass without `train` is another function."""
        drawn = any(has(self.spec, name) for name in ("weight drop", *DROPOUTS))
        return drawn or any(kind.random for kind in self.used)

    @property
    def parameters(self):
        """Names of the inputs that are parameters."""
        return self.names

    @property
    def chain(self):
        """Output and input that are one state, from one call to the next."""
        return [(f"end {name}", name) for name in self.states]

    @property
    def subsets(self):
        """Sets of upstream gradients to switch on: output, states, both."""
        ends = tuple(f"end {name}" for name in self.states)
        return (("hs",), ends, ("hs", *ends)) if ends else (("hs",),)

    def _shapes(self, k):
        kind, size = self.kinds[k]
        return kind.shapes(self.widths[k], size)

    def _input_width(self):
        """D, or what a residual connection asks for."""
        kind, size = self.kinds[0]
        if getattr(kind, "residual", False):
            return kind.output_size(size)
        square = part_of(self.spec, "residual")
        return D if square is None else self._measure(square, D)

    def _measure(self, spec, width):
        """Width of a net's output; keeps the width of each layer's input."""
        match spec:
            case ("layer", k):
                self.widths[k] = width
                kind, size = self.kinds[k]
                return kind.output_size(size)
            case ("bidirectional", merge, one, two):
                both = self._measure(one, width), self._measure(two, width)
                return sum(both) if merge in ("concat", None) else both[0]
            case ("stack", *parts):
                for part in parts:
                    width = self._measure(part, width)
                return width
            case (name, _) if name in DROPOUTS:
                return width
            case (name, inner) if name in WRAPPERS:
                return self._measure(inner, width)
        raise AssertionError(spec)

    def _parameter_names(self, spec):
        """Names of the net's parameters, in the order of its `params`."""
        if spec[0] == "layer":
            return [f"{spec[1]}.{name}" for name in self._shapes(spec[1])]
        names = [n for p in spec if isinstance(p, tuple) for n in self._parameter_names(p)]
        if spec[0] == "trainable":
            names += [f"{k}.t{s}" for k in leaves(spec) for s in range(self.kinds[k][0].states)]
        return names

    def build(self, arrays, *, stateful=False):
        """The net, and itself in a list, from arrays."""
        net = self._build(self.spec, arrays, stateful)
        for part in random_parts(net):
            part.counter = self.call_number
        return net, [net]

    def _build(self, spec, arrays, stateful):
        def make(part):
            return self._build(part, arrays, stateful)

        match spec:
            case ("layer", k):
                params = [arrays[f"{k}.{name}"] for name in self._shapes(k)]
                return self.kinds[k][0].make(params, stateful=stateful, time_major=self.time_major)
            case ("weight drop", inner):
                return WeightDrop(make(inner), RATIO, seed=SEED, stream=leaves(inner)[0])
            case (name, stream) if name in DROPOUTS:
                return TimeDropout(
                    RATIO,
                    variational=name != "dropout",
                    seed=SEED,
                    stream=stream,
                    time_major=self.time_major,
                )
            case ("trainable", inner):
                return TrainableState(make(inner), self._tree(inner, arrays, "t"))
            case ("residual", inner):
                return Residual(make(inner))
            case ("resets", inner):
                return TimeReset(make(inner))
            case ("reversed", inner):
                return Reversed(make(inner))
            case ("bidirectional", merge, one, two):
                return Bidirectional(make(one), make(two), merge)
            case ("stack", *parts):
                return Stack([make(part) for part in parts])
        raise AssertionError(spec)

    def _tree(self, spec, arrays, letter, prefix=""):
        """Arrays of the states in the structure of the net's state."""
        if spec[0] == "layer":
            kind, k = self.kinds[spec[1]][0], spec[1]
            return kind.pack([arrays[f"{prefix}{k}.{letter}{s}"] for s in range(kind.states)])
        if spec[0] in DROPOUTS:
            return None
        parts = [self._tree(p, arrays, letter, prefix) for p in spec if isinstance(p, tuple)]
        return parts[0] if spec[0] in WRAPPERS else parts

    def start(self, layers, arrays):
        if self.set_states:
            layers[0].set_state(self._tree(self.spec, arrays, "s"))

    def call(self, net, xs, *, train):
        given = {}
        for name in ("mask", "resets"):
            value = getattr(self, name)
            if value is not None:
                value = np.array(value)
                given[name] = value.T if self.time_major else value
        if self.lengths is not None:
            given["lengths"] = list(self.lengths)
        hs = net.forward(self.turn(xs), train=train or self.random, **given)
        return self.turn(namespace_of(xs).concat(hs, axis=2) if isinstance(hs, tuple) else hs)

    def turn(self, a):
        """(N, T, ...) to (T, N, ...) and back for a time-major net."""
        if a is None or not self.time_major:
            return a
        return namespace_of(a).permute_dims(a, (1, 0, 2))

    def outputs(self, hs, layers):
        """Host copies of the output sequence and of the final states."""
        ends = [f"end {name}" for name in self.states]
        states = [to_host(a) for a in arrays_in(layers[0].state)] if ends else []
        return {"hs": to_host(hs), **dict(zip(ends, states, strict=True))}

    def forward(self, values, be, dtype):
        """Outputs on the host, of a forward pass without `train` if nothing is drawn."""
        arrays = {k: be.asarray(v, dtype) for k, v in values.items()}
        net, layers = self.build(arrays)
        self.start(layers, arrays)
        return self.outputs(self.call(net, arrays["xs"], train=False), layers)

    def backward(self, net, layers, upstream):
        """Gradients on the host, by name of the input."""
        dhs = self.turn(upstream.get("hs"))
        if dhs is not None and two_outputs(self.spec):
            half = dhs.shape[2] // 2
            dhs = (dhs[:, :, :half], dhs[:, :, half:])
        ends = any(k != "hs" for k in upstream)
        dstate = self._tree(self.spec, upstream, "s", "end ") if ends else None
        grads = {"xs": to_host(self.turn(net.backward(dhs, dstate=dstate)))}
        for name, grad in zip(self.names, net.grads, strict=True):
            grads[name] = to_host(grad).copy()
        if self.set_states:
            for name, grad in zip(self.states, arrays_in(net.dstate), strict=True):
                grads[name] = to_host(grad)
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

    def torch(self, given):
        from proof.torch_nets import torch_net

        return torch_net(self, given)
