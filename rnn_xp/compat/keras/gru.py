"""`GRUCell` and `GRU`, as in keras/src/layers/rnn/gru.py."""

from typing import Any

from rnn_xp import cells
from rnn_xp._typing import Array
from rnn_xp.compat.keras.cell import Cell
from rnn_xp.compat.keras.cell_config import arguments_of
from rnn_xp.compat.keras.cell_layer import CellLayer
from rnn_xp.compat.keras.masked_cells import MaskedCell, MaskedGRUCell
from rnn_xp.layers import TimeGRU
from rnn_xp.namespace import namespace_of


class GRUCell(Cell):
    """One step of the GRU; gate blocks ``z, r, h``.

    Its weights are held in Keras's order of gates. The core's is r, z, n: a call copies them
    over first, and the gradients back, which costs 3H(D + H) elements of traffic.

    Parameters
    ----------
    units : int
        H.
    activation, recurrent_activation : str, Activation, callable or None
        None is linear.
    use_bias : bool
    kernel_initializer, recurrent_initializer, bias_initializer : str, Initializer or callable
        See `rnn_xp.compat.keras.initializers.get`.
    kernel_regularizer, ..., bias_constraint : None
        Anything else is refused: they belong to the training loop here.
    dropout, recurrent_dropout : float
        Shares of the inputs, and of the state in the recurrent product, dropped in training.
        A mask is drawn for each row and holds for all steps of a call.
    seed : int, optional
        Of the dropout masks.
    reset_after : bool
        Whether the reset gate acts after the recurrent product (bias of shape (2, 3H)) or
        before it (bias of shape (3H,)): two different functions. It comes before `seed`.
    implementation : {2, 1}
        1 draws a dropout mask for each gate; a `recurrent_dropout` sets it to 1.
    **kwargs
        As for `rnn_xp.compat.keras.layer.Layer`: `name`, `trainable`, `dtype`, `backend`.
    """

    gates = 3
    core_class = cells.GRUCell
    masked_class = MaskedGRUCell
    time_layer_class = TimeGRU

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        recurrent_activation: Any = "sigmoid",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        kernel_regularizer: None = None,
        recurrent_regularizer: None = None,
        bias_regularizer: None = None,
        kernel_constraint: None = None,
        recurrent_constraint: None = None,
        bias_constraint: None = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        reset_after: bool = True,
        seed: int | None = None,
        *,
        implementation: int = 2,
        **kwargs: Any,
    ):
        super().__init__(arguments_of(locals()), kwargs)
        self.reset_after = bool(reset_after)

    def _bias_shape(self) -> tuple[int, ...]:
        return (2, 3 * self.units) if self.reset_after else (3 * self.units,)

    def core_weights(self) -> list[Array]:
        """`Wx`, `Wh` and `b` in the core's order of gates."""
        return [swap_first_gates(w) for w in super().core_weights()]

    def keras_grads(self, core: list[Array]) -> list[Array]:
        """The core's gradients in Keras's order of gates."""
        return [swap_first_gates(g) for g in super().keras_grads(core)]

    def masked_cell(self, inputs: Array | None, recurrent: Array | None) -> MaskedCell:
        """The core's cell with a mask for each gate; masks in Keras's order of gates."""
        masks = [None if m is None else _core_masks(m) for m in (inputs, recurrent)]
        return super().masked_cell(*masks)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments, in Keras's form."""
        return {**super().get_config(), "reset_after": self.reset_after}


class GRU(CellLayer):
    """The GRU layer: `GRUCell` over a sequence.

    Parameters
    ----------
    units, ..., seed
        As for `GRUCell`.
    return_sequences, return_state, go_backwards, stateful, unroll : bool
        As for `rnn_xp.compat.keras.RNN`.
    reset_after : bool
        As for `GRUCell`.
    use_cudnn : {"auto", False}
        Accepted and without effect.
    **kwargs
        `zero_output_for_mask`, `implementation`, `name`, `trainable`, `dtype`, `backend`.
    """

    cell_class = GRUCell

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        recurrent_activation: Any = "sigmoid",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        kernel_regularizer: None = None,
        recurrent_regularizer: None = None,
        bias_regularizer: None = None,
        activity_regularizer: None = None,
        kernel_constraint: None = None,
        recurrent_constraint: None = None,
        bias_constraint: None = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        seed: int | None = None,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        reset_after: bool = True,
        use_cudnn: Any = "auto",
        **kwargs: Any,
    ):
        super().__init__(arguments_of(locals()), kwargs)


def swap_first_gates(array: Array) -> Array:
    """Gate blocks ``z, r, h`` as ``r, z, n``, or back; a new array of shape (..., 3H)."""
    H = array.shape[-1] // 3
    blocks = [array[..., H : 2 * H], array[..., :H], array[..., 2 * H :]]
    return namespace_of(array).concat(blocks, axis=-1)


def _core_masks(masks: Array) -> Array:
    """Masks (3, N, K) of ``z, r, h`` as those of ``r, z, n``."""
    xp = namespace_of(masks)
    return xp.stack([masks[1, :, :], masks[0, :, :], masks[2, :, :]], axis=0)
