"""One training step: forward, backward, clip, update; nothing in it waits for the device."""

from dataclasses import dataclass
from typing import Any, TypeAlias

from rnn_xp._typing import Array
from rnn_xp.models import Rnnlm
from rnn_xp.optim import (
    GradientAccumulator,
    LossScale,
    Optimizer,
    clip_coefficient,
    clip_values,
    global_norm,
)
from rnn_xp.optim.loss_scale import Scaling
from rnn_xp.train.settings import TrainSettings

LayerStates: TypeAlias = list[Any]  # one state a recurrent layer: a tuple of (N, H), or None


@dataclass(slots=True)
class StepRecord:
    """What one step left, and what it takes to run it again.

    Attributes
    ----------
    step : int
        Its number, from 1.
    batch : int
        The number of its batch, from 0.
    tokens : int
        How many it predicted.
    loss, norm : 0-d array
        Nats per token, norm of the gradient; the update was made if both are finite. On the
        device.
    states : list of LayerStates
        Recurrent states before the step, one a part of the batch.
    counters : list of int
        Dropout counters before the step.
    scaling : tuple of 0-d array, or None
        State of the loss scale before the step.
    """

    step: int
    batch: int
    tokens: int
    loss: Array
    norm: Array
    states: list[LayerStates]
    counters: list[int]
    scaling: Scaling | None = None


class Stepper:
    """Makes training steps.

    Parameters
    ----------
    model : Rnnlm
    optimizer : Optimizer
    settings : TrainSettings
        ``clip``, ``clip_values``, ``accumulate``, ``sum_over_time`` and ``precision`` are used.

    Attributes
    ----------
    states : list of LayerStates
        Recurrent states, one for each of the `accumulate` parts of the rows.
    loss_scale : LossScale or None
        With precision float16.
    """

    def __init__(self, model: Rnnlm, optimizer: Optimizer, settings: TrainSettings):
        self.model = model
        self.optimizer = optimizer
        self._settings = settings
        segments = model.segments()
        self._params = [p for p, _ in segments]
        self._grads = [g for _, g in segments]
        self._parts = settings.accumulate
        self._accumulator = GradientAccumulator(self._grads) if self._parts > 1 else None
        half = settings.precision == "float16"
        self.loss_scale = LossScale(model.flat_params) if half else None
        self.states: list[LayerStates] = []
        self.reset_states()

    def reset_states(self) -> None:
        """Start from zeros."""
        empty = [None] * len(self.model.recurrent_layers)
        self.states = [list(empty) for _ in range(self._parts)]

    def step(self, number: int, batch: int, ts: Any, parts: list[tuple[Any, Any]]) -> StepRecord:
        """Train on a batch.

        Parameters
        ----------
        number, batch : int
            Of the step, from 1, and of its batch, from 0.
        ts : array of int, shape (N, T)
            Targets, on the host.
        parts : list of (xs, ts)
            What `Rnnlm.forward` takes, once for each of the `accumulate` parts of the rows.
        """
        before = [list(states) for states in self.states]
        counters = self.model.dropout_counters
        scaling = None if self.loss_scale is None else self.loss_scale.state
        loss, grads = self._gradient(ts, parts)
        norm = self._unscaled(global_norm(grads))
        factor, ok = clip_coefficient(norm, self._settings.clip, loss)
        scale = self._unscaled(factor)
        if self._settings.clip_values is not None:
            if self._settings.clip is not None or self.loss_scale is not None:
                for grad in grads:
                    grad[...] = grad * scale
                scale = 1.0
            clip_values(grads, self._settings.clip_values)
        self.optimizer.update(self._params, grads, scale=scale, ok=ok)
        if self.loss_scale is not None:
            self.loss_scale.update(ok)
        return StepRecord(number, batch, int(ts.size), loss, norm, before, counters, scaling)

    def go_back(self, record: StepRecord) -> None:
        """Let everything but parameters and optimiser be as it was before a step."""
        self.states = record.states
        self.model.dropout_counters = record.counters
        if self.loss_scale is not None and record.scaling is not None:
            self.loss_scale.state = record.scaling

    def _unscaled(self, value: Any) -> Any:
        return value if self.loss_scale is None else self.loss_scale.unscaled(value)

    def _gradient(self, ts: Any, parts: list[tuple[Any, Any]]) -> tuple[Array, list[Array]]:
        dout: Any = int(ts.shape[1]) if self._settings.sum_over_time else 1
        if self.loss_scale is not None:
            dout = self.loss_scale.scaled(dout)
        if self._accumulator is None:
            put_states(self.model, self.states[0])
            loss = self.model.forward(*parts[0])
            self.model.backward(dout)
            self.states[0] = take_states(self.model)
            return loss, self._grads
        total: Any = None
        for part, given in enumerate(parts):
            put_states(self.model, self.states[part])
            loss = self.model.forward(*given)
            self.model.backward(dout)
            self.states[part] = take_states(self.model)
            self._accumulator.add(int(ts.size) // self._parts)
            total = loss if total is None else total + loss
        return total / self._parts, self._accumulator.mean()


def take_states(model: Rnnlm) -> LayerStates:
    """The states in which the recurrent layers are; no copies, layers never write into them."""
    return [layer.state for layer in model.recurrent_layers]


def put_states(model: Rnnlm, states: LayerStates) -> None:
    """Let the recurrent layers go on from `states`."""
    for layer, state in zip(model.recurrent_layers, states, strict=True):
        layer.state = state
