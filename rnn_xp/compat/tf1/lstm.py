"""`BasicLSTMCell` and `LSTMCell`."""

from typing import Any

from rnn_xp._typing import Array, State
from rnn_xp.cells import LSTMCell as CoreLSTMCell
from rnn_xp.cells.activations import TANH, ActivationLike
from rnn_xp.cells.lstmp import LSTMPCell
from rnn_xp.compat.tf1.basic import activation_of
from rnn_xp.compat.tf1.checks import whole_number
from rnn_xp.compat.tf1.initial import NAMED, Initializer, get_initializer, glorot_uniform
from rnn_xp.compat.tf1.leaf import LeafCell, join_rows, split_rows
from rnn_xp.compat.tf1.structure import LSTMStateTuple
from rnn_xp.namespace import namespace_of


class _LSTM(LeafCell):
    """What the two LSTM cells share: the state, and the layout of kernel and bias."""

    def __init__(
        self,
        num_units: int,
        forget_bias: float,
        state_is_tuple: bool,
        activation: ActivationLike,
        name: str | None,
        dtype: Any,
    ):
        super().__init__(num_units, name, dtype)
        self.forget_bias = float(forget_bias)
        self.state_is_tuple = state_is_tuple
        self.activation = activation_of(activation)

    @property
    def state_size(self) -> Any:
        """``LSTMStateTuple(c, h)`` of widths, or their sum without `state_is_tuple`."""
        sizes = LSTMStateTuple(self.num_units, self.output_size)
        return sizes if self.state_is_tuple else self.num_units + self.output_size

    def to_core(self, state: State) -> State:
        """``(c, h)``, or ``[c, h]`` side by side, as ``(h, c)``."""
        if self.state_is_tuple:
            c, h = state
            return (h, c)
        return (state[:, self.num_units :], state[:, : self.num_units])

    def from_core(self, state: State) -> State:
        """The inverse of `to_core`."""
        h, c = state
        if self.state_is_tuple:
            return LSTMStateTuple(c, h)
        return namespace_of(c).concat([c, h], axis=1)

    def _gate_weights(self) -> tuple[Array, Array, Array]:
        """``Wx, Wh, b`` in the core's gate order, with the forget bias inside ``b``."""
        kernel, bias = self.variables[:2]
        H = self.num_units
        Wx, Wh = split_rows(_swap_columns(kernel, H), self.input_depth or 0)
        i, j, f, o = (bias[k * H : (k + 1) * H] for k in range(4))
        return Wx, Wh, namespace_of(bias).concat([i, f + self.forget_bias, j, o], axis=0)

    def _plain_core(self) -> CoreLSTMCell:
        """The core cell without peepholes, clipping and projection."""
        return CoreLSTMCell(*self._gate_weights(), activation=self.activation)

    def _gate_gradients(self, grads: list[Array]) -> list[Array]:
        """``[dkernel, dbias]`` from the core's ``dWx, dWh, db``."""
        dWx, dWh, db = grads[:3]
        H = self.num_units
        i, f, j, o = (db[k * H : (k + 1) * H] for k in range(4))
        dbias = namespace_of(db).concat([i, j, f, o], axis=0)
        return [_swap_columns(join_rows(dWx, dWh), H), dbias]


class BasicLSTMCell(_LSTM):
    """Long short-term memory without peepholes, clipping or projection.

    Parameters
    ----------
    num_units : int
    forget_bias : float
        Added to the forget gate's bias at run time; it is not part of the variable.
    state_is_tuple : bool
        Whether states are `LSTMStateTuple`, or one array ``[c, h]`` of width 2 num_units.
    activation : str, Activation or None
        Of the candidate and of the cell's output; None is tanh. Another one leaves the fast
        kernels.
    reuse : object
        Taken for the sake of old code.
    name : str, optional
        Default ``"basic_lstm_cell"``.
    dtype : optional
        Of the variables; default that of the first inputs.

    Notes
    -----
    ::

        i, j, f, o = [x, h] kernel + bias
        c' = c * sigmoid(f + forget_bias) + sigmoid(i) * act(j)
        h' = act(c') * sigmoid(o)

    Variables: ``kernel`` (D + H, 4H), columns i, j, f, o, Glorot uniform; ``bias`` (4H,) zeros.

    References
    ----------
    Zaremba et al., arXiv:1409.2329.
    """

    def __init__(
        self,
        num_units: int,
        forget_bias: float = 1.0,
        state_is_tuple: bool = True,
        activation: ActivationLike = None,
        reuse: Any = None,
        name: str | None = None,
        dtype: Any = None,
    ):
        super().__init__(num_units, forget_bias, state_is_tuple, activation, name, dtype)

    def _variables(self, D: int) -> list[tuple[str, tuple[int, ...], Any]]:
        H = self.num_units
        return [("kernel", (D + H, 4 * H), glorot_uniform), ("bias", (4 * H,), NAMED["zeros"])]

    def _core(self) -> CoreLSTMCell:
        return self._plain_core()

    def _kernel(self) -> str | None:
        return "lstm" if self.activation is TANH else None

    def from_core_gradients(self, grads: list[Array]) -> list[Array]:
        """``[dkernel, dbias]``."""
        return self._gate_gradients(grads)


class LSTMCell(_LSTM):
    """Long short-term memory with optional peepholes, clipping and projection.

    Without any of the three it runs on the fast kernels; with one of them, step by step.

    Parameters
    ----------
    num_units : int
    use_peepholes : bool
        Whether the gates see the cell state, through one weight a unit.
    cell_clip : float, optional
        Bound of the absolute values of c', applied before the output gate and activation.
    initializer : str or callable ``(shape, rng) -> array``, optional
        Of every variable but the bias; default Glorot uniform.
    num_proj : int, optional
        Width of the output, which is then ``h' projection/kernel``, without a bias.
    proj_clip : float, optional
        Bound of the absolute values of the projected output; without `num_proj` it is not used.
    num_unit_shards, num_proj_shards : object
        Taken for the sake of old code; here variables are never split.
    forget_bias : float
        Added to the forget gate's bias at run time; it is not part of the variable.
    state_is_tuple : bool
        Whether states are `LSTMStateTuple`, or one array ``[c, h]``.
    activation : str, Activation or None
        None is tanh. Another one leaves the fast kernels.
    reuse : object
        Taken for the sake of old code.
    name : str, optional
        Default ``"lstm_cell"``.
    dtype : optional
        Of the variables; default that of the first inputs.

    Raises
    ------
    ValueError
        If `num_units` or `num_proj` is no positive int, `cell_clip` or `proj_clip` no positive
        number, or a name unknown.

    Notes
    -----
    ::

        i, j, f, o = [x, h] kernel + bias
        c' = sigmoid(f + forget_bias + w_f_diag * c) * c + sigmoid(i + w_i_diag * c) * act(j)
        c' = clip(c')
        h' = sigmoid(o + w_o_diag * c') * act(c')
        h' = clip(h' projection/kernel)

    Variables, in order: ``kernel`` (D + P, 4H), columns i, j, f, o; ``bias`` (4H,);
    ``w_f_diag``, ``w_i_diag``, ``w_o_diag`` (H,) with peepholes; ``projection/kernel`` (H, P)
    with a projection.

    References
    ----------
    Sak et al., "Long short-term memory recurrent neural network architectures for large scale
    acoustic modeling", Interspeech 2014.
    """

    def __init__(
        self,
        num_units: int,
        use_peepholes: bool = False,
        cell_clip: float | None = None,
        initializer: Initializer | None = None,
        num_proj: int | None = None,
        proj_clip: float | None = None,
        num_unit_shards: Any = None,
        num_proj_shards: Any = None,
        forget_bias: float = 1.0,
        state_is_tuple: bool = True,
        activation: ActivationLike = None,
        reuse: Any = None,
        name: str | None = None,
        dtype: Any = None,
    ):
        self.num_proj: int | None = None
        if num_proj is not None:
            self.num_proj = whole_number(num_proj, "LSTMCell: num_proj")
        for what, limit in (("cell_clip", cell_clip), ("proj_clip", proj_clip)):
            if limit is not None and not limit > 0.0:
                raise ValueError(
                    f"LSTMCell: {what} is {limit!r}, expected a positive number or None"
                )
        super().__init__(num_units, forget_bias, state_is_tuple, activation, name, dtype)
        self.use_peepholes = use_peepholes
        self.cell_clip = cell_clip
        self.proj_clip = proj_clip
        self._initializer = get_initializer(initializer, "LSTMCell")

    @property
    def output_size(self) -> int:
        """``num_proj``, or ``num_units`` without a projection."""
        return self.num_proj or self.num_units

    def _variables(self, D: int) -> list[tuple[str, tuple[int, ...], Any]]:
        H, init = self.num_units, self._initializer
        found = [
            ("kernel", (D + self.output_size, 4 * H), init),
            ("bias", (4 * H,), NAMED["zeros"]),
        ]
        if self.use_peepholes:
            found += [(f"w_{gate}_diag", (H,), init) for gate in "fio"]
        if self.num_proj is not None:
            found.append(("projection/kernel", (H, self.num_proj), init))
        return found

    def _core(self) -> Any:
        if not self._has_options():
            return self._plain_core()
        peepholes = None
        if self.use_peepholes:
            w_f, w_i, w_o = self.variables[2:5]
            peepholes = namespace_of(w_f).stack([w_i, w_f, w_o], axis=0)
        projected = self.num_proj is not None
        return LSTMPCell(
            *self._gate_weights(),
            peepholes=peepholes,
            Wp=self.variables[-1] if projected else None,
            cell_clip=self.cell_clip,
            projection_clip=self.proj_clip if projected else None,
            activation=self.activation,
        )

    def _kernel(self) -> str | None:
        plain = self.activation is TANH and not self._has_options()
        return "lstm" if plain else None

    def _has_options(self) -> bool:
        """Whether it has peepholes, clipping of c or a projection, and so no fast kernel."""
        return self.use_peepholes or self.cell_clip is not None or self.num_proj is not None

    def from_core_gradients(self, grads: list[Array]) -> list[Array]:
        """Gradients in the order of the variables."""
        found = self._gate_gradients(grads)
        if self.use_peepholes:
            dpeepholes = grads[3]
            found += [dpeepholes[row, :] for row in (1, 0, 2)]  # f, i, o
        if self.num_proj is not None:
            found.append(grads[-1])
        return found


def _swap_columns(kernel: Array, H: int) -> Array:
    """Exchange the second and third block of columns: i, j, f, o and i, f, j, o."""
    blocks = [kernel[:, k * H : (k + 1) * H] for k in (0, 2, 1, 3)]
    return namespace_of(kernel).concat(blocks, axis=1)
