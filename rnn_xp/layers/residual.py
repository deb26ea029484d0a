"""`Residual`: a layer that adds its input to its output."""

from typing import Any

from rnn_xp._typing import Array
from rnn_xp.errors import ShapeError
from rnn_xp.layers.composite import Wrapper
from rnn_xp.layers.sequence import valid_steps
from rnn_xp.namespace import namespace_of


class Residual(Wrapper):
    """``layer(xs) + xs``, the shortcut of residual networks (He et al., arXiv:1512.03385).

    At masked steps the output is zero, as it is for every layer: the input there is not
    looked at. The layer keeps its fast kernels; to have the sum inside one cell of several,
    use `rnn_xp.cells` in `TimeCell`.

    Parameters
    ----------
    layer : layer
        Recurrent, with an output as wide as its input.

    Raises
    ------
    ShapeError
        If it is not, as far as the layer tells its widths.
    """

    def __init__(self, layer: Any):
        super().__init__(layer)
        D, width = self.input_size, self.output_size
        if None not in (D, width) and width != D:
            raise ShapeError(
                f"{self.name}: the input of {layer.name} is {D} wide and its output {width}, "
                "expected the same width"
            )

    def forward(
        self, xs: Array, lengths: Any = None, mask: Any = None, train: bool = True, **options: Any
    ) -> Array:
        """Run the layer; arguments and result as in its own ``forward``.

        Raises
        ------
        ShapeError
            If the output is not as wide as the input.
        """
        valid = valid_steps(xs, lengths, mask, self.time_major, self.name)
        hs = self.layer.forward(xs, mask=valid, train=train, **options)
        if isinstance(hs, tuple) or tuple(hs.shape) != tuple(xs.shape):
            given = "a tuple" if isinstance(hs, tuple) else f"of shape {tuple(hs.shape)}"
            raise ShapeError(
                f"{self.name}: the output of {self.layer.name} is {given}, expected "
                f"{tuple(xs.shape)}, the shape of the input"
            )
        self._cache = (valid,) if train else None
        return hs + _where_valid(valid, xs)

    def backward(self, dhs: Array | None, dstate: Any = None) -> Array:
        """Gradient of the last `forward`; arguments as in the layer's own ``backward``."""
        (valid,) = self._held_cache()
        dxs = self.layer.backward(dhs, dstate=dstate)
        self._cache = None
        return dxs if dhs is None else dxs + _where_valid(valid, dhs)

    def _check_upstream(self, dout: Any, dstate: Any = None) -> None:
        self._held_cache()
        super()._check_upstream(dout, dstate)


def _where_valid(valid: Array | None, a: Array) -> Array:
    """`a`, and zeros at masked steps, even where it is NaN there."""
    if valid is None:
        return a
    xp = namespace_of(a)
    return xp.where(valid[:, :, None], a, xp.zeros_like(a))
