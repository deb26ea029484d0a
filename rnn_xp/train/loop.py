"""The training loop: step, log, validate, save, until a limit is reached."""

import math
import time

from rnn_xp.errors import NonFiniteError
from rnn_xp.models import Rnnlm
from rnn_xp.optim import DivideOnWorse, global_norm
from rnn_xp.train.curve import draw_curve
from rnn_xp.train.dataset import TrainingData
from rnn_xp.train.diagnose import is_finite
from rnn_xp.train.evaluate import evaluate_batches
from rnn_xp.train.interrupt import StopRequest
from rnn_xp.train.metrics import MetricsFile
from rnn_xp.train.nonfinite import NonFiniteWatch
from rnn_xp.train.plan import (
    describe,
    make_optimizer,
    make_schedule,
    metric_of,
    total_steps,
    validation_due,
)
from rnn_xp.train.prefetch import Prefetch
from rnn_xp.train.progress import Clock, Progress
from rnn_xp.train.report import Reporter, RunInfo
from rnn_xp.train.result import TrainResult
from rnn_xp.train.run_folder import RunFolder
from rnn_xp.train.saved import Parts, load_state, save_model, save_state
from rnn_xp.train.stepper import Stepper
from rnn_xp.train.undo import Before

_REDRAW = 60.0  # seconds between two drawings of the curve


class _StopRequested(Exception):  # noqa: N818 - the way out of a validation, not an error
    """Somebody pressed Ctrl-C while the validation was running."""


class Trainer:
    """A run in progress.

    Parameters
    ----------
    folder : RunFolder
        With its configuration and vocabulary written.
    data : TrainingData
    model : Rnnlm
    reporter : Reporter
    resume : bool
        Whether to go on from ``last.safetensors``.
    new_rate : bool
        Whether the learning rate of the settings is a new one, which no division of before
        applies to.
    """

    def __init__(
        self,
        folder: RunFolder,
        data: TrainingData,
        model: Rnnlm,
        reporter: Reporter,
        resume: bool,
        new_rate: bool = False,
    ):
        self.folder, self.data, self.model, self.reporter = folder, data, model, reporter
        self.settings = folder.config.settings
        self.batches = data.batches
        self.total = total_steps(self.settings, self.batches.steps_per_epoch)
        self.optimizer = make_optimizer(self.settings)
        self.schedule = make_schedule(self.settings, self.total)
        self.stepper = Stepper(model, self.optimizer, self.settings)
        self._prefetch = Prefetch(model, self.batches.batch, self.settings.accumulate)
        self._parts = Parts(model, self.optimizer, self.schedule, self.batches, self.stepper)
        self.progress = load_state(folder, self._parts) if resume else Progress()
        self._new_rate = new_rate
        if new_rate and isinstance(self.schedule, DivideOnWorse):
            self.schedule.divisions = 0
        self._metrics: MetricsFile
        summed = self.settings.sum_over_time
        self._watch = NonFiniteWatch(self.stepper, self.batches.batch, summed)
        self._before: Before | None = None
        reset = self.settings.reset_state_each_epoch
        self._resets = self.batches.resets_state if reset is None else reset
        self._clock = Clock(self.progress.seconds)
        self._saved_at = time.monotonic()
        self._drawn_at = -math.inf

    def run(self, stop: StopRequest) -> TrainResult:
        """Train until a limit is reached or `stop` is set; save; return how it ended."""
        path = self.folder.file("metrics.jsonl")
        self._metrics = MetricsFile(path, self.progress.metrics_bytes)
        try:
            self._start()
            ended = self._end(stop)
            while ended is None:
                self._step()
                ended = self._end(stop)
            if ended == "minutes" and self.progress.validated != self.progress.step:
                self._validate(stop, planned=False)
            self._save()
            self._draw(last=True)
        finally:
            self._metrics.close()
        return TrainResult.of(self.folder, self.progress, ended)

    def _start(self) -> None:
        config, settings = self.folder.config, self.settings
        name = self.data.description["name"]
        text = describe(settings, config.model, self.model.parameter_count, name)
        notes = list(self.data.notes)
        if self.progress.step == 0:
            self._save_model()
            self._save()
        elif not self.folder.file("model.safetensors").exists():
            notes.append("model.safetensors was missing: it has the last weights now")
            self.progress.forget_best()
            self._save_model()
            self._save()
        elif self._new_rate:
            self._save()
        if self._patience_ended:
            notes.append(
                f"nothing is left to do: --patience {settings.patience} ended the run, "
                f"{self.progress.worse} validations were no better; --patience none goes on"
            )
        self.reporter.started(
            RunInfo(
                path=str(self.folder.path),
                description=f"{text}; {_where(self.model)}",
                level=config.level,
                total_steps=self.total,
                first_step=self.progress.step,
                tokens_per_step=settings.batch * settings.bptt,
                notes=notes,
                minutes=settings.minutes,
            )
        )
        self._clock.window()

    @property
    def _patience_ended(self) -> bool:
        patience = self.settings.patience
        return patience is not None and self.progress.worse >= patience

    def _end(self, stop: StopRequest) -> str | None:
        """Validate if it is time to; then say why the run ends here, if it does."""
        progress, settings = self.progress, self.settings
        per_epoch = self.batches.steps_per_epoch
        due = validation_due(settings, progress.step, per_epoch, self.total)
        if due and progress.validated != progress.step and not stop:
            # The last step of all is validated too, but schedules hear of planned ones only.
            self._validate(stop, validation_due(settings, progress.step, per_epoch, None))
        if stop:
            return "interrupted"
        if self.total is not None and progress.step >= self.total:
            return "done"
        if self._patience_ended:
            return "patience"
        if settings.minutes is not None and self._clock.total() >= 60.0 * settings.minutes:
            return "minutes"
        return None

    def _step(self) -> None:
        progress, batches = self.progress, self.batches
        if batches.step == 0 and self._resets:
            self.stepper.reset_states()
        number = batches.position
        ts, parts = self._prefetch.take(number)
        batches.position += 1
        self.optimizer.lr = self.schedule.lr_at(progress.step, number / batches.steps_per_epoch)
        record = self.stepper.step(progress.step + 1, number, ts, parts)
        self._watch.add(record)
        progress.step += 1
        progress.tokens += record.tokens
        progress.epoch = batches.position / batches.steps_per_epoch
        if progress.step != self.total:
            self._prefetch.prepare(batches.position)
        self.reporter.stepped(progress.step)
        epoch_ended = batches.step == 0
        first_or_last = progress.step in (1, self.total)
        if epoch_ended or first_or_last or progress.step % self.settings.log_every == 0:
            self._log(epoch_ended)
        if time.monotonic() - self._saved_at >= self.settings.save_every:
            self._save()

    def _log(self, epoch_ended: bool) -> None:
        self._fetch()
        self.progress.seconds = self._clock.total()
        row = self.progress.log_row(self.optimizer.lr, self._clock.window(), epoch_ended)
        row |= self._watch.scaling
        self._metrics.append(row)
        self.reporter.logged(row)

    def _fetch(self) -> None:
        """Bring losses and norms from the device, and see whether they are finite."""
        numbers, warnings, broken = self._watch.fetch()
        self.progress.fetched(numbers)
        first = self._watch.first_bad
        if first is None:
            self._before = None
        elif self._before is None or self._before.record is not first:
            self._before = Before.of(first, self.progress, self._metrics, self.schedule)
        for line in warnings:
            self.reporter.note(f"warning: {line}")
        if broken is not None and self._before is not None:
            self._give_up(self._before)

    def _give_up(self, before: Before) -> None:
        """Go back to before the step that broke, save that, and raise."""
        broken = before.record
        found = self._watch.describe(broken)
        message = f"step {broken.step}: the loss or the gradient is not finite; first: {found}"
        remedy = (
            f"rnn-xp train --resume {self.folder.path} --lr {self.settings.learning_rate / 4:g} "
            "goes on from there with a lower learning rate (a lower --clip helps too)"
        )
        if not is_finite(global_norm([self.model.flat_params])):
            raise NonFiniteError(f"{message}; the last checkpoint is from before: {remedy}")
        self.progress = before.restore(
            self._metrics, self.schedule, self.folder.file("model.safetensors")
        )
        self.batches.position = broken.batch
        self.progress.epoch = broken.batch / self.batches.steps_per_epoch
        self.stepper.go_back(broken)
        self._watch.forget()
        self._before = None
        self._save()
        raise NonFiniteError(f"{message}; saved as of step {self.progress.step}: {remedy}")

    def _validate(self, stop: StopRequest, planned: bool) -> None:
        with self._clock.paused():
            self._fetch()
            if self.data.validation is None:
                self.progress.validated = self.progress.step
                self._save()
                return

            def watch(done: int, total: int) -> None:
                if stop:
                    raise _StopRequested
                self.reporter.validating(done, total)

            batches, total = self.data.validation(), self.data.valid_tokens
            try:
                nats = evaluate_batches(self.model, batches, total, watch).nats_per_token
            except _StopRequested:
                return
            self.progress.seconds = self._clock.total()
            name, value = metric_of(self.folder.config.level, nats)
            row = self.progress.validation_row(nats, name, value, planned)
            if planned:
                self.schedule.on_validation(nats)
            self._metrics.append(row)
            if row["best"]:
                self._save_model()
            self._save()
            self.reporter.validated(row)
            self._draw()

    def _save_model(self) -> None:
        if self._before is not None:
            self._before.keep_model(self.folder.file("model.safetensors"))
        save_model(self.folder, self.model, self.progress)

    def _save(self) -> None:
        with self._clock.paused():
            self._fetch()
            if not is_finite(global_norm([self.model.flat_params])):
                raise NonFiniteError(
                    f"step {self.progress.step}: a parameter is not finite; the last checkpoint "
                    f"is from before: rnn-xp train --resume {self.folder.path} "
                    f"--lr {self.settings.learning_rate / 4:g} goes on from there"
                )
            if self.data.validation is None:
                self._save_model()
            self.progress.metrics_bytes = self._metrics.sync()
            self.progress.seconds = self._clock.total()
            save_state(self.folder, self._parts, self.progress)
            self._saved_at = time.monotonic()

    def _draw(self, last: bool = False) -> None:
        if last or time.monotonic() - self._drawn_at >= _REDRAW:
            problem = draw_curve(self.folder)
            self._drawn_at = time.monotonic()
            if last and problem is not None:
                self.reporter.note(problem)


def _where(model: Rnnlm) -> str:
    """Where, and in which precision, the computation runs."""
    backend = f"backend {model.backend.label}"
    return backend if model.precision == "float32" else f"{backend}, precision {model.precision}"
