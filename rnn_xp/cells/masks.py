"""The random masks of one call: the same on every backend and after a resume."""

from numbers import Integral, Real
from typing import Any

from rnn_xp._typing import Array
from rnn_xp.namespace import float_dtype_name, namespace_of
from rnn_xp.rng import DropoutKey, dropout_threshold


def check_ratio(ratio: Any, where: str, what: str) -> float:
    """Return `ratio` as a float.

    Raises
    ------
    TypeError
        If it is not a number.
    ValueError
        Unless ``0 <= ratio < 1``; ratios are quantised to 1/65536, and must not become 1.
    """
    if isinstance(ratio, bool) or not isinstance(ratio, Real):
        raise TypeError(f"{where}: {what} is a {type(ratio).__name__}, expected a number")
    number = float(ratio)
    if not 0.0 <= number < 1.0 or dropout_threshold(number) >= 65536:
        raise ValueError(f"{where}: {what} = {ratio}, expected 0 <= ratio < 1")
    return number


def check_stream(seed: Any, stream: Any, where: str) -> None:
    """Raise `ValueError` unless both are integers of 64 bits."""
    if not (isinstance(seed, Integral) and isinstance(stream, Integral)):
        raise ValueError(f"{where}: seed = {seed!r}, stream = {stream!r}, expected integers")
    if not (0 <= int(seed) < 2**64 and 0 <= int(stream) < 2**64):
        raise ValueError(f"{where}: seed = {seed}, stream = {stream}, expected 0 to 2**64 - 1")


class CallMasks:
    """Dropout masks of one training call, drawn whole when first asked for.

    Parameters
    ----------
    key : DropoutKey
        Seed, stream, and number of the training call.
    kinds : int
        How many different masks a step has. Mask `k` of call `c` is the one of
        `rnn_xp.rng.draw_dropout_mask` for the counter ``c * kinds + k``.
    T : int
        Number of steps of the call.
    variational : bool
        Whether all steps share one mask (per row), instead of each having its own.

    Notes
    -----
    A mask is drawn for all T steps at once, in (T, N, width) order as `TimeDropout` does
    ((1, N, width) if variational), and kept while the caches of the call live.
    """

    def __init__(self, key: DropoutKey, kinds: int, T: int, variational: bool = False):
        self.key, self.kinds, self.T, self.variational = key, kinds, T, variational
        self._step = -1
        self._drawn: dict[int, Array] = {}

    def next_step(self, where: str) -> None:
        """Go on to the next step; call it once at the start of each.

        Raises
        ------
        ValueError
            After T steps.
        """
        self._step += 1
        if self._step >= self.T:
            raise ValueError(
                f"{where}: step {self._step + 1} of a call of T = {self.T} steps; what for_call "
                "returns is for one call"
            )

    def mask(self, k: int, ratio: float, like: Array) -> Array:
        """Mask `k` of this step: 0 with probability `ratio`, else ``1 / (1 - ratio)``.

        Parameters
        ----------
        k : int
        ratio : float
        like : array, shape (N, width)
            Gives shape, dtype and device.
        """
        if k not in self._drawn:
            from rnn_xp.backend import backend_of  # it imports the kernels, and they the cells

            xp = namespace_of(like)
            dtype = float_dtype_name(like.dtype, xp, "CallMasks", "like")
            shape = (1 if self.variational else self.T, *like.shape)
            key = DropoutKey(self.key.seed, self.key.stream, self.key.counter * self.kinds + k)
            draw = backend_of(like).kernels(dtype).dropout_mask
            self._drawn[k] = draw(shape, ratio, key, like)
        return self._drawn[k][0 if self.variational else self._step, :, :]
