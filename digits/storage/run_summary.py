"""From a job's events to the columns of its row.

Holds: summing up the same file from the start always gives the same columns, however often it was interrupted; what a resumed
attempt made void (see `AttemptEvent`) leaves no trace in them. Nothing here writes.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from digits.domain.events import AttemptEvent, ErrorEvent, Event, MetricEvent, ProgressEvent, StatusEvent, WarningEvent
from digits.domain.metrics import LOWER, beats, deciding_metric, facts
from digits.storage.events import read_events, valid_events
from digits.storage.jobs.store import Output

SPARKLINE_POINTS = 64  # once there are so many, every second one goes
STALLS = ("still", "silent")  # codes of warnings
SUMMARIZED_PHASES = ("train", "val")


@dataclass
class Sparkline:
    """A series that keeps its shape in a bounded number of points."""

    values: list[float] = field(default_factory=list)
    stride: int = 1
    seen: int = 0

    def add(self, value: float) -> None:
        """Take a finite value; four digits are enough for a line of 64 points and keep rows short."""
        if self.seen % self.stride == 0:
            self.values.append(float(f"{value:.4g}"))
        self.seen += 1
        if len(self.values) >= SPARKLINE_POINTS:
            self.values = self.values[::2]
            self.stride *= 2


@dataclass(frozen=True)
class Stall:
    """That a worker makes no progress or shows no sign of life, and when its events say so (seconds since 1970)."""

    at: float
    words: str


@dataclass
class RunSummary:
    """What the events up to byte `offset` say.

    `best_metric` is the validation output that was wished to decide, `task` the task whose own decides otherwise; what the events
    say of it counts before both. `bests` has the best value of each whose direction is known, with its epoch. `status` is the
    last word of the newest attempt, None while it works or when it died without one.
    """

    job_id: str
    best_metric: str = ""
    task: str = ""
    offset: int = 0
    attempt: int = 0
    resumed_step: int = -1
    progress: ProgressEvent | None = None
    status: StatusEvent | None = None
    error: ErrorEvent | None = None
    stall: Stall | None = None  # the newest
    passed_over: str = ""  # what was wrong with a checkpoint that the newest attempt did not use
    outputs: dict[tuple[str, str], Output] = field(default_factory=dict)
    decides: str = ""
    bests: dict[str, tuple[float, float]] = field(default_factory=dict)
    better: dict[str, str] = field(default_factory=dict)  # higher or lower, of each of them
    sparkline: Sparkline = field(default_factory=Sparkline)
    sparkline_name: str = ""
    rebuilt: bool = False  # outputs that were reported before may be void: replace them all

    @classmethod
    def of(cls, job_id: str, spec: Mapping[str, Any]) -> RunSummary:
        """Of a job that was requested with this spec; nothing read yet."""
        return cls(job_id, str(spec.get("best_metric") or ""), str(spec.get("task") or ""))

    def read(self, path: Path) -> bool:
        """Sum up what was added to `path` since the last call; whether there was anything."""
        before = self.offset
        for end, event in read_events(path, self.offset):
            if isinstance(event, AttemptEvent) and self.attempt:
                self._rebuild(path, end)
            else:
                self.apply(event)
            self.offset = end
        return self.offset != before

    def apply(self, event: Event) -> None:
        """Take one valid event into account."""
        match event:
            case AttemptEvent():
                self.attempt, self.resumed_step = event.attempt, event.resumed_step
                self.status = self.error = None
                self.passed_over = ""
            case ProgressEvent():
                self.progress = event
            case MetricEvent() if event.phase in SUMMARIZED_PHASES:
                self._measure(event)
            case ErrorEvent():
                self.error = event
            case WarningEvent() if event.code == "checkpoint":
                self.passed_over = event.message
            case WarningEvent() if event.code in STALLS:
                self.stall = Stall(event.t, event.message)
            case StatusEvent():
                self.status = event if event.status != "R" else None

    def columns(self) -> dict[str, Any]:
        """Columns of `JobRow` that follow from the events."""
        progress = self.progress
        best = self.best()
        return {
            "event_offset": self.offset,
            "progress": min(1.0, max(0.0, progress.fraction)) if progress else 0.0,
            "eta": progress.eta if progress else None,
            "error": self.error_text(),
            "sparkline": list(self.sparkline.values),
            "best_name": best[0] if best else "",
            "best_better": self.better.get(best[0], "") if best else "",
            "best_value": best[1] if best else None,
            "best_epoch": best[2] if best else None,
        }

    def error_text(self) -> str:
        """Message and advice of the newest attempt's error, or nothing."""
        return f"{self.error.message} {self.error.advice}".strip() if self.error else ""

    def best(self) -> tuple[str, float, float | None] | None:
        """Name, value and epoch of the best value of the deciding validation output; of equal ones the first."""
        found = self.bests.get(self.decides)
        return None if found is None else (self.decides, *found)

    def _measure(self, event: MetricEvent) -> None:
        for name, value in event.values.items():
            key = (name, event.phase)
            old = self.outputs.get(key) or Output(self.job_id, name, event.phase, "other", None, None, None, None, None)
            kind = event.kinds.get(name, old.kind)
            known = facts(name, kind, event.declared)
            old = replace(old, kind=kind, better=known.better, unit=known.unit[:20])
            self.outputs[key] = _with_value(old, value, event.epoch, best=event.phase == "train")
        if event.phase == "val":
            self._compare(event)
        self._draw(event)

    def _compare(self, event: MetricEvent) -> None:
        self.decides = decides(event, self.task, self.best_metric) or self.decides
        for name, value in event.values.items() if event.may_be_best else ():
            better = facts(name, event.kinds.get(name, ""), event.declared).better
            best = self.bests.get(name, (None, None))[0]
            if better and beats(value, best, better == LOWER):
                self.bests[name], self.better[name] = (value, event.epoch), better
                key = (name, event.phase)
                self.outputs[key] = replace(self.outputs[key], best=value, best_epoch=event.epoch)

    def _draw(self, event: MetricEvent) -> None:
        """The sparkline is the first loss of the training, or its first output where there is no loss."""
        if event.phase != "train" or not event.values:
            return
        if not self.sparkline_name:
            losses = [name for name in event.values if event.kinds.get(name) == "loss"]
            self.sparkline_name = losses[0] if losses else next(iter(event.values))
        value = event.values.get(self.sparkline_name, math.nan)
        if math.isfinite(value):
            self.sparkline.add(value)

    def _rebuild(self, path: Path, until: int) -> None:
        fresh = RunSummary(self.job_id, self.best_metric, self.task)
        for _, event in valid_events(path, until):
            fresh.apply(event)
        self.__dict__.update(fresh.__dict__ | {"rebuilt": True})


def furthest(path: Path) -> dict[int, float]:
    """How far each attempt got, as the greatest fraction it reported, void or not."""
    reached: dict[int, float] = {}
    for event in _events(path):
        if isinstance(event, AttemptEvent):
            reached.setdefault(event.attempt, 0.0)
        elif isinstance(event, ProgressEvent):
            reached[event.attempt] = max(reached.get(event.attempt, 0.0), event.fraction)
    return reached


def decides(event: MetricEvent, task: str, wished: str = "") -> str:
    """The output of a validation that decides: the engine's own word, or what it would have said (older logs)."""
    return event.decides or deciding_metric(task, event.values, wished, event.declared, event.kinds)


def _with_value(output: Output, value: float, epoch: float, *, best: bool) -> Output:
    """With `best` every finite value may be the best one; of a validation only some may (see `MetricEvent.may_be_best`)."""
    if not math.isfinite(value):
        return replace(output, last=None)
    changes: dict[str, Any] = {"last": value}
    if output.min is None or value < output.min:
        changes |= {"min": value, "min_epoch": epoch}
    if output.max is None or value > output.max:
        changes |= {"max": value, "max_epoch": epoch}
    if best and output.better and beats(value, output.best, output.better == LOWER):
        changes |= {"best": value, "best_epoch": epoch}
    return replace(output, **changes)


def _events(path: Path) -> Iterator[Event]:
    return (event for _, event in read_events(path))
