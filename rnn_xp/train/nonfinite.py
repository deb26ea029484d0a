"""What happens when a loss or a gradient is not finite.

The update of such a step is skipped on the device, so nothing is lost; the host hears of
it at the next log. A gradient that overflows once is a warning. A loss that is not finite
poisons the recurrent state, and so does not go away: the run goes back to the step before,
says which tensor was the first, and ends.

With a loss scale (float16) a gradient that overflows is how the scale finds its size: that is
neither warned of nor counted, until the scale is as small as it gets.
"""

import math
from collections.abc import Callable
from typing import Any

from rnn_xp.backend import to_host
from rnn_xp.namespace import namespace_of
from rnn_xp.optim.loss_scale import LEAST
from rnn_xp.train.diagnose import diagnose
from rnn_xp.train.progress import Numbers
from rnn_xp.train.stepper import Stepper, StepRecord

MOST_SKIPPED = 20  # in a row


class NonFiniteWatch:
    """Keeps the steps that the host has not looked at, and those that went wrong last.

    Parameters
    ----------
    stepper : Stepper
    batch : callable
        Returns ``(x, t)`` of a batch by its number.
    sum_over_time : bool
        As in the settings.

    Attributes
    ----------
    scaling : dict
        Loss scale of the last step that was looked at, for the log; empty without one.
    """

    def __init__(self, stepper: Stepper, batch: Callable[[int], Any], sum_over_time: bool):
        self._stepper = stepper
        self._batch = batch
        self._sum_over_time = sum_over_time
        self.scaling: dict[str, float] = {}
        self._unseen: list[StepRecord] = []
        self._bad: list[StepRecord] = []  # in a row, the last step included

    def add(self, record: StepRecord) -> None:
        """Keep a step; nothing waits for the device."""
        self._unseen.append(record)

    def fetch(self) -> tuple[list[Numbers], list[str], StepRecord | None]:
        """Look at the steps since the last call. Waits for the device.

        Returns
        -------
        numbers : list of Numbers
        warnings : list of str
            About updates that were skipped and did no harm.
        broken : StepRecord or None
            The first of the steps from which training does not recover.
        """
        numbers: list[Numbers] = []
        warnings: list[str] = []
        for record, (loss, norm, *scale) in zip(self._unseen, _on_host(self._unseen), strict=True):
            ok = math.isfinite(loss) and math.isfinite(norm)  # so decided the device, too
            numbers.append((record.step, record.tokens, loss, norm, ok))
            if scale:
                self.scaling = {"loss_scale": scale[0]}
            if not ok:
                too_large = bool(scale) and scale[0] > LEAST and math.isfinite(loss)
                if self._bad or not too_large:
                    self._bad.append(record)
            elif self._bad:
                warnings.append(self._warning())
                self._bad = []
        self._unseen = []
        if not self._bad:
            return numbers, warnings, None
        poisoned = not math.isfinite(float(to_host(self._bad[-1].loss)))
        if poisoned or len(self._bad) >= MOST_SKIPPED:
            return numbers, warnings, self._bad[0]
        return numbers, warnings, None

    @property
    def first_bad(self) -> StepRecord | None:
        """The first of the steps that went wrong in a row, if the last one that was seen did."""
        return self._bad[0] if self._bad else None

    def forget(self) -> None:
        """Drop all steps; the run went back to before them."""
        self._unseen, self._bad = [], []

    def describe(self, record: StepRecord) -> str:
        """The first tensor that is not finite when the step is made again."""
        xs, ts = self._batch(record.batch)
        parts = len(record.states)
        rows = len(xs) // parts
        counters = record.counters
        dout: float = int(ts.shape[1]) if self._sum_over_time else 1
        if record.scaling is not None:
            dout *= float(to_host(record.scaling[0]))
        found = ""
        for part, state in enumerate(record.states):
            block = slice(part * rows, (part + 1) * rows)
            shifted = [counter + part for counter in counters]
            found = diagnose(self._stepper.model, xs[block], ts[block], state, shifted, dout)
            if not found.startswith("the norm"):
                break
        return found

    def _warning(self) -> str:
        first, count = self._bad[0], len(self._bad)
        what = f"step {first.step}" if count == 1 else f"steps {first.step} to {self._bad[-1].step}"
        return (
            f"{what}: the gradient was not finite, the update was skipped; first: "
            f"{self.describe(first)}"
        )


def _on_host(records: list[StepRecord]) -> list[list[float]]:
    """Loss, norm and loss scale, if there is one, of each step, in one copy from the device."""
    if not records:
        return []
    xp = namespace_of(records[0].norm)
    scalars = [a for r in records for a in (r.loss, r.norm, *(r.scaling or ())[:1])]
    numbers: list[list[float]] = to_host(xp.stack(scalars)).reshape(len(records), -1).tolist()
    return numbers
