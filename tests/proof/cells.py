"""Cells, their options, and wrappers around them, as rows of the proof grid.

`CELL_KINDS` is in the shape of `proof.sequences.KINDS`; all of them run in `TimeCell`. The
same functions by torch are in `proof.torch_cells`. What is random in a cell is proved in
``tests/cells``, where masks are known; here a zoneout evaluates.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from proof.usercell import LeakyCell

from rnn_xp.cells import (
    GRUCell,
    LayerNormGRUCell,
    LayerNormLSTMCell,
    LayerNormLSTMPCell,
    LayerNormRNNCell,
    LSTMCell,
    LSTMPCell,
    ResidualCell,
    RNNCell,
    StackedCell,
    StatesAsOutputCell,
    WrapperCell,
    ZoneoutCell,
)
from rnn_xp.layers import TimeCell

H, K = 3, 2  # hidden size, and output width of the user's cell
ZONEOUT = (0.25, 0.5)  # of h and c
CELL_CLIP, PROJECTION_CLIP = 0.7, 0.3
# Three numbers may have almost no variance, and then a norm with the default eps of 1e-5 bends
# so much that central differences err by 1e-6. (``tests/cells`` has the default.)
EPS = 0.05


class Evaluating(WrapperCell):
    """Nothing is random, although gradients are asked for."""

    def for_call(self, N, T, train):
        return super().for_call(N, T, False)


@dataclass(frozen=True)
class CellKind:
    """A cell with its options.

    `weights` gives the shapes of the parameters by name, for an input of some width and a
    hidden size; `make_cell` makes the cell from them; `states` is the number of state arrays,
    all as wide as the hidden size.
    """

    name: str
    label: str
    weights: Callable
    make_cell: Callable
    states: int = 1
    width: int = H  # of the output
    nested: bool = False  # whether the state is (array, (array,))
    cell: bool = True  # runs in TimeCell
    random: bool = False  # draws something in a training call

    def shapes(self, width, size=H):
        """Shapes of the parameters, by name, for an input of `width`."""
        return self.weights(width, size)

    def output_size(self, size):
        return self.width if size == H else size

    def state_sizes(self, size):
        """Widths of the parts of the state."""
        return [size] * self.states

    def make(self, params, **options):
        """The layer."""
        return TimeCell(self.make_cell(params), **options)

    def pack(self, parts):
        """State arrays in the structure that `set_state` takes."""
        if self.nested:
            return (parts[0], (parts[1],))
        return parts[0] if self.states == 1 else tuple(parts)

    def unpack(self, state):
        if self.nested:
            return [state[0], state[1][0]]
        return list(state) if isinstance(state, tuple) else [state]


def gated(gates, bias_rows=0, **extra):
    """Shapes of Wx, Wh, b and others; an entry of `extra` is in units of the hidden size."""

    def shapes(width, size):
        G = gates * size
        bias = (bias_rows, G) if bias_rows else (G,)
        others = {k: (*rows, units * size) for k, (*rows, units) in extra.items()}
        return {"Wx": (width, G), "Wh": (size, G), "b": bias, **others}

    return shapes


def projected(shapes):
    """`shapes` and a square projection."""
    return lambda width, size: shapes(width, size) | {"Wp": (size, size)}


def stacked(width, size):
    """A simple cell below a GRU."""
    below = {"Wx": (width, size), "Wh": (size, size), "b": (size,)}
    return below | {"Wx2": (size, 3 * size), "Wh2": (size, 3 * size), "b2": (2, 3 * size)}


def lstmp(peepholes=False, projection=False, **options):
    """`LSTMPCell` from its list of parameters."""
    return partial(_with_optional, LSTMPCell, 3, peepholes, projection, options)


def layer_norm_lstmp(peepholes=False, projection=False, **options):
    """`LayerNormLSTMPCell` likewise."""
    options["eps"] = EPS
    return partial(_with_optional, LayerNormLSTMPCell, 6, peepholes, projection, options)


def _with_optional(cls, count, peepholes, projection, options, params):
    """`cls` of its first `count` parameters by position, and of the others by name."""
    names = ["peepholes"] * peepholes + ["Wp"] * projection
    return cls(*params[:count], **dict(zip(names, params[count:], strict=True)), **options)


LSTM = gated(4)
PEEPHOLES = {"peepholes": (3, 1)}
NORMS = {"gamma": (2, 4), "gamma_c": (1,), "beta_c": (1,)}
peepholes_and_projection = projected(gated(4, **PEEPHOLES))

CELL_KINDS = {
    kind.name: kind
    for kind in (
        CellKind(
            "lstm-activations",
            "`LSTMCell`, silu and hard_sigmoid",
            LSTM,
            lambda p: LSTMCell(*p, activation="silu", recurrent_activation="hard_sigmoid"),
            2,
        ),
        CellKind(
            "gru-after-activations",
            "`GRUCell` reset after, gelu and hard_sigmoid",
            gated(3, 2),
            lambda p: GRUCell(*p, activation="gelu", recurrent_activation="hard_sigmoid"),
        ),
        CellKind(
            "gru-before-activations",
            "`GRUCell` reset before, mish and softsign",
            gated(3),
            lambda p: GRUCell(*p, activation="mish", recurrent_activation="softsign"),
        ),
        CellKind("lstmp", "`LSTMPCell` without options", LSTM, lstmp(), 2),
        CellKind(
            "lstmp-peepholes",
            "`LSTMPCell`, peepholes",
            gated(4, **PEEPHOLES),
            lstmp(peepholes=True),
            2,
        ),
        CellKind(
            "lstmp-projection",
            "`LSTMPCell`, projection",
            projected(LSTM),
            lstmp(projection=True),
            2,
        ),
        CellKind("lstmp-clip", "`LSTMPCell`, cell clipping", LSTM, lstmp(cell_clip=CELL_CLIP), 2),
        CellKind(
            "lstmp-all",
            "`LSTMPCell`, peepholes, projection, both clippings, relu",
            peepholes_and_projection,
            lstmp(
                True,
                True,
                cell_clip=CELL_CLIP,
                projection_clip=PROJECTION_CLIP,
                activation="relu",
            ),
            2,
        ),
        CellKind(
            "layer-norm-rnn",
            "`LayerNormRNNCell`",
            gated(1, gamma=(1,)),
            lambda p: LayerNormRNNCell(*p, eps=EPS),
        ),
        CellKind(
            "layer-norm-lstm",
            "`LayerNormLSTMCell`",
            gated(4, **NORMS),
            lambda p: LayerNormLSTMCell(*p, eps=EPS),
            2,
        ),
        CellKind(
            "layer-norm-peepholes",
            "`LayerNormLSTMPCell`, peepholes",
            gated(4, **NORMS, **PEEPHOLES),
            layer_norm_lstmp(peepholes=True),
            2,
        ),
        CellKind(
            "layer-norm-projection",
            "`LayerNormLSTMPCell`, projection",
            projected(gated(4, **NORMS)),
            layer_norm_lstmp(projection=True),
            2,
        ),
        CellKind(
            "layer-norm-clip",
            "`LayerNormLSTMPCell`, cell clipping",
            gated(4, **NORMS),
            layer_norm_lstmp(cell_clip=CELL_CLIP),
            2,
        ),
        CellKind(
            "layer-norm-lstmp-all",
            "`LayerNormLSTMPCell`, peepholes, projection, both clippings",
            projected(gated(4, **NORMS, **PEEPHOLES)),
            layer_norm_lstmp(True, True, cell_clip=CELL_CLIP, projection_clip=PROJECTION_CLIP),
            2,
        ),
        CellKind(
            "layer-norm-gru",
            "`LayerNormGRUCell`, reset after",
            gated(3, 2, gamma=(2, 3)),
            lambda p: LayerNormGRUCell(*p, eps=EPS),
        ),
        CellKind(
            "layer-norm-gru-before",
            "`LayerNormGRUCell`, reset before",
            gated(3, gamma=(2, 3)),
            lambda p: LayerNormGRUCell(*p, eps=EPS),
        ),
        CellKind(
            "zoneout",
            "`ZoneoutCell` around an LSTM, evaluating",
            LSTM,
            lambda p: Evaluating(ZoneoutCell(LSTMCell(*p), ZONEOUT)),
            2,
        ),
        CellKind(
            "residual-cell",
            "`ResidualCell` around a user's cell",
            lambda width, size: {"W": (width, size), "U": (size, size), "P": (size, K)},
            lambda p: ResidualCell(LeakyCell(*p)),
            2,
            width=K,
            nested=True,
        ),
        CellKind(
            "states-as-output",
            "`StatesAsOutputCell` around an LSTM",
            LSTM,
            lambda p: StatesAsOutputCell(LSTMCell(*p)),
            2,
            width=2 * H,
        ),
        CellKind(
            "stacked-cell",
            "`StackedCell`, a GRU on a simple cell",
            stacked,
            lambda p: StackedCell([RNNCell(*p[:3]), GRUCell(*p[3:])]),
            2,
        ),
    )
}
