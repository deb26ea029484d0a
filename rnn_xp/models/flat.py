"""All parameters of a model in one array, and all gradients in another.

One norm, one update, one all-reduce: an optimiser step costs the same few calls for a
model of fifty parameters as for a model of one.
"""

from typing import Any

from rnn_xp._typing import Array
from rnn_xp.layers import Layer
from rnn_xp.namespace import namespace_of

# Views start at multiples of this many bytes: what GPU loads and cache lines like.
ALIGNMENT = 256


class FlatParameters:
    """Copy the parameters of `layers` into one buffer and rebind the layers to views of it.

    Parameters
    ----------
    named : dict of str to list of (Layer, int)
        For each name the places (layer, index into its ``params``) that hold the parameter;
        more than one place means that it is shared.
    itemsize : int
        Bytes of one element.

    Attributes
    ----------
    params, grads : array, shape (total,)
        The buffers. Gaps between parameters are zero in both and stay so.
    views, grad_views : dict of str to array
        The named parameters and their gradients, in order.
    spans : dict of str to (int, int)
        Where each parameter lies in the buffers, padding excluded.
    places : dict of str to list of (Layer, int)
        `named`: where the layers hold the views.
    """

    def __init__(self, named: dict[str, list[tuple[Layer, int]]], itemsize: int):
        self.places, self.itemsize = named, itemsize
        step = ALIGNMENT // itemsize
        self.spans: dict[str, tuple[int, int]] = {}
        total = 0
        for name, places in named.items():
            array = _at(places)
            count = 1
            for width in array.shape:
                count *= int(width)
            self.spans[name] = (total, total + count)
            total += -(-count // step) * step
        first = _at(next(iter(named.values())))
        xp = namespace_of(first)
        self.params = xp.zeros((total,), dtype=first.dtype, device=first.device)
        self.grads = xp.zeros((total,), dtype=first.dtype, device=first.device)
        self.views: dict[str, Array] = {}
        self.grad_views: dict[str, Array] = {}
        for name, places in named.items():
            array, (start, stop) = _at(places), self.spans[name]
            view = xp.reshape(self.params[start:stop], tuple(array.shape))
            grad = xp.reshape(self.grads[start:stop], tuple(array.shape))
            view[...] = array
            self.views[name], self.grad_views[name] = view, grad
            for layer, index in places:
                layer.params[index] = view
                layer.grads[index] = grad

    def over(self, twins: dict[int, Layer]) -> "FlatParameters":
        """The like for other layers; `twins` has them by the ``id`` of these."""
        named = {
            name: [(twins[id(layer)], index) for layer, index in places]
            for name, places in self.places.items()
        }
        return FlatParameters(named, self.itemsize)

    def __reduce__(self) -> tuple[Any, ...]:
        """What `copy` and `pickle` take: the layers. Buffers and views are made anew of them."""
        return FlatParameters, (self.places, self.itemsize)

    def segments(self, excluded: set[str]) -> list[tuple[int, int]]:
        """Longest runs of the buffers that hold no parameter of `excluded`."""
        runs: list[tuple[int, int]] = []
        names = list(self.spans)
        ends = [self.spans[n][0] for n in names[1:]] + [int(self.params.shape[0])]
        for name, end in zip(names, ends, strict=True):
            start = self.spans[name][0]
            if name in excluded:
                continue
            if runs and runs[-1][1] == start:
                runs[-1] = (runs[-1][0], end)
            else:
                runs.append((start, end))
        return runs


def _at(places: list[tuple[Layer, int]]) -> Any:
    layer, index = places[0]
    return layer.params[index]
