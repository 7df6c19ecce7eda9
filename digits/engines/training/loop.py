"""The training loop of every engine: batches, learning rate, events, validations, snapshots, checkpoints; no framework here.

Metric events are a function of the request and the data alone: they are told at fixed steps, never by the clock, so that a
resumed run writes the same lines. Progress and checkpoints go by the clock.
"""

from __future__ import annotations

import bisect
import math
import time
from contextlib import closing, nullcontext
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from digits.domain.events import BaselineEvent, LogEvent, MetricEvent, ProgressEvent, WarningEvent
from digits.domain.metrics import (
    EPOCH_MEAN,
    NOTHING,
    NOTHING_DECIDES,
    deciding_beside_losses,
    deciding_metric,
    is_sound,
    nonfinite_text,
)
from digits.engines.base import TrainingRun
from digits.engines.network.own_metrics import no_direction
from digits.engines.training import baseline, checkpoint
from digits.engines.training.batches import Batch, BatchSource, epoch_order, share, split_batches, training_batches
from digits.engines.training.calendar import Calendar
from digits.engines.training.divergence import explain
from digits.engines.training.learning_rate import rate_at
from digits.engines.training.setup import labels_of, task_of
from digits.engines.training.snapshots import SnapshotManager
from digits.engines.training.stages import Stages, StepMeter
from digits.engines.training.step import HITS, Scores, TrainingStep, kinds_of
from digits.engines.training.tensorboard import Summaries
from digits.engines.training.totals import Totals, restored
from digits.engines.training.traces import Tracer, tracer_of
from digits.engines.training.validation_samples import ValidationSamples
from digits.errors import JobStopped, TrainingError

PROGRESS_SECONDS = 1.0
FEWEST_RATES = 5  # reports of speed, to tell how much it varies
FINISH_SECONDS = 0.5  # how often it is looked whether the training is to end early
LOSS = "loss"
GRADIENTS = "gradients"  # a phase of metrics


@dataclass(frozen=True)
class WholeStep:
    """Where a training was after a step of the optimizer: what a checkpoint of it would hold."""

    step: int
    totals: Totals
    snapshots: dict[str, Any]
    offset: int
    state: Any  # of the engine, see `TrainingStep.remember`


class TrainingLoop:
    """One training from its start or its checkpoint to its end."""

    def __init__(
        self,
        run: TrainingRun,
        calendar: Calendar,
        training_step: TrainingStep,
        source: BatchSource,
        snapshot_manager: SnapshotManager,
        validation_samples: ValidationSamples,
        from_trained: bool = False,
    ) -> None:
        self.run_ = run
        self.calendar = calendar
        self.training_step = training_step
        self.source = source
        self.snapshot_manager = snapshot_manager
        self.validation_samples = validation_samples
        self.from_trained = from_trained  # whether the weights before the first step were trained before
        self.step = 0
        self.epoch_totals = Totals()
        self.progress = TrainingProgress(run, calendar)
        self.stages = Stages(run, calendar)
        self.summaries: Summaries | None = None
        self.tracer: Tracer | None = None
        self.validated = True  # whether the validation of this step, if it has one, is made
        self.clock = checkpoint.CheckpointClock(run.checkpoint_seconds)
        self.missing = ""  # a metric of which it was said that it cannot decide
        self.warned = False  # of outputs that are no numbers
        self.whole: WholeStep | None = None  # where the group of accumulated batches began that is open
        self.finished = False  # whether it ends before its last epoch, because its user requested that
        self._looked = float("-inf")
        self.measured: Scores | None = None  # of the validation after this step, where there was one
        self.sound = 0  # the last step after which the weights were looked at and were numbers

    def run(self) -> None:
        """Train; where there is nothing to train the start is the end. Raises JobStopped (after a checkpoint) when requested to
        stop, TrainingError when the loss or the weights are no numbers: what was saved before stays."""
        self._restore()
        self.run_.motion.moved(self.step)
        if self.training_step.rank == 0:
            self.summaries = Summaries(self.run_, self.step)
            self.tracer = tracer_of(self.run_, self.calendar, self.training_step.recorder)
        if self.step == 0 and self.calendar.validations:
            self._report_baseline()
            if self.training_step.learns:
                self._validate_start()
        if self.step == 0 and not self.training_step.learns:
            self.step = self.calendar.total
            self._after_step()
        if not self.validated:
            self._after_step()
        self.progress.start(self.step)
        with closing(self.tracer) if self.tracer else nullcontext():
            self.finished = self.step > 0 and self.training_step.agree((self._is_to_finish(),))[0]
            for epoch in range(self.step // self.calendar.steps_per_epoch, self.calendar.epochs):
                if not self.finished:
                    self._epoch(epoch)
        if self.step < self.calendar.total:
            self._end_early()
        self.progress.report(self.step, force=True)
        if self.summaries is not None:
            self.summaries.graph(self.training_step.graph)
        self._checkpoint()

    def _epoch(self, epoch: int) -> None:
        calendar = self.calendar
        batches = self._batches(epoch)
        sizes = [len(batch) for batch in batches]
        first = self.step % calendar.steps_per_epoch
        own = [share(batch, self.training_step.rank, self.training_step.world) for batch in batches]
        stream = self.source.stream([indices for indices, _ in own[first:]], calendar.seed, epoch)
        if self.tracer is not None:
            stream = self.tracer.watch(stream, self.step, len(own) - first)
        stream = self.stages.watch(stream)
        for position, batch in enumerate(stream, start=first):
            group = sum(sizes[i] for i in calendar.group_of(position))
            self.training_step.smallest_share = sizes[position] // self.training_step.world
            self._train(batch, epoch, own[position][1] * sizes[position] / group)
            if self.finished:
                break

    def _train(self, batch: Batch, epoch: int, weight: float) -> None:
        rate = rate_at(self.run_.spec.learning_rate, self.calendar.percent_of(self.step))
        update = self.calendar.updates_at(self.step + 1)
        if self.calendar.updates_at(self.step):
            self.whole = None if update else self._remember()
        meter = self.training_step.meter = self.stages.meter(self.step + 1, self.training_step.finish)
        self.training_step.train_batch(batch, epoch, rate, weight, update)
        if self.tracer is not None:
            self.tracer.end()
        self.step += 1
        self.run_.motion.moved(self.step)
        if self.calendar.logs_at(self.step):
            self._report_training(rate)
        if meter is not None:
            self._report_stages(meter)
        trained = time.monotonic()
        self._after_step()
        self._pulse(update)
        self.progress.report(self.step, time.monotonic() - trained)

    def _report_training(self, rate: float) -> None:
        window = self.training_step.take()
        means = window.means()
        if not math.isfinite(means.get(LOSS, 0.0)) or self.training_step.spoiled:
            raise self._diverged()
        self.epoch_totals.add(window)
        if self.step % self.calendar.steps_per_epoch == 0:
            means |= {f"{EPOCH_MEAN}{name}": value for name, value in self.epoch_totals.means().items()}
            self.epoch_totals = Totals()
        measured = [name for name in means if name.removeprefix(EPOCH_MEAN) != HITS]
        self._emit_metrics("train", means, kinds_of(means, (name.removeprefix(EPOCH_MEAN) for name in measured), {}))
        self._emit_metrics("lr", {"learning_rate": rate}, {"learning_rate": "other"})

    def _report_stages(self, meter: StepMeter) -> None:
        norm, self.training_step.meter = meter.gradient_norm, None
        if norm is not None and math.isfinite(norm):
            self._emit_metrics(GRADIENTS, {"gradient_norm": norm}, {"gradient_norm": "other"})
        self.stages.report(self.step, meter)

    def _after_step(self) -> None:
        interval = self.calendar.snapshots.get(self.step)
        validates = self.step in self.calendar.validations
        if validates or interval is not None:
            self._check()
        if validates and self.calendar.updates_at(self.step) and self.training_step.agree((self.clock.is_due(),))[0]:
            self._checkpoint(validated=False)  # a validation may take long
        self.measured = self._validate() if validates else None
        scores = self.measured or Scores({}, {})
        self._check_outputs(scores)
        if self.training_step.rank == 0 and (scores.values or interval is not None):
            self.snapshot_manager.after(self.step, self.calendar.epoch_of(self.step), interval, scores)
        if interval is not None and self.calendar.updates_at(self.step):
            self._checkpoint()

    def _validate(self) -> Scores:
        """A validation. One that is stopped is made when the training goes on, from a checkpoint of the step before it."""
        began = time.perf_counter()
        try:
            evaluated = self.training_step.evaluate()
        except JobStopped:
            if self.calendar.updates_at(self.step):
                self._checkpoint(validated=False)
            else:
                self._leave_group()
            raise
        self.stages.report_validation(self.step, time.perf_counter() - began)
        return self._report_validation(evaluated)

    def _validate_start(self) -> None:
        """Measure the weights before the first step; those that were trained before are the best so far, and kept."""
        self._check()
        scores = self._report_validation(self.training_step.evaluate())
        if self.from_trained and self.training_step.rank == 0 and scores.values:
            self.snapshot_manager.after(0, 0.0, None, scores)

    def _report_baseline(self) -> None:
        if self.training_step.rank != 0:
            return
        found = baseline.measure(self.run_, self.validation_samples.source, self.training_step)
        if found is not None:
            self.run_.emit(BaselineEvent(values=found.values, description=found.description))

    def _report_validation(self, evaluated: Scores) -> Scores:
        scores = self._deciding(evaluated)
        self._emit_metrics("val", scores.values, scores.kinds, scores)
        self._warn_of_outputs(scores)
        self.validation_samples.add(self.training_step, self.step, self.calendar.epoch_of(self.step), scores.chosen)
        if self.summaries is not None:
            self.summaries.samples(self.step)
            self.summaries.graph(self.training_step.graph)
        return scores

    def _deciding(self, scores: Scores) -> Scores:
        """The scores with the one that decides. NetworkError at the start where it was wished and cannot."""
        wished = self.run_.spec.best_metric
        decides = self._decides(scores, wished)
        if wished and decides != wished and scores.values:
            if self.step == 0 and wished in scores.values:
                raise no_direction(wished)
            if wished != self.missing:
                self.missing = wished
                deciding = decides if decides not in ("", NOTHING) else "nothing"
                message = f"{wished} was to decide which snapshot is best, but cannot; {deciding} decides."
                advice = f"These are measured: {', '.join(name for name in scores.values if '/' not in name)}."
                self.run_.emit(WarningEvent(code="best-metric", message=message, advice=advice))
        if decides == NOTHING and self.step == 0:
            self.run_.emit(LogEvent(message=NOTHING_DECIDES))
        return replace(scores, decides=decides)

    def _decides(self, scores: Scores, wished: str) -> str:
        task, measured = task_of(self.run_), (scores.values, wished, scores.declared, scores.kinds)
        if scores.several:
            return deciding_beside_losses(task.name, *measured, labelled=task.has_labels(labels_of(self.run_)))
        return deciding_metric(task.name, *measured)

    def _warn_of_outputs(self, scores: Scores) -> None:
        """Say once that some outputs or the loss are no numbers; the metrics of each validation count them."""
        if self.warned or is_sound(scores.values, scores.nonfinite):
            return
        self.warned = True
        found = nonfinite_text(scores.nonfinite, scores.outputs) if scores.nonfinite else "The loss was no number"
        message = f"{found} (NaN or infinite) in the validation of epoch {self.calendar.epoch_of(self.step):.4g}."
        advice = (
            "Such outputs count as wrong, and no such validation is the best. Look for numbers that grow beyond bounds in the "
            "network, or in its loss."
        )
        self.run_.emit(WarningEvent(code="nonfinite", message=message, advice=advice))

    def _pulse(self, update: bool) -> None:
        """Stop or save when it is time, the latter after an `update`; several processes do what rank 0 says."""
        due = update and self.clock.is_due()
        hears = update or self.whole is not None
        wishes = (hears and self.run_.should_stop(), due, update and self._is_to_finish())
        stop, save, self.finished = self.training_step.agree(wishes)
        if not update and stop:
            self._leave_group()
        elif stop or save:
            self._checkpoint()
        if stop:
            raise JobStopped("The training was stopped; it can be resumed from where it was.")

    def _is_to_finish(self) -> bool:
        now = time.monotonic()
        if now - self._looked < FINISH_SECONDS:
            return False
        self._looked = now
        return self.run_.should_finish()

    def _end_early(self) -> None:
        """Measure and keep the weights of this step, as at the end of the last epoch."""
        self._check()
        epoch = self.calendar.epoch_of(self.step)
        self.run_.emit(LogEvent(message=f"Ends early, at epoch {epoch:.4g} of {self.calendar.epochs}, as its user requested."))
        if self.step in self.calendar.snapshots:
            return
        scores = self.measured or Scores({}, {})
        if self.calendar.validations and self.measured is None:
            again = self.step in self.calendar.validations  # measured and reported before the training went on from here
            scores = self._deciding(self.training_step.evaluate()) if again else self._validate()
            self._check_outputs(scores)
        if self.training_step.rank == 0:
            self.snapshot_manager.after(self.step, epoch, round(epoch, 6), scores)

    def _remember(self) -> WholeStep | None:
        state = self.training_step.remember()
        totals = restored({"sums": self.epoch_totals.sums, "weights": self.epoch_totals.weights})
        offset = self.run_.offset()
        return None if state is None else WholeStep(self.step, totals, self.snapshot_manager.dump(), offset, state)

    def _leave_group(self) -> None:
        """Save the last whole step: the batches of the group that is open are trained again when the training goes on. Before the
        first one there is nothing to save."""
        whole = self.whole
        if whole is None or whole.step == 0:
            return
        self.training_step.recall(whole.state)
        self.step, self.epoch_totals = whole.step, whole.totals
        self.snapshot_manager.restore(whole.snapshots)
        self._checkpoint(offset=whole.offset)

    def _checkpoint(self, validated: bool = True, offset: int | None = None) -> None:
        """Write everything that going on depends on; not `validated`: the validation of this step is still to be made. `offset`
        is the length of the events then, where that is not now."""
        began = time.monotonic()
        self._check()
        loop = {
            "step": self.step,
            "sums": self.epoch_totals.sums,
            "weights": self.epoch_totals.weights,
            "snapshots": self.snapshot_manager.dump(),
            "validated": validated,
        }
        offset = self.run_.offset() if offset is None else offset
        folder = self.run_.folder / "checkpoint"
        data = self.training_step.state(loop)
        if self.training_step.rank == 0:
            self.run_.retry_when_disk_full(lambda: checkpoint.write(folder, self.step, offset, self.run_.threads, data))
            self.snapshot_manager.held.let_go(self.step)
        self.clock.note(time.monotonic() - began)

    def _restore(self) -> None:
        found = checkpoint.read(self.run_.folder / "checkpoint")
        if found is None:
            return
        try:
            loop = self.training_step.load_state(found["path"])
        except (OSError, ValueError, KeyError, TypeError, RuntimeError, EOFError) as error:  # of a version without a checksum
            raise TrainingError(
                f"The checkpoint of step {found['step']} is damaged: {type(error).__name__}: {error}",
                advice="`digits doctor --repair` puts it aside; then Resume starts from the beginning.",
                code="checkpoint",
            ) from error
        self.step = self.stages.validated = int(loop["step"])
        self.sound = self.step
        self.epoch_totals = restored(loop)
        self.snapshot_manager.restore(loop["snapshots"])
        if self.training_step.rank == 0:
            self.snapshot_manager.bring_back(self.step)
        self.validated = bool(loop.get("validated", True))

    def _check(self) -> None:
        """Raises TrainingError where the loss or the weights are no numbers any more."""
        if not self.training_step.healthy():
            raise self._diverged()
        self.sound = self.step

    def _check_outputs(self, scores: Scores) -> None:
        """Raises TrainingError where all outputs of a validation, or its loss, are no numbers and the loss in training is none
        either: the weights are numbers still, but too large for what is made of them."""
        if is_sound(scores.values, 0 if scores.nonfinite < scores.outputs else scores.nonfinite):
            return
        own, _ = share(self._indices_of(self.step), self.training_step.rank, self.training_step.world)
        bad = not math.isfinite(self.training_step.training_loss(self.source.load(own)))
        if self.training_step.agree((bad,))[0]:
            raise self._diverged(of_outputs=scores.outputs if scores.nonfinite == scores.outputs else 0, of_validation=True)

    def _diverged(self, of_outputs: int = 0, of_validation: bool = False) -> TrainingError:
        seen = replace(self.training_step.divergence(), of_outputs=of_outputs, of_validation=of_validation)
        step = self.step - seen.ago
        rate = rate_at(self.run_.spec.learning_rate, self.calendar.percent_of(max(step, 1) - 1))
        seen = replace(seen, late=seen.late and step - self.sound > 1)
        return explain(self.run_, seen, step, self.calendar.epoch_of(step), self._indices_of(step), rate)

    def _indices_of(self, step: int) -> np.ndarray:
        """The records (n,) of the batch that a step trained; of the first where none did yet."""
        epoch, position = divmod(max(step, 1) - 1, self.calendar.steps_per_epoch)
        return self._batches(epoch)[position]

    def _batches(self, epoch: int) -> list[np.ndarray]:
        order = epoch_order(len(self.source.records), self.calendar.seed, epoch, self.run_.spec.shuffle)
        return training_batches(order, self.calendar.batch_size)

    def _emit_metrics(self, phase: str, values: dict[str, float], kinds: dict[str, str], scores: Scores | None = None) -> None:
        epoch = self.calendar.epoch_of(self.step)
        more: dict[str, Any] = {"declared": dict(scores.declared), "decides": scores.decides} if scores is not None else {}
        if scores is not None and self.step == 0:
            more["of_trained"] = self.from_trained
        if scores is not None and scores.nonfinite:
            more |= {"outputs": scores.outputs, "nonfinite": scores.nonfinite}
        self.run_.emit(MetricEvent(step=self.step, epoch=epoch, phase=phase, values=values, kinds=kinds, **more))
        if self.summaries is not None:
            self.summaries.scalars(phase, self.step, values)


class TrainingProgress:
    """Tells speed and time left about once a second. Both are estimates from this attempt's pace, validations included."""

    def __init__(self, run: TrainingRun, calendar: Calendar) -> None:
        self.run, self.calendar = run, calendar
        self.start(0)

    def start(self, step: int) -> None:
        self.first = self.last_step = step
        self.began = self.last = time.monotonic()
        self.aside = 0.0  # seconds since the last report that were no training: validations, snapshots, checkpoints
        self.rates: list[float] = []  # of each second or so, ascending

    def report(self, step: int, aside: float = 0.0, force: bool = False) -> None:
        """After a step; `aside` are the seconds since the step that were no training. The rate is that of training alone, the
        median since the start."""
        now = time.monotonic()
        self.aside += aside
        if now - self.last < PROGRESS_SECONDS and not force:
            return
        done = step - self.first
        if step > self.last_step:
            seconds = max(now - self.last - self.aside, 1e-6)
            bisect.insort(self.rates, (step - self.last_step) * self.calendar.batch_size / seconds)
        rate = self.rates[len(self.rates) // 2] if self.rates else 0.0
        eta = (now - self.began) / done * (self.calendar.total - step) if done else None
        self.run.emit(
            ProgressEvent(
                fraction=step / self.calendar.total,
                stage="train",
                done=step,
                total=self.calendar.total,
                unit="images",
                rate=rate,
                eta=eta,
                eta_range=self._range(eta),
                step=step,
                epoch=self.calendar.epoch_of(step),
            )
        )
        self.last, self.last_step, self.aside = now, step, 0.0

    def _range(self, eta: float | None) -> list[float]:
        """The time left at the pace of the fastest and of the slowest tenth of the reports."""
        rates = self.rates
        if not eta or len(rates) < FEWEST_RATES:
            return []
        middle, tenth = rates[len(rates) // 2], len(rates) // 10
        return [round(eta * middle / rate, 1) for rate in (rates[-1 - tenth], rates[tenth])]


def evaluation_parts(length: int, batch_size: int, rank: int, world: int) -> list[np.ndarray]:
    """A process's share of each validation batch, int64 indices (n,) in order, n may be 0; every record is in just one share."""
    return [batch[rank::world] for batch in split_batches(np.arange(length, dtype=np.int64), batch_size)]
