"""The curves of many runs, thinned while they are read: fifty runs of ten thousand points must not make a page wait.

Holds: validation points are never thinned; what a resumed attempt made void is left out, as `storage.events.valid_events` has it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from statistics import median
from typing import Any

from digits.domain.events import AttemptEvent, BaselineEvent, Event, MetricEvent, ProgressEvent, SnapshotEvent, from_line
from digits.service.models.charts import series
from digits.storage.events import read_lines
from digits.storage.folders import JobFolder

LEAST_POINTS = 200
ALL_POINTS = 10_000  # of training curves on one page
MOST_SPEEDS = 100
MOST_RUNS = 50
AT_ONCE = 1 << 26  # bytes of a log that is read as a whole
METRIC, ATTEMPT = b'{"type":"metric"', b'{"type":"attempt"'  # how `to_line` begins them
PHASES = {"train": b'"phase":"train"', "val": b'"phase":"val"'}


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
    """Read a run's log; only lines that are shown are parsed, and those of a log that did not grow are known. Empty where there
    is none."""
    try:
        found = folder.events_file.stat()
    except OSError:
        return RunCurves()
    return _read(folder.events_file, points, found.st_size, found.st_mtime_ns)


@lru_cache(maxsize=4 * MOST_RUNS)
def _read(path: Path, points: int, size: int, _changed: int) -> RunCurves:
    kept = _whole(path) if size <= AT_ONCE else None
    if kept is None:
        kept = _line_by_line(path)
    found = RunCurves()
    found.train = [event for event in _events(_thin(kept["train"], points)) if isinstance(event, MetricEvent)]
    found.val = [event for event in _events(kept["val"]) if isinstance(event, MetricEvent)]
    found.snapshots = [event for event in _events(kept[SnapshotEvent.type]) if isinstance(event, SnapshotEvent)]
    found.baseline = next((e for e in _events(kept[BaselineEvent.type][-1:]) if isinstance(e, BaselineEvent)), None)
    speeds = [e.rate for e in _events(_thin(kept[ProgressEvent.type], MOST_SPEEDS)) if isinstance(e, ProgressEvent) and e.rate]
    found.speed = median(speeds) if speeds else None
    return found


def _whole(path: Path) -> dict[str, list[bytes]] | None:
    """The lines of each sort of a log of one attempt, all at once; None of one that was resumed: see `_line_by_line`."""
    data = path.read_bytes()
    if data.count(ATTEMPT) > 1:
        return None
    lines = data[: data.rfind(b"\n") + 1].split(b"\n")
    metrics = [line for line in lines if line.startswith(METRIC)]
    kept = defaultdict(list, {phase: [line for line in metrics if mark in line] for phase, mark in PHASES.items()})
    for event in (SnapshotEvent, BaselineEvent, ProgressEvent):
        begin = b'{"type":"%s"' % event.type.encode()
        kept[event.type] = [line for line in lines if line.startswith(begin)]
    return kept


def _line_by_line(path: Path) -> dict[str, list[bytes]]:
    """As `_whole`, without what a resumed attempt made void, in little memory."""
    kept: dict[str, list[tuple[int, bytes]]] = defaultdict(list)
    for end, line in read_lines(path):
        kind = _kind(line)
        if kind == AttemptEvent.type:
            event = from_line(line)
            offset = event.resumed_offset if isinstance(event, AttemptEvent) else end
            for name, lines in kept.items():
                if name != BaselineEvent.type:
                    kept[name] = [one for one in lines if one[0] <= offset]
        elif kind:
            kept[kind].append((end, line))
    return defaultdict(list, {name: [line for _, line in lines] for name, lines in kept.items()})


def _kind(line: bytes) -> str:
    """What a line is about, by its beginning as `to_line` writes it; empty for what is not shown."""
    if line.startswith(METRIC):
        return next((phase for phase, mark in PHASES.items() if mark in line), "")
    for event in (SnapshotEvent, BaselineEvent, ProgressEvent, AttemptEvent):
        if line.startswith(b'{"type":"%s"' % event.type.encode()):
            return event.type
    return ""


def _thin(lines: Sequence[bytes], limit: int) -> list[bytes]:
    """At most `limit` lines, evenly chosen, the first and the last among them."""
    if len(lines) <= limit:
        return list(lines)
    stride = (len(lines) - 1) / (limit - 1)
    return [lines[round(i * stride)] for i in range(limit)]


def _events(lines: Sequence[bytes]) -> list[Event]:
    return [event for event in map(from_line, lines) if event is not None]
