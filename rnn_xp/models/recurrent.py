"""One recurrent layer of a model, with the options that its configuration names.

What changes the step is a cell in `TimeCell`, and leaves the fast kernels; what does not is
a wrapper around the layer, and keeps them. `LMConfig.generic_because` tells which is which.
"""

from collections.abc import Callable
from typing import Any

from rnn_xp._typing import Array
from rnn_xp.cells import (
    DropoutCell,
    GRUCell,
    LayerNormGRUCell,
    LayerNormLSTMCell,
    LayerNormLSTMPCell,
    LayerNormRNNCell,
    LSTMCell,
    LSTMPCell,
    RNNCell,
    ZoneoutCell,
)
from rnn_xp.initializers import projection_weights, recurrent_weights
from rnn_xp.layers import (
    Layer,
    Residual,
    TimeCell,
    TimeGRU,
    TimeLSTM,
    TimeRNN,
    TrainableState,
    WeightDrop,
)
from rnn_xp.models.config import LMConfig
from rnn_xp.rng import Generator

FAST: dict[str, Any] = {"rnn": TimeRNN, "lstm": TimeLSTM, "gru": TimeGRU}
CELLS: dict[str, Any] = {"rnn": RNNCell, "lstm": LSTMCell, "gru": GRUCell}
LAYER_NORM: dict[str, Any] = {
    "rnn": LayerNormRNNCell,
    "lstm": LayerNormLSTMCell,
    "gru": LayerNormGRUCell,
}
STATE_NAMES = {"rnn": ("h0",), "lstm": ("h0", "c0"), "gru": ("h0",)}
# Streams of random numbers: those of `TimeDropout` count from 0.
WEIGHT_DROP, RECURRENT_DROPOUT, ZONEOUT = 1 << 20, 2 << 20, 3 << 20

Named = dict[str, tuple[Layer, int]]


def recurrent_layer(
    config: LMConfig, number: int, D: int, rng: Generator, put: Callable[[Any], Array]
) -> tuple[Any, Named]:
    """Make layer `number` of a model, stateful and time-major.

    Parameters
    ----------
    config : LMConfig
    number : int
        Counted from 0.
    D : int
        Width of its input.
    rng : numpy.random.Generator
        Where its initial weights are drawn from.
    put : callable
        From a host array to one of the model's dtype on its backend.

    Returns
    -------
    layer : layer
    named : dict of str to (Layer, int)
        Where each parameter lives: ``Wx``, ``Wh``, ``b``, then those of the options.
    """
    H, P = config.hidden, config.width
    kind = FAST[config.cell]
    Wx, Wh = recurrent_weights(rng, D, H, kind.gates, config.init, config.init_scale, P)
    arrays = {"Wx": put(Wx), "Wh": put(Wh), "b": put(_bias(config))}
    layer: Any
    if config.generic_because:
        cell = _cell(config, number, arrays, rng, put)
        layer = TimeCell(cell, stateful=True, time_major=True)
    else:
        layer = kind(*arrays.values(), True, time_major=True)
    named: Named = {name: (layer, index) for index, name in enumerate(arrays)}
    if config.weight_drop > 0.0:
        stream = WEIGHT_DROP + number
        layer = WeightDrop(layer, config.weight_drop, seed=config.seed, stream=stream)
    if config.residual:
        layer = Residual(layer)
    if config.trainable_state:
        layer = TrainableState(layer)
        for index, name in enumerate(STATE_NAMES[config.cell]):
            named[name] = (layer.initial, index)
    return layer, named


def _bias(config: LMConfig) -> Any:
    H, kind = config.hidden, FAST[config.cell]
    if config.cell == "lstm":
        return kind._initial_bias(H, config.forget_bias)
    if config.cell == "gru":
        return kind._initial_bias(H, config.reset_after)
    return kind._initial_bias(H)


def _cell(
    config: LMConfig,
    number: int,
    arrays: dict[str, Array],
    rng: Generator,
    put: Callable[[Any], Array],
) -> Any:
    """The cell with its options; their parameters are added to `arrays`, in the cell's order."""
    H, gates = config.hidden, FAST[config.cell].gates
    make = CELLS[config.cell]
    options: dict[str, Any] = {}
    added: dict[str, Any] = {}
    if config.layer_norm:
        make = LAYER_NORM[config.cell]
        added["gamma"] = _ones((gates * H,) if config.cell == "rnn" else (2, gates * H))
        if config.cell == "lstm":
            added |= {"gamma_c": _ones((H,)), "beta_c": _zeros((H,))}
    if config.is_lstmp:
        make = LayerNormLSTMPCell if config.layer_norm else LSTMPCell
        options["cell_clip"] = config.cell_clip
        if config.peepholes:
            added["peepholes"] = _zeros((3, H))
        if config.projection is not None:
            added["Wp"] = projection_weights(rng, H, config.width, config.init, config.init_scale)
    weights = list(arrays.values())
    extra = {name: put(array) for name, array in added.items()}
    arrays |= extra
    cell = make(*weights, **extra, **options)
    if config.recurrent_dropout > 0.0:
        stream = RECURRENT_DROPOUT + number
        cell = DropoutCell(
            cell,
            state=config.recurrent_dropout,
            variational=True,
            seed=config.seed,
            stream=stream,
        )
    if config.zoneout > 0.0:
        cell = ZoneoutCell(cell, config.zoneout, seed=config.seed, stream=ZONEOUT + number)
    return cell


def _ones(shape: tuple[int, ...]) -> Any:
    return _filled(shape, 1.0)


def _zeros(shape: tuple[int, ...]) -> Any:
    return _filled(shape, 0.0)


def _filled(shape: tuple[int, ...], value: float) -> Any:
    if not shape:
        return value
    return [_filled(shape[1:], value) for _ in range(shape[0])]
