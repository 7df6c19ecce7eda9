"""The curves of many runs, thinned while they are read: fifty runs of ten thousand points must not make a page wait.

Holds: validation points are never thinned, spikes of the training stay (`storage.thinning`); what a resumed attempt made void is
left out, as `storage.event_lines` has it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from statistics import median
from typing import Any

from digits.domain.events import (
    AttemptEvent,
    BaselineEvent,
    Event,
    HardwareEvent,
    MetricEvent,
    ProgressEvent,
    SnapshotEvent,
    StageEvent,
    from_line,
)
from digits.service.models.charts import series
from digits.storage.event_lines import ATTEMPT, CHOSEN_LIMITS, shown_lines
from digits.storage.folders import JobFolder

LEAST_POINTS = 200
ALL_POINTS = 10_000  # of training curves on one page
MOST_SPEEDS = 100
MOST_RUNS = 50
LIMITS = {ProgressEvent.type: MOST_SPEEDS, "lr": 1, "gradients": 1, HardwareEvent.type: 1, StageEvent.type: 1}
BASELINE = b'{"type":"baseline"'  # how `to_line` begins it


@dataclass
class RunCurves:
    """What a comparison shows of a run's log: thinned events of training, all of validation, snapshots, speed in pictures a
    second (median of the progress reports), the baseline."""

    train: list[MetricEvent] = field(default_factory=list)
    extremes: list[int] = field(default_factory=list)  # of `train`, which are no samples
    reports: int = 0  # of the training, of which these were chosen
    val: list[MetricEvent] = field(default_factory=list)
    snapshots: list[SnapshotEvent] = field(default_factory=list)
    baseline: BaselineEvent | None = None
    began: float | None = None  # when the first attempt that counts did, as its worker's clock had it
    speed: float | None = None
    fraction: float | None = None  # how much of the training was done at its last report

    def as_json(self) -> dict[str, Any]:
        """`train` and `val`: `epoch`, `step`, `time` (seconds since the start) and `values` by name; of `train` `reports`, of how
        many they were chosen, and `extremes` (see `charts.page_curves`)."""
        found = {
            phase: {**series(events, extremes), "time": [round(at, 2) for at in seconds_since(self.began, events)]}
            for phase, events, extremes in (("train", self.train, self.extremes), ("val", self.val, ()))
        }
        found["train"]["reports"] = max(self.reports, len(self.train))
        return found


def seconds_since(began: float | None, events: Sequence[Event]) -> list[float]:
    """How long after `began` (the first event, where it is None) each of the events was. They never go back, although the clock
    may have been set back between two attempts."""
    began = events[0].t if began is None and events else began or 0.0
    found: list[float] = []
    missing = last = 0.0
    for event in events:
        at = event.t - began
        missing = max(missing, last - at)
        last = at + missing
        found.append(last)
    return found


def points_for(runs: int) -> int:
    """How many points the training curve of each of so many runs may have."""
    return min(CHOSEN_LIMITS["train"], max(LEAST_POINTS, ALL_POINTS // max(runs, 1)))


def read_curves(folder: JobFolder, points: int) -> RunCurves:
    """Read a run's log; only lines that are shown are parsed, and those of a log that did not grow are known. Empty where there
    is none."""
    try:
        found = folder.events_file.stat()
    except OSError:
        return RunCurves()
    return _read(folder.events_file, points, found.st_size, found.st_mtime_ns)


@lru_cache(maxsize=4 * MOST_RUNS)
def _read(path: Path, points: int, size: int, _changed: int) -> RunCurves:
    shown = shown_lines(path, {**LIMITS, "train": points})
    found = RunCurves(reports=shown.counts.get("train", 0))
    for report in shown.reports.get("train", ()):
        if isinstance(event := from_line(report.line), MetricEvent):
            found.train.append(event)
            if report.extreme:
                found.extremes.append(len(found.train) - 1)
    found.val = [event for event in _events(shown.lines("val")) if isinstance(event, MetricEvent)]
    found.snapshots = [event for event in _events(shown.lines(SnapshotEvent.type)) if isinstance(event, SnapshotEvent)]
    rare = shown.lines("")
    baselines = [line for line in rare if line.startswith(BASELINE)]
    found.baseline = next((e for e in _events(baselines[-1:]) if isinstance(e, BaselineEvent)), None)
    attempts = [e for e in _events([one for one in rare if one.startswith(ATTEMPT)]) if isinstance(e, AttemptEvent)]
    found.began = next((e.t for e in reversed(attempts) if e.resumed_step < 0), None)
    progress = [event for event in _events(shown.lines(ProgressEvent.type)) if isinstance(event, ProgressEvent)]
    found.fraction = progress[-1].fraction if progress else None
    speeds = [event.rate for event in progress if event.rate]
    found.speed = median(speeds) if speeds else None
    return found


def _events(lines: Sequence[bytes]) -> list[Event]:
    return [event for event in map(from_line, lines) if event is not None]
