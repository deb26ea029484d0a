"""Stacked and bidirectional layers as a list of levels, and back."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Unpack

from rnn_xp.errors import ConversionError
from rnn_xp.interop.weights import (
    LayerOptions,
    RecurrentWeights,
    layer_from_weights,
    weights_from_layer,
)
from rnn_xp.layers import Bidirectional, Stack, TimeDropout
from rnn_xp.layers.reverse import Reversed
from rnn_xp.layers.weight_drop import WeightDrop


@dataclass(frozen=True, slots=True)
class Level:
    """One level of a stack.

    Attributes
    ----------
    cells : tuple of RecurrentWeights
        One, or for a bidirectional level two: forward, backward.
    merge : str or None
        How the outputs of two directions become one; see `Bidirectional`.
    reverse : bool
        Whether the only direction is the backward one.
    """

    cells: tuple[RecurrentWeights, ...]
    merge: str | None = "concat"
    reverse: bool = False

    @property
    def output_size(self) -> int:
        """Width of what the next level sees."""
        sizes = [cell.output_size for cell in self.cells]
        return sum(sizes) if self.merge == "concat" else sizes[0]


def net_from_levels(levels: Sequence[Level], **options: Unpack[LayerOptions]) -> Any:
    """The layer for one level, a `Stack` for several."""
    layers = [level_layer(level, **options) for level in levels]
    return layers[0] if len(layers) == 1 else Stack(layers)


def level_layer(level: Level, **options: Unpack[LayerOptions]) -> Any:
    """The layer for one level."""
    return joined(level, [layer_from_weights(cell, **options) for cell in level.cells])


def joined(level: Level, layers: Sequence[Any]) -> Any:
    """The layers of the directions of `level` as one."""
    if len(layers) == 2:
        return Bidirectional(layers[0], layers[1], level.merge)
    return Reversed(layers[0]) if level.reverse else layers[0]


def levels_from_net(net: Any, where: str) -> list[Level]:
    """Take a net apart; `TimeDropout` and `WeightDrop`, which only train, leave no trace.

    Raises
    ------
    ConversionError
        If a part of it is not a recurrent layer of this package.
    """
    return [level_from_layer(layer, where) for layer in parts(net)]


def parts(net: Any) -> list[Any]:
    """The layers of a (nested) `Stack`, without what does nothing outside training."""
    if isinstance(net, Stack):
        return [part for layer in net.layers for part in parts(layer)]
    if isinstance(net, TimeDropout):
        return []
    return parts(net.layer) if isinstance(net, WeightDrop) else [net]


def level_from_layer(layer: Any, where: str) -> Level:
    """Take one recurrent layer apart."""
    if isinstance(layer, Reversed):
        return Level((_single(layer.layer, where),), reverse=True)
    if not isinstance(layer, Bidirectional):
        return Level((weights_from_layer(layer, where),))
    directions = (layer.forward_layer, layer.backward_layer)
    return Level(tuple(_single(one, where) for one in directions), layer.merge)


def _single(net: Any, where: str) -> RecurrentWeights:
    layers = parts(net)
    if len(layers) != 1:
        raise ConversionError(
            f"{where}: a direction that is a Stack of {len(layers)} layers has no equal there; "
            "expected a Stack of Bidirectional layers"
        )
    return weights_from_layer(layers[0], where)


def net_from_directions(
    directions: Sequence[Sequence[RecurrentWeights]],
    merge: str | None,
    **options: Unpack[LayerOptions],
) -> Any:
    """One or two stacks of cells as a layer: `Bidirectional` of the two stacks."""
    stacks = [
        net_from_levels([Level((cell,)) for cell in cells], **options) for cells in directions
    ]
    return stacks[0] if len(stacks) == 1 else Bidirectional(stacks[0], stacks[1], merge)


def directions_from_net(net: Any, where: str) -> tuple[list[list[RecurrentWeights]], str | None]:
    """The cells of the forward and, if there is one, of the backward direction; the merge.

    Raises
    ------
    ConversionError
        If there is no recurrent layer, or a part of the net is not one of this package.
    """
    whole = parts(net)
    outer = whole[0] if len(whole) == 1 else None
    merge: str | None = "concat"
    nets = [net]
    if isinstance(outer, Bidirectional):
        nets, merge = [outer.forward_layer, outer.backward_layer], outer.merge
    directions = [[weights_from_layer(part, where) for part in parts(one)] for one in nets]
    if not all(directions):
        raise ConversionError(f"{where}: there is no recurrent layer")
    return directions, merge
