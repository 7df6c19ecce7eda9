"""The curves of many runs, thinned while they are read: fifty runs of ten thousand points must not make a page wait.

Holds: validation points are never thinned; what a resumed attempt made void is left out, as `storage.events.valid_events` has it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from digits.domain.events import AttemptEvent, BaselineEvent, Event, MetricEvent, ProgressEvent, SnapshotEvent, from_line
from digits.service.models.charts import series
from digits.storage.events import read_lines
from digits.storage.folders import JobFolder

LEAST_POINTS = 200
ALL_POINTS = 20_000  # of training curves on one page
MOST_SPEEDS = 400


@dataclass
class RunCurves:
    """What a comparison shows of a run's log: thinned events of training, all of validation, snapshots, speed in pictures a
    second (median of the progress reports), the baseline."""

    train: list[MetricEvent] = field(default_factory=list)
    val: list[MetricEvent] = field(default_factory=list)
    snapshots: list[SnapshotEvent] = field(default_factory=list)
    baseline: BaselineEvent | None = None
    speed: float | None = None

    def as_json(self, started: float | None) -> dict[str, Any]:
        """`train` and `val`: `epoch`, `step`, `time` (seconds since the start) and `values` by name."""
        return {
            phase: {**series(events), "time": [round(event.t - (started or event.t), 2) for event in events]}
            for phase, events in (("train", self.train), ("val", self.val))
        }


def points_for(runs: int) -> int:
    """How many points the training curve of each of so many runs may have."""
    return max(LEAST_POINTS, ALL_POINTS // max(runs, 1))


def read_curves(folder: JobFolder, points: int) -> RunCurves:
    """Read a run's log; only lines that are shown are parsed. Empty where there is none."""
    kept: dict[str, list[tuple[int, bytes]]] = defaultdict(list)
    for end, line in read_lines(folder.events_file):
        kind = _kind(line)
        if kind == AttemptEvent.type:
            event = from_line(line)
            if isinstance(event, AttemptEvent):
                kept = defaultdict(
                    list, {name: [one for one in found if one[0] <= event.resumed_offset] for name, found in kept.items()}
                )
        elif kind:
            kept[kind].append((end, line))
    found = RunCurves()
    found.train = [event for event in _events(_thin(kept["train"], points)) if isinstance(event, MetricEvent)]
    found.val = [event for event in _events(kept["val"]) if isinstance(event, MetricEvent)]
    found.snapshots = [event for event in _events(kept[SnapshotEvent.type]) if isinstance(event, SnapshotEvent)]
    found.baseline = next((e for e in _events(kept[BaselineEvent.type][-1:]) if isinstance(e, BaselineEvent)), None)
    speeds = [e.rate for e in _events(_thin(kept[ProgressEvent.type], MOST_SPEEDS)) if isinstance(e, ProgressEvent) and e.rate]
    found.speed = median(speeds) if speeds else None
    return found


def _kind(line: bytes) -> str:
    """What a line is about, by its beginning as `to_line` writes it; empty for what is not shown."""
    if line.startswith(b'{"type":"metric"'):
        return "train" if b'"phase":"train"' in line else "val" if b'"phase":"val"' in line else ""
    for event in (SnapshotEvent, BaselineEvent, ProgressEvent, AttemptEvent):
        if line.startswith(b'{"type":"%s"' % event.type.encode()):
            return event.type
    return ""


def _thin(lines: Sequence[tuple[int, bytes]], limit: int) -> list[tuple[int, bytes]]:
    """At most `limit` lines, evenly chosen, the first and the last among them."""
    if len(lines) <= limit:
        return list(lines)
    stride = (len(lines) - 1) / (limit - 1)
    return [lines[round(i * stride)] for i in range(limit)]


def _events(lines: Sequence[tuple[int, bytes]]) -> list[Event]:
    return [event for event in (from_line(line) for _, line in lines) if event is not None]
