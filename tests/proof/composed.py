"""Layers with any set of the options that belong to a cell: what the nets of pairs are made of.

`ComposedKind` has the interface of `proof.cells.CellKind`. The order in which options are put
around each other is fixed here; `proof.torch_composed` is the same by torch.
"""

from itertools import cycle, islice

from proof.cells import CELL_CLIP, EPS, PROJECTION_CLIP
from proof.random_kinds import DROPOUTS, SEED, STREAM, ZONEOUT_STREAM
from proof.sequences import KINDS
from proof.usercell import LeakyCell

from rnn_xp.cells import (
    DropoutCell,
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
    ZoneoutCell,
)
from rnn_xp.cells.nested import rebuild
from rnn_xp.layers import TimeCell

PLAIN = {"rnn": RNNCell, "lstm": LSTMCell, "gru-after": GRUCell, "gru-before": GRUCell}
NORMED = {
    "rnn": LayerNormRNNCell,
    "lstm": LayerNormLSTMCell,
    "gru-after": LayerNormGRUCell,
    "gru-before": LayerNormGRUCell,
}
ZONEOUTS = (0.25, 0.5, 0.4)
ACTIVATION, GATE = "silu", "hard_sigmoid"
FORGET_BIAS = 1.0
# What makes a `TimeCell` of a layer; the forget bias is only a number in `b`.
STEP = {
    *("activations", "layer norm", "LSTMP", "zoneout", "input", "state", "output", "variational"),
    *("residual cell", "states", "stacked cell"),
}


class ComposedKind:
    """A kind of layer with options of the cell.

    Parameters
    ----------
    base : str
        "rnn", "lstm", "gru-after", "gru-before" or "user".
    recipe : dict
        The options; those that are not of the cell are not looked at.
    """

    def __init__(self, base, recipe):
        self.name = base
        self.recipe = {k: v for k, v in recipe.items() if v}
        self.composed = bool(STEP & self.recipe.keys())
        self.cell = self.composed or base == "user"  # runs in TimeCell
        self.residual = "residual cell" in self.recipe
        self.forget_bias = FORGET_BIAS if "forget bias" in self.recipe else 0.0
        named = ["input" in self.recipe, "state" in self.recipe, "output" in self.recipe]
        if "variational" in self.recipe and not any(named):
            named[1] = True
        self.dropouts = tuple(p if on else 0.0 for p, on in zip(DROPOUTS, named, strict=True))
        self.random = any(named) or "zoneout" in self.recipe
        self.states = len(self.state_sizes(1))
        self.zoneouts = tuple(islice(cycle(ZONEOUTS), self.states))

    def has(self, name):
        return name in self.recipe

    @property
    def projects(self):
        return self.has("projection") or self.has("projection clip")

    def _width(self, size):
        """Width of h; a projection makes it narrower than c."""
        return size - 1 if self.projects else size

    def shapes(self, width, size):
        """Shapes of the parameters, by name, in the cell's order."""
        shapes = KINDS[self.name].shapes(width, size)
        G, P = shapes.get("b", (0,))[-1], self._width(size)
        if self.name != "user":
            shapes["Wh"] = (P, G)
        if self.has("layer norm"):
            shapes["gamma"] = (G,) if self.name == "rnn" else (2, G)
            if self.name == "lstm":
                shapes |= {"gamma_c": (size,), "beta_c": (size,)}
        if self.has("peepholes"):
            shapes["peepholes"] = (3, size)
        if self.projects:
            shapes["Wp"] = (size, P)
        if self.has("stacked cell"):
            below = KINDS["user"].width if self.name == "user" else P
            shapes |= {"Wx2": (below, size), "Wh2": (size, size), "b2": (size,)}
        return shapes

    def state_sizes(self, size):
        """Widths of the parts of the state."""
        sizes = [self._width(size), *[size] * (KINDS[self.name].states - 1)]
        return [*sizes, size] if self.has("stacked cell") else sizes

    def output_size(self, size):
        if self.has("states"):
            return sum(self.state_sizes(size))
        if self.name == "user" and not self.has("stacked cell"):
            return KINDS["user"].width
        return self.state_sizes(size)[-1] if self.has("stacked cell") else self._width(size)

    def pack(self, parts):
        """State arrays in the structure that `set_state` takes."""
        if not self.cell:
            return KINDS[self.name].pack(parts)
        like = {"lstm": (None, None), "user": (None, (None,))}.get(self.name)
        return rebuild((like, None) if self.has("stacked cell") else like, parts)

    def make(self, params, **options):
        """The layer: one with fast kernels if no option is in the way."""
        if not self.composed:
            return KINDS[self.name].make(params, **options)
        return TimeCell(self.make_cell(params), **options)

    def make_cell(self, params):
        """The cell; dropout goes next to the weights if it is of the state, else around."""
        top = len(params) - 3 * self.has("stacked cell")
        cell = self._cell_with_weights(params[:top])
        if self.dropouts[1]:
            cell = self._dropout(cell)
        if params[top:]:
            cell = StackedCell([cell, RNNCell(*params[top:])])
        if self.has("zoneout"):
            cell = ZoneoutCell(cell, self.zoneouts, seed=SEED, stream=ZONEOUT_STREAM)
        if self.has("states"):
            cell = StatesAsOutputCell(cell)
        if any(self.dropouts) and not self.dropouts[1]:
            cell = self._dropout(cell)
        return ResidualCell(cell) if self.residual else cell

    def _dropout(self, cell):
        variational = self.has("variational")
        return DropoutCell(cell, *self.dropouts, variational, seed=SEED, stream=STREAM)

    def _cell_with_weights(self, params):
        if self.name == "user":
            return LeakyCell(*params)
        options = {}
        if self.has("activations"):
            options["activation"] = ACTIVATION
            if self.name != "rnn":
                options["recurrent_activation"] = GATE
        cls, count = PLAIN[self.name], 3
        if self.has("layer norm"):
            cls, count = NORMED[self.name], 6  # of an LSTM
            options["eps"] = EPS
        if not self.has("LSTMP"):
            return cls(*params, **options)
        return (LayerNormLSTMPCell if self.has("layer norm") else LSTMPCell)(
            *params[:count],
            peepholes=params[count] if self.has("peepholes") else None,
            Wp=params[-1] if self.projects else None,
            cell_clip=CELL_CLIP if self.has("cell clip") else None,
            projection_clip=PROJECTION_CLIP if self.has("projection clip") else None,
            **options,
        )
