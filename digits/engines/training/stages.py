"""Where the time of a training goes, all along: seconds of a step by its parts, validations too, and the norm of its gradients.

Holds: few steps are measured, the same ones in every run; the others cost two readings of a clock. A measured step computes the
same; on a GPU it waits for the device after each of its parts.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TypeVar

from digits.domain.events import StageEvent
from digits.engines.base import TrainingRun
from digits.engines.training.calendar import Calendar
from digits.engines.training.trace_parts import DATA, VALIDATION

T = TypeVar("T")


@dataclass
class StepMeter:
    """One measured step: `mark` says which part ended just now. An engine that knows the norm of the gradients that the step
    moves by, over all trainable weights, sets `gradient_norm`."""

    finish: Callable[[], None] = lambda: None  # waits until the device has done what it was told
    seconds: dict[str, float] = field(default_factory=dict)
    gradient_norm: float | None = None
    _since: float = 0.0

    def begin(self) -> None:
        self.finish()
        self._since = time.perf_counter()

    def mark(self, part: str) -> None:
        self.finish()
        now = time.perf_counter()
        self.seconds[part] = self.seconds.get(part, 0.0) + now - self._since
        self._since = now


class Stages:
    """The times of one training. How long batches were waited for is counted at every step."""

    def __init__(self, run: TrainingRun, calendar: Calendar) -> None:
        self.run, self.calendar = run, calendar
        self.waited, self.steps = 0.0, 0  # since the last measured step
        self.validated = 0  # the step of the last validation

    def watch(self, batches: Iterator[T]) -> Iterator[T]:
        """The same batches."""
        while True:
            before = time.perf_counter()
            try:
                batch = next(batches)
            except StopIteration:
                return
            self.waited += time.perf_counter() - before
            self.steps += 1
            yield batch

    def meter(self, step: int, finish: Callable[[], None]) -> StepMeter | None:
        """For a step that is measured, begun; None for all others."""
        if not self.calendar.measures_at(step):
            return None
        meter = StepMeter(finish)
        meter.begin()
        return meter

    def report(self, step: int, meter: StepMeter) -> None:
        """A measured step is over. The wait for a batch is the mean since the last one."""
        seconds = {DATA: self.waited / max(self.steps, 1)}
        for part, value in meter.seconds.items():
            seconds[part] = seconds.get(part, 0.0) + value
        self._emit(step, seconds)
        self.waited, self.steps = 0.0, 0

    def report_validation(self, step: int, seconds: float) -> None:
        """A validation took so long; it counts for the steps since the one before it. That of step 0 counts for none."""
        if step > self.validated:
            self._emit(step, {VALIDATION: seconds / (step - self.validated)})
        self.validated = step

    def _emit(self, step: int, seconds: dict[str, float]) -> None:
        rounded = {part: float(f"{value:.4g}") for part, value in seconds.items()}
        self.run.emit(StageEvent(step=step, epoch=self.calendar.epoch_of(step), seconds=rounded))
