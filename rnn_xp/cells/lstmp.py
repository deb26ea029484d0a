"""The LSTM cell with peepholes, projection and clipping: one time step."""

from typing import Any

from rnn_xp._typing import Array
from rnn_xp.cells.activations import ActivationLike, get_activation
from rnn_xp.cells.base import WeightsCell
from rnn_xp.cells.numbers import positive_number
from rnn_xp.errors import ShapeError
from rnn_xp.namespace import clamp, namespace_of, require_float, require_like, require_shape


class LSTMPCell(WeightsCell):
    """LSTM with any of peepholes, a projection of h, and clipping; gates ``i, f, g, o``.

    Runs in `TimeCell`; none of its options has a fast kernel.

    Parameters
    ----------
    Wx : array, shape (D, 4H)
        Input weights, float32 or float64.
    Wh : array, shape (P, 4H)
        Recurrent weights; P is the width of h, and H without a projection.
    b : array, shape (4H,)
        Bias; a forget bias is added to ``b[H:2H]``.
    peepholes : array, shape (3, H), optional
        What the gates i, f, o see of the cell state: one number a unit, rows in that order.
    Wp : array, shape (H, P), optional
        Projection of the output; it has no bias.
    cell_clip : float, optional
        The new cell state is clipped to ``[-cell_clip, cell_clip]``.
    projection_clip : float, optional
        The projected output likewise; needs `Wp`.
    activation, recurrent_activation : str, Activation, callable or None
        Default tanh and sigmoid.
    grads : list of array, optional
        Arrays that `backward` adds into, in the order of `params`.

    Attributes
    ----------
    params : list of array
        ``[Wx, Wh, b]``, then `peepholes` and `Wp`, each if it was given.

    Notes
    -----
    In the order of TensorFlow 1's ``LSTMCell``::

        a = x Wx + h Wh + b                 split into a_i, a_f, a_g, a_o
        i = sigmoid(a_i + p_i * c);  f = sigmoid(a_f + p_f * c);  g = tanh(a_g)
        c' = clip(f * c + i * g)
        o = sigmoid(a_o + p_o * c')         the new cell state, already clipped
        h' = clip((o * tanh(c')) Wp)

    The state is ``(h (N, P), c (N, H))``, the output is ``h'``. The gradient of a clipped
    element is zero; on the border it passes, as in TensorFlow and PyTorch. One step costs
    8NH(D + P) + 2NHP flops forward and twice that backward. No input is modified.

    References
    ----------
    Sak, Senior & Beaufays, "Long short-term memory recurrent neural network architectures
    for large scale acoustic modeling", Interspeech 2014 (arXiv:1402.1128); peepholes: Gers &
    Schmidhuber, IJCNN 2000; order of operations: ``tf.compat.v1.nn.rnn_cell.LSTMCell``.
    """

    def __init__(
        self,
        Wx: Array,
        Wh: Array,
        b: Array,
        *,
        peepholes: Array | None = None,
        Wp: Array | None = None,
        cell_clip: float | None = None,
        projection_clip: float | None = None,
        activation: ActivationLike = "tanh",
        recurrent_activation: ActivationLike = "sigmoid",
        grads: list[Array] | None = None,
    ):
        where = type(self).__name__
        _check_shapes(where, Wx, Wh, b, peepholes, Wp)
        positive_number(cell_clip, where, "cell_clip", or_none=True)
        positive_number(projection_clip, where, "projection_clip", or_none=True)
        if projection_clip is not None and Wp is None:
            raise ValueError(f"{where}: projection_clip needs a projection Wp, but there is none")
        given = [p for p in (peepholes, Wp) if p is not None]
        super().__init__([Wx, Wh, b, *given], grads)
        self.has_peepholes = peepholes is not None
        self.has_projection = Wp is not None
        self.cell_clip = cell_clip
        self.projection_clip = projection_clip
        self.activation = get_activation(activation)
        self.recurrent_activation = get_activation(recurrent_activation)

    @property
    def cell_size(self) -> int:
        """H, the width of c."""
        return int(self.params[0].shape[1]) // 4

    @property
    def state_size(self) -> tuple[int, int]:
        """``(P, H)``: the widths of h and c."""
        return (self.output_size, self.cell_size)

    def zero_state(self, N: int) -> tuple[Array, Array]:
        """``(h, c)`` of zeros, shapes (N, P) and (N, H)."""
        return (self._zeros(N), self._zeros(N, self.cell_size))

    @property
    def peepholes(self) -> Array | None:
        """The peepholes, (3, H), or None."""
        return self.params[-2 if self.has_projection else -1] if self.has_peepholes else None

    @property
    def Wp(self) -> Array | None:
        """The projection, (H, P), or None."""
        return self.params[-1] if self.has_projection else None

    def forward(self, x: Array, state: tuple[Array, Array]) -> tuple[Array, Any, Any]:
        """One step.

        Parameters
        ----------
        x : array, shape (N, D)
        state : tuple of array
            ``(h, c)``, shapes (N, P) and (N, H).

        Returns
        -------
        output : array, shape (N, P)
        state : tuple of array
            ``(h', c')``; h' is the output.
        cache : tuple
            For one call of `backward`.
        """
        peepholes, Wp = self.peepholes, self.Wp
        h, c = state
        xp = namespace_of(x)
        H = c.shape[1]
        gate, activation = self.recurrent_activation, self.activation
        a, kept_a = self._compute_a(x, h, xp)  # (N, 4H)
        a_i, a_f, a_o = a[:, :H], a[:, H : 2 * H], a[:, 3 * H :]
        if peepholes is not None:
            a_i, a_f = a_i + peepholes[0, :] * c, a_f + peepholes[1, :] * c
        i, kept_i = gate.apply(a_i, xp)
        f, kept_f = gate.apply(a_f, xp)
        g, kept_g = activation.apply(a[:, 2 * H : 3 * H], xp)
        c_next, c_inside = _clip(f * c + i * g, self.cell_clip, xp)
        if peepholes is not None:
            a_o = a_o + peepholes[2, :] * c_next
        o, kept_o = gate.apply(a_o, xp)
        u, kept_u = self._compute_u(c_next, xp)
        y, kept_y = activation.apply(u, xp)
        m = o * y
        h_next, h_inside = _clip(m if Wp is None else m @ Wp, self.projection_clip, xp)
        kept = (kept_a, kept_i, kept_f, kept_g, kept_o, kept_u, kept_y)
        cache = (c, i, f, g, o, y, m, c_next, c_inside, h_inside, kept)
        return h_next, (h_next, c_next), cache

    def backward(
        self, doutput: Array, dstate: tuple[Array, Array] | None, cache: Any
    ) -> tuple[Array, tuple[Array, Array]]:
        """Gradient of one step; adds into `grads`.

        Parameters
        ----------
        doutput : array, shape (N, P)
            Gradient of the loss with respect to the output.
        dstate : tuple of array, or None
            ``(dh', dc')``, shapes (N, P) and (N, H); None stands for zeros.
        cache : tuple
            What `forward` returned.

        Returns
        -------
        dx : array, shape (N, D)
        dstate : tuple of array
            ``(dh, dc)``, shapes (N, P) and (N, H).
        """
        peepholes, Wp = self.peepholes, self.Wp
        c, i, f, g, o, y, m, c_next, c_inside, h_inside, kept = cache
        kept_a, kept_i, kept_f, kept_g, kept_o, kept_u, kept_y = kept
        xp = namespace_of(c)
        gate, activation = self.recurrent_activation, self.activation
        dh_next = doutput if dstate is None else doutput + dstate[0]
        dm = _where_inside(h_inside, dh_next, xp)
        dpeepholes, dWp = [], []  # each empty where there is no such parameter
        if Wp is not None:
            dWp.append(m.T @ dm)
            dm = dm @ Wp.T
        da_o = gate.backward(dm * y, kept_o, xp)
        dc_next, dnorm = self._backward_u(activation.backward(dm * o, kept_y, xp), kept_u, xp)
        if dstate is not None:
            dc_next = dc_next + dstate[1]
        if peepholes is not None:
            dc_next = dc_next + da_o * peepholes[2, :]
        dc_next = _where_inside(c_inside, dc_next, xp)
        da_i = gate.backward(dc_next * g, kept_i, xp)
        da_f = gate.backward(dc_next * c, kept_f, xp)
        da_g = activation.backward(dc_next * i, kept_g, xp)
        dc = dc_next * f
        if peepholes is not None:
            dc = dc + da_i * peepholes[0, :] + da_f * peepholes[1, :]
            rows = [xp.sum(d, axis=0) for d in (da_i * c, da_f * c, da_o * c_next)]
            dpeepholes.append(xp.stack(rows, axis=0))
        da = xp.concat([da_i, da_f, da_g, da_o], axis=1)  # (N, 4H)
        dx, dh, dweights = self._backward_a(da, kept_a, xp)
        self._add_to_grads(*dweights, *dnorm, *dpeepholes, *dWp)
        return dx, (dh, dc)

    # The two places where a layer norm goes: `LayerNormLSTMPCell` puts one there.

    def _compute_a(self, x: Array, h: Array, xp: Any) -> tuple[Array, Any]:
        """``a`` (N, 4H), the gates' input but for the peepholes, and what its backward needs."""
        Wx, Wh, b = self.params[:3]
        return x @ Wx + h @ Wh + b, (x, h)

    def _backward_a(self, da: Array, kept: Any, xp: Any) -> tuple[Array, Array, list[Array]]:
        """``(dx, dh, gradients of the parameters in a)``."""
        Wx, Wh = self.params[:2]
        x, h = kept
        return da @ Wx.T, da @ Wh.T, [x.T @ da, h.T @ da, xp.sum(da, axis=0)]

    def _compute_u(self, c_next: Array, xp: Any) -> tuple[Array, Any]:
        """``u`` in ``o * tanh(u)``: here c' itself."""
        return c_next, None

    def _backward_u(self, du: Array, kept: Any, xp: Any) -> tuple[Array, list[Array]]:
        """``(dc', gradients of the parameters in u)``."""
        return du, []


def _clip(a: Array, limit: float | None, xp: Any) -> tuple[Array, Array | None]:
    """`a` clipped to ``[-limit, limit]``, and where it was inside."""
    if limit is None:
        return a, None
    return clamp(a, -limit, limit, xp), xp.abs(a) <= limit


def _where_inside(inside: Array | None, d: Array, xp: Any) -> Array:
    """Gradient of `_clip`, from the gradient `d` of its result."""
    return d if inside is None else xp.where(inside, d, xp.zeros_like(d))


def _check_shapes(
    where: str, Wx: Array, Wh: Array, b: Array, peepholes: Array | None, Wp: Array | None
) -> None:
    """Raise unless the parameters fit together."""
    require_float(Wx, where, "Wx")
    if len(Wx.shape) != 2 or Wx.shape[1] % 4 or not Wx.shape[1]:
        raise ShapeError(f"{where}: Wx has shape {tuple(Wx.shape)}, expected (D, 4H)")
    H = Wx.shape[1] // 4
    require_like(Wh, Wx, where, "Wh")
    if len(Wh.shape) != 2 or Wh.shape[1] != 4 * H or (Wp is None and Wh.shape[0] != H):
        names = f"(H, 4H) = ({H}, {4 * H})" if Wp is None else f"(P, 4H) with 4H = {4 * H}"
        raise ShapeError(f"{where}: Wh has shape {tuple(Wh.shape)}, expected {names}")
    rest = (("b", b, (4 * H,), "(4H,)"), ("peepholes", peepholes, (3, H), "(3, H)"))
    for name, array, shape, names in (*rest, ("Wp", Wp, (H, Wh.shape[0]), "(H, P)")):
        if array is not None:
            require_like(array, Wx, where, name)
            require_shape(array, shape, where, name, names)
