"""`BasicRNNCell` and `GRUCell`."""

from typing import Any

from rnn_xp._typing import Array
from rnn_xp.cells import GRUCell as CoreGRUCell
from rnn_xp.cells import RNNCell as CoreRNNCell
from rnn_xp.cells.activations import TANH, Activation, ActivationLike, get_activation
from rnn_xp.compat.tf1.initial import NAMED, Initializer, get_initializer, glorot_uniform
from rnn_xp.compat.tf1.leaf import LeafCell, join_rows, split_rows
from rnn_xp.namespace import namespace_of


def activation_of(activation: ActivationLike) -> Activation:
    """An activation by name or object; None is **tanh**, as everywhere in TensorFlow 1."""
    return get_activation(activation or "tanh")


class BasicRNNCell(LeafCell):
    """Simple recurrent cell, ``output = new_state = act([x, h] kernel + bias)``.

    Parameters
    ----------
    num_units : int
    activation : str, Activation or None
        None is tanh. Another one than tanh leaves the fast kernels.
    reuse : object
        Taken for the sake of old code: to share weights, use one cell twice.
    name : str, optional
        Name in `variable_names`; default ``"basic_rnn_cell"``.
    dtype : optional
        Of the variables; default that of the first inputs.

    Notes
    -----
    Variables: ``kernel`` (D + num_units, num_units), Glorot uniform; ``bias`` zeros. State: h.
    """

    def __init__(
        self,
        num_units: int,
        activation: ActivationLike = None,
        reuse: Any = None,
        name: str | None = None,
        dtype: Any = None,
    ):
        super().__init__(num_units, name, dtype)
        self.activation = activation_of(activation)

    def _variables(self, D: int) -> list[tuple[str, tuple[int, ...], Any]]:
        H = self.num_units
        return [("kernel", (D + H, H), glorot_uniform), ("bias", (H,), NAMED["zeros"])]

    def _core(self) -> CoreRNNCell:
        kernel, bias = self.variables
        Wx, Wh = split_rows(kernel, self.input_depth or 0)
        return CoreRNNCell(Wx, Wh, bias, activation=self.activation)

    def _kernel(self) -> str | None:
        return "rnn" if self.activation is TANH else None

    def from_core_gradients(self, grads: list[Array]) -> list[Array]:
        """``[dkernel, dbias]``."""
        dWx, dWh, db = grads
        return [join_rows(dWx, dWh), db]


class GRUCell(LeafCell):
    """Gated recurrent unit with the reset gate before the product.

    Parameters
    ----------
    num_units : int
    activation : str, Activation or None
        Of the candidate; None is tanh. Another one leaves the fast kernels.
    reuse : object
        Taken for the sake of old code.
    kernel_initializer, bias_initializer : str or callable ``(shape, rng) -> array``, optional
        Defaults: Glorot uniform; ones for the gates' bias and zeros for the candidate's. A
        `bias_initializer` is for both.
    name : str, optional
        Default ``"gru_cell"``.
    dtype : optional
        Of the variables; default that of the first inputs.

    Notes
    -----
    ::

        r, u = sigmoid([x, h] gates/kernel + gates/bias)
        c = act([x, r * h] candidate/kernel + candidate/bias)
        output = new_state = u * h + (1 - u) * c

    Variables: ``gates/kernel`` (D + H, 2H), ``gates/bias``, ``candidate/kernel`` (D + H, H),
    ``candidate/bias``. Not the function of Keras' or PyTorch's default GRU.

    References
    ----------
    Cho et al., arXiv:1406.1078.
    """

    def __init__(
        self,
        num_units: int,
        activation: ActivationLike = None,
        reuse: Any = None,
        kernel_initializer: Initializer | None = None,
        bias_initializer: Initializer | None = None,
        name: str | None = None,
        dtype: Any = None,
    ):
        super().__init__(num_units, name, dtype)
        self.activation = activation_of(activation)
        self._kernel_initializer = get_initializer(kernel_initializer, "GRUCell")
        self._bias_initializers = [NAMED["ones"], NAMED["zeros"]]
        if bias_initializer is not None:
            self._bias_initializers = [get_initializer(bias_initializer, "GRUCell")] * 2

    def _variables(self, D: int) -> list[tuple[str, tuple[int, ...], Any]]:
        H = self.num_units
        gates_bias, candidate_bias = self._bias_initializers
        return [
            ("gates/kernel", (D + H, 2 * H), self._kernel_initializer),
            ("gates/bias", (2 * H,), gates_bias),
            ("candidate/kernel", (D + H, H), self._kernel_initializer),
            ("candidate/bias", (H,), candidate_bias),
        ]

    def _core(self) -> CoreGRUCell:
        gates, gates_bias, candidate, candidate_bias = self.variables
        xp = namespace_of(gates)
        kernel = xp.concat([gates, candidate], axis=1)  # r, u, c: the core's r, z, n
        Wx, Wh = split_rows(kernel, self.input_depth or 0)
        b = xp.concat([gates_bias, candidate_bias], axis=0)
        return CoreGRUCell(Wx, Wh, b, activation=self.activation)

    def _kernel(self) -> str | None:
        return "gru" if self.activation is TANH else None

    def from_core_gradients(self, grads: list[Array]) -> list[Array]:
        """Gradients of the gates' kernel and bias, then of the candidate's."""
        dWx, dWh, db = grads
        dkernel = join_rows(dWx, dWh)
        H2 = 2 * self.num_units
        return [dkernel[:, :H2], db[:H2], dkernel[:, H2:], db[H2:]]
