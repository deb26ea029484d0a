"""Two calls of a stateful layer as a case of the proof grid."""

from rnn_xp.backend import get_backend


class StatefulCase:
    """Two calls of a stateful layer: the second starts where the first one ended.

    Its reference are two calls on their own; the state between them is a constant for the
    second, because the gradient stops there. So the inputs are those of both calls.

    Parameters
    ----------
    first, second : SequenceCase or NetCase
        The same net with other numbers; the second one gets the parameters of the first
        and starts from its final state.
    """

    def __init__(self, first, second):
        self.first, self.second = first, second
        self.name = first.name
        for name in first.parameters:
            second.inputs[name] = first.inputs[name]
        ended = first.forward(first.inputs, get_backend("numpy"), "float64")
        for end, start in first.chain:
            second.inputs[start] = ended[end]
        self.inputs = join(first.inputs, second.inputs)
        self.upstream = join(first.upstream, second.upstream)

    def __repr__(self):
        return self.name

    @property
    def calls(self):
        """The two calls by the prefix of their names."""
        return {"1/": self.first, "2/": self.second}

    @property
    def label(self):
        return self.first.label

    @property
    def kind(self):
        return self.first.kind

    @property
    def option(self):
        return self.first.option

    @property
    def used(self):
        return self.first.used

    @property
    def subsets(self):
        """The sets of one call, switched on in both."""
        return tuple(
            tuple(f"{call}/{k}" for call in (1, 2) for k in chosen) for chosen in self.first.subsets
        )

    def forward(self, values, be, dtype):
        first, second = split(values)
        return join(self.first.forward(first, be, dtype), self.second.forward(second, be, dtype))

    def gradients(self, be, dtype, chosen):
        arrays = {k: be.asarray(v, dtype) for k, v in self.first.inputs.items()}
        net, layers = self.first.build(arrays, stateful=True)
        self.first.start(layers, arrays)
        results = []
        for call, part in ((self.first, "1/"), (self.second, "2/")):
            hs = call.call(net, be.asarray(call.inputs["xs"], dtype), train=True)
            outputs = call.outputs(hs, layers)
            upstream = {
                k[2:]: be.asarray(self.upstream[k], dtype) for k in chosen if k.startswith(part)
            }
            results.append((outputs, call.backward(net, layers, upstream)))
        (outputs1, grads1), (outputs2, grads2) = results
        return join(outputs1, outputs2), join(grads1, grads2)

    def torch(self, leaves):
        first, second = split(leaves)
        return join(self.first.torch(first), self.second.torch(second))


def join(first, second):
    return {f"1/{k}": v for k, v in first.items()} | {f"2/{k}": v for k, v in second.items()}


def split(values):
    return tuple(
        {k[2:]: v for k, v in values.items() if k.startswith(part)} for part in ("1/", "2/")
    )
