"""`ZoneoutCell`: elements of the state that keep their old value at random."""

from typing import Any, Self

from rnn_xp._typing import Array, State
from rnn_xp.cells.masks import CallMasks, check_ratio, check_stream
from rnn_xp.cells.nested import leaves, leaves_or_zeros, position_of, rebuild
from rnn_xp.cells.wrapper import WrapperCell
from rnn_xp.namespace import namespace_of
from rnn_xp.rng import DropoutKey


class ZoneoutCell(WrapperCell):
    """While training, let each element of the state keep its old value with some probability.

    Runs in `TimeCell`; there is no fast kernel.

    Parameters
    ----------
    cell : Cell
    ratio : float, or tuple of float
        Probability that an element keeps its old value, 0 <= ratio < 1 (the draws are
        quantised to 1/65536): one for all parts of the state, or one for each in their order,
        for an LSTM ``(ratio of h, ratio of c)``.
    seed, stream : int
        Masks are a function of (seed, stream, number of the training call): the same on
        every backend, and after a resume. Give the random cells of a model different streams.

    Attributes
    ----------
    counter : int
        Number of training calls so far; part of what a resume restores.

    Notes
    -----
    For each part s of the state, with s' from the cell and m drawn anew at each step::

        training:    s'' = m * s' + (1 - m) * s        m = 0 with probability `ratio`
        evaluation:  s'' = (1 - ratio) * s' + ratio * s

    Training is a call of `TimeCell` with ``train=True``; a single step outside of it
    evaluates. An output that is one of the parts of the new state (h in all of the package's
    cells) is that part after zoneout; any other output is the cell's own.

    References
    ----------
    Krueger et al., "Zoneout: regularizing RNNs by randomly preserving hidden activations",
    arXiv:1606.01305.
    """

    def __init__(
        self,
        cell: Any,
        ratio: float | tuple[float, ...],
        *,
        seed: int = 0,
        stream: int = 0,
    ):
        super().__init__(cell)
        parts = len(leaves(cell.zero_state(1)))
        given = ratio if isinstance(ratio, tuple | list) else (ratio,) * parts
        if len(given) != parts:
            raise ValueError(
                f"ZoneoutCell: {len(given)} ratios, expected one for each of the {parts} parts of "
                "the state"
            )
        check_stream(seed, stream, "ZoneoutCell")
        self.ratios = tuple(check_ratio(r, "ZoneoutCell", "ratio") for r in given)
        self.seed = seed
        self.stream = stream
        self.counter = 0
        self._masks: CallMasks | None = None

    def for_call(self, N: int, T: int, train: bool) -> Self:
        """The cell for one call; a training call counts."""
        call = super().for_call(N, T, train)
        if train:
            key = DropoutKey(self.seed, self.stream, self.counter)
            call._masks = CallMasks(key, len(self.ratios), T)
            self.counter += 1
        return call

    def forward(self, x: Array, state: State) -> tuple[Array, State, Any]:
        """One step: ``(output, new_state, cache)``."""
        output, new, cache = self.cell.forward(x, state)
        place = position_of(output, new)
        masks, xp = self._masks, namespace_of(x)
        if masks is not None:
            masks.next_step("ZoneoutCell")
        zoned, updated = [], []
        for k, (old, fresh, ratio) in enumerate(
            zip(leaves(state), leaves(new), self.ratios, strict=True)
        ):
            taken = None  # where the new value is
            if ratio == 0.0:
                part = fresh
            elif masks is None:
                part = (1.0 - ratio) * fresh + ratio * old
            else:
                taken = masks.mask(k, ratio, fresh) > 0.0
                part = xp.where(taken, fresh, old)
            zoned.append(part)
            updated.append(taken)
        if place is not None:
            output = zoned[place]
        return output, rebuild(new, zoned), (cache, state, updated, place)

    def backward(self, doutput: Array, dstate: State | None, cache: Any) -> tuple[Array, State]:
        """Gradient of one step: ``(dx, dstate_before)``; adds into `grads`."""
        inner, state, updated, place = cache
        xp = namespace_of(doutput)
        parts = leaves_or_zeros(dstate, state)
        if place is not None:
            parts[place] = parts[place] + doutput
            doutput = xp.zeros_like(doutput)
        into_new, into_old = [], []
        for d, taken, ratio in zip(parts, updated, self.ratios, strict=True):
            if taken is not None:
                zeros = xp.zeros_like(d)
                into_new.append(xp.where(taken, d, zeros))
                into_old.append(xp.where(taken, zeros, d))
            else:
                into_new.append(d if ratio == 0.0 else (1.0 - ratio) * d)
                into_old.append(None if ratio == 0.0 else ratio * d)
        dx, before = self.cell.backward(doutput, rebuild(state, into_new), inner)
        through = [
            d if old is None else d + old for d, old in zip(leaves(before), into_old, strict=True)
        ]
        return dx, rebuild(state, through)
