"""Dynamic loss scaling, which keeps small gradients from vanishing in float16."""

import math
from typing import Any, TypeAlias

from rnn_xp._typing import Array
from rnn_xp.backend import backend_of, to_host
from rnn_xp.namespace import float_dtype_name, namespace_of

FIRST = 2.0**16
INTERVAL = 2000
LEAST = 1.0
MOST = 2.0**24

# Scale and good steps in a row, both 0-d arrays.
Scaling: TypeAlias = tuple[Array, Array]


class LossScale:
    """Factor of the loss in the backward pass, as large as the gradients allow.

    The backward pass computes the gradient of ``scale * loss``: what it rounds to float16, where
    2**-25 is 0 and 65520 infinite, lies higher. Norm, clipping and update are those of the
    gradient divided by `scale`. Scales are powers of two: without overflow and underflow the
    numbers are those of an unscaled step, to the bit.

    A step whose gradient is not finite is skipped and halves the scale; `interval` good steps
    in a row double it::

        loss = model.forward(xs, ts)
        model.backward(scaling.scale)
        norm = scaling.unscaled(global_norm(grads))
        factor, ok = clip_coefficient(norm, max_norm, loss)
        optimizer.update(params, grads, scale=scaling.unscaled(factor), ok=ok)
        scaling.update(ok)

    Nothing in these lines waits for the device.

    Parameters
    ----------
    like : array
        A parameter: dtype and device of the scale.
    first : float
        The scale to begin with, a power of two.
    interval : int
        Good steps in a row that double it.

    Notes
    -----
    Loss scaling, with a constant factor, is by Micikevicius et al., "Mixed precision training",
    ICLR 2018, arXiv 1710.03740, section 3.2. Halving and doubling, and the numbers 2**16, 1/2, 2
    and 2000, are those of PyTorch's ``torch.amp.GradScaler``. That has no bounds; here the scale
    stays between `LEAST`, where a gradient that is not finite is none of its doing, and `MOST`,
    which gradients that are all zero would otherwise leave behind on the way to infinity.
    """

    def __init__(self, like: Array, first: float = FIRST, interval: int = INTERVAL):
        if interval < 1:
            raise ValueError(f"LossScale: interval is {interval}, expected at least 1")
        self.interval = interval
        self._backend = backend_of(like)
        self._dtype = float_dtype_name(like.dtype, namespace_of(like), "LossScale", "like")
        self.load_state_dict({"scale": first, "good_steps": 0})

    @property
    def scale(self) -> Array:
        """The factor, shape (); what the ``backward`` of the loss takes as `dout`."""
        return self.state[0]

    def scaled(self, dout: Any) -> Array:
        """The factor times a number or 0-d array that the gradient is multiplied by anyway."""
        return self.scale if isinstance(dout, int) and dout == 1 else dout * self.scale

    def unscaled(self, value: Any) -> Array:
        """`value`, a number or 0-d array that belongs to the scaled gradient, without the scale."""
        return value / self.scale

    def update(self, ok: Any) -> None:
        """Take note of a step.

        Parameters
        ----------
        ok : array of bool, shape ()
            Whether its gradient was finite, see `rnn_xp.optim.clip_coefficient`.
        """
        update = self._backend.kernels(self._dtype).loss_scale_update
        self.state: Scaling = update(
            *self.state, ok, interval=self.interval, least=LEAST, most=MOST
        )

    def state_dict(self) -> dict[str, float]:
        """What `load_state_dict` takes, as plain numbers, which are exact. Waits for the device."""
        scale, good = (float(to_host(array)) for array in self.state)
        return {"scale": scale, "good_steps": good}

    def load_state_dict(self, state: dict[str, float]) -> None:
        """Go on as the one that `state` is of.

        Raises
        ------
        KeyError
            If an entry is missing.
        ValueError
            If a number cannot be.
        """
        scale, good = float(state["scale"]), float(state["good_steps"])
        power = LEAST <= scale <= MOST and math.frexp(scale)[0] == 0.5
        if not (power and good >= 0.0):
            raise ValueError(
                f"LossScale: got a scale of {scale} after {good} good steps, expected a power of "
                "two from 1 to 2**24, and a count"
            )
        self.state = (
            self._backend.asarray(scale, self._dtype),
            self._backend.asarray(good, self._dtype),
        )
