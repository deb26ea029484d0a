"""A cell over a whole sequence, on the core's layers."""

from typing import Any

from rnn_xp._typing import Array
from rnn_xp.compat.keras.cell import core_parts
from rnn_xp.kernels.generic.states import map_states
from rnn_xp.layers import TimeCell
from rnn_xp.namespace import namespace_of


class CellRun:
    """Runs one cell, forwards and backwards; sequences are (T, N, ...).

    The core's layer is kept from call to call, so its buffers are used again. A dropout mask
    for each gate needs a cell of its own, made for the call.

    Parameters
    ----------
    cell : Cell or OwnCell
    """

    def __init__(self, cell: Any):
        self.cell = cell
        self._plain: Any = None
        self._used: tuple[Any, Array | None] | None = None  # of the last forward

    def __getstate__(self) -> dict[str, Any]:
        """What `copy` and `pickle` take: the cell alone."""
        return {"cell": self.cell, "_plain": None, "_used": None}

    def forward(
        self, x: Array, state: list[Array] | None, valid: Array | None, training: bool
    ) -> tuple[Array, list[Array]]:
        """Outputs (T, N, H), zero at masked steps, and the parts of the final state."""
        shared = inputs = recurrent = None
        if training:
            shared, inputs, recurrent = self.cell.draw_masks(x.shape[1], x.shape[2])
        if inputs is None and recurrent is None:
            layer = self._plain_layer()
        else:
            layer = TimeCell(self.cell.masked_cell(inputs, recurrent), time_major=True)
        if state is None:
            layer.reset_state()
        elif isinstance(layer, TimeCell):
            layer.state = self.cell.nest_state(state)
        else:
            layer.state = tuple(state)
        outputs = layer.forward(x if shared is None else x * shared, mask=valid)
        self._used = (layer, shared)
        return outputs, core_parts(layer.state)

    def backward(
        self, doutputs: Array | None, dstate: list[Array | None]
    ) -> tuple[Array, list[Array]]:
        """Gradient with respect to the inputs and to the parts of the initial state."""
        if self._used is None:
            raise RuntimeError(f"{self.cell.name}: CellRun.backward before forward")
        layer, shared = self._used
        if isinstance(layer, TimeCell):
            dx = layer.backward(doutputs, self._whole(layer, dstate))
            dinitial = core_parts(layer.dstate)
        else:
            dx = layer.backward(doutputs, *dstate)
            dinitial = [getattr(layer, f"d{name}") for name in layer.state_names]
        self.cell.take_grads(layer.grads)
        return dx if shared is None else dx * shared, dinitial

    def _plain_layer(self) -> Any:
        if self._plain is None:
            self._plain = self.cell.time_layer()
        for own, new in zip(self._plain.params, self.cell.core_weights(), strict=True):
            if own is not new:
                own[...] = new
        return self._plain

    def _whole(self, layer: TimeCell, dstate: list[Array | None]) -> Any:
        """The gradient of the final state, with zeros where a part has none."""
        if all(part is None for part in dstate):
            return None
        rest = iter(dstate)

        def filled(held: Array) -> Array:
            part = next(rest)
            return namespace_of(held).zeros_like(held) if part is None else part

        return map_states(filled, layer.state)
