"""When what happens in a training: steps, validations, snapshots, log lines. Pure arithmetic."""

from __future__ import annotations

import math
import zlib
from dataclasses import dataclass

from digits.domain.training import TrainingSpec

MEASURED_STEPS = 100  # about so many steps of a run have their parts timed
UNMEASURED_STEPS = 10  # and at most one of so many, for it costs a little
TRAIN_EVENTS = 2000  # at most about so many lines of training metrics, however long the run
EPSILON = 1e-9


@dataclass(frozen=True)
class Calendar:
    """A step is one batch. `validations` and `snapshots` map a step to the epoch it stands for."""

    epochs: int
    batch_size: int
    steps_per_epoch: int
    accumulation: int
    log_every: int
    seed: int
    validations: dict[int, float]
    snapshots: dict[int, float]

    @property
    def total(self) -> int:
        return self.epochs * self.steps_per_epoch

    def epoch_of(self, step: int) -> float:
        return step / self.steps_per_epoch

    def percent_of(self, step: int) -> float:
        return 100.0 * step / self.total

    def logs_at(self, step: int) -> bool:
        """Whether training metrics are written after this step: at intervals, at epoch ends and where something else is."""
        position = step % self.steps_per_epoch
        return position == 0 or position % self.log_every == 0 or step in self.validations or step in self.snapshots

    def updates_at(self, step: int) -> bool:
        """Whether the weights change after this step: when a group of accumulated batches, or the epoch, is full."""
        position = step % self.steps_per_epoch
        return position == 0 or position % self.accumulation == 0

    def measures_at(self, step: int) -> bool:
        """Whether the parts of this step are timed, and the norm of its gradients is taken: a few steps, all of which move the
        weights; not the first ones, in which a network warms up."""
        every = max(UNMEASURED_STEPS, math.ceil(self.total / MEASURED_STEPS))
        every += -every % self.accumulation
        epoch, position = divmod(step, self.steps_per_epoch)
        if position == 0:
            return step > self.accumulation and epoch % math.ceil(every / self.steps_per_epoch) == 0
        return position % every == 0

    def group_of(self, position: int) -> range:
        """The batches of an epoch (0, 1, …) whose gradients are summed with those of batch `position`."""
        start = position - position % self.accumulation
        return range(start, min(start + self.accumulation, self.steps_per_epoch))


def make_calendar(spec: TrainingSpec, entries: int, batch_size: int, seed: int) -> Calendar:
    """The calendar for `entries` training records; a batch larger than the set is the set."""
    batch_size = min(batch_size, entries)
    steps = batch_count(entries, batch_size)
    total = spec.epochs * steps
    validations = marks(spec.val_interval, spec.epochs, steps)
    return Calendar(
        epochs=spec.epochs,
        batch_size=batch_size,
        steps_per_epoch=steps,
        accumulation=max(1, spec.batch_accumulation),
        log_every=max(1, math.ceil(total / TRAIN_EVENTS)),
        seed=seed,
        validations=validations | {total: float(spec.epochs)} if validations else {},
        snapshots=marks(spec.snapshot_interval, spec.epochs, steps) | {total: float(spec.epochs)},
    )


def batch_count(entries: int, batch_size: int) -> int:
    """The batches of an epoch. A single record that is left over goes with the batch before it: a batch of one has nothing to
    normalise over, and every record is seen all the same."""
    left_over = entries % batch_size == 1 and 1 < batch_size < entries
    return math.ceil(entries / batch_size) - left_over


def marks(interval: float, epochs: int, steps_per_epoch: int) -> dict[int, float]:
    """Steps at which an interval of (fractional) epochs is full, with the epoch; nothing for an interval of 0 or less."""
    if interval <= 0:
        return {}
    interval = max(interval, 1.0 / steps_per_epoch)
    count = math.floor(epochs / interval + EPSILON)
    return {math.ceil(k * interval * steps_per_epoch - EPSILON): round(k * interval, 6) for k in range(1, count + 1)}


def seed_for(spec: TrainingSpec, job_id: str) -> int:
    """The seed requested, else one that follows from the job's id, so that a job started again has the same."""
    return spec.seed if spec.seed is not None else zlib.crc32(job_id.encode())
