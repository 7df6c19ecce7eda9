"""What a run has reported so far, read once from its event log with everything taken out that a resumed attempt made void."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from digits.domain.events import (
    AttemptEvent,
    BaselineEvent,
    ErrorEvent,
    Event,
    HardwareEvent,
    LogEvent,
    MetricEvent,
    ProgressEvent,
    SampleEvent,
    SnapshotEvent,
    WarningEvent,
    from_line,
)
from digits.storage.events import is_void, read_lines
from digits.storage.folders import JobFolder

KEPT_LOG_LINES = 200
PHASES = ("train", "val", "lr")


@dataclass
class RunHistory:
    """Metrics by phase and snapshots in the order of their steps; of progress and hardware the newest only.

    `offset` is where the log ended when it was read: a live stream that starts there misses and repeats nothing.
    """

    offset: int = 0
    metrics: dict[str, list[MetricEvent]] = field(default_factory=lambda: {phase: [] for phase in PHASES})
    snapshots: list[SnapshotEvent] = field(default_factory=list)
    samples: list[SampleEvent] = field(default_factory=list)
    baseline: BaselineEvent | None = None
    attempts: list[AttemptEvent] = field(default_factory=list)
    warnings: list[WarningEvent] = field(default_factory=list)
    errors: list[ErrorEvent] = field(default_factory=list)
    log: list[LogEvent] = field(default_factory=list)
    progress: ProgressEvent | None = None
    hardware: HardwareEvent | None = None

    @property
    def resumes(self) -> list[AttemptEvent]:
        """The attempts that went on from a checkpoint."""
        return [attempt for attempt in self.attempts if attempt.resumed_step >= 0]

    @property
    def error(self) -> ErrorEvent | None:
        """Why the last attempt failed; None when it did not, or has not yet."""
        last = max((attempt.attempt for attempt in self.attempts), default=0)
        return next((error for error in self.errors if error.attempt >= last), None)


def read_history(folder: JobFolder) -> RunHistory:
    """Read the whole event log of a job; empty when it has not started."""
    history = RunHistory()
    kept: list[tuple[int, Event]] = []
    hardware = b""
    for end, line in read_lines(folder.events_file):
        history.offset = end
        if line.startswith(b'{"type":"hardware"'):  # most lines of a long run: only the last one is of use
            hardware = line
            continue
        event = from_line(line)
        if isinstance(event, AttemptEvent):
            kept = [item for item in kept if not is_void(item, event)]
        if event is not None:
            kept.append((end, event))
    for _, event in kept:
        _add(history, event)
    latest = from_line(hardware) if hardware else None
    history.hardware = latest if isinstance(latest, HardwareEvent) else None
    history.log = history.log[-KEPT_LOG_LINES:]
    return history


def current_snapshots(history: RunHistory) -> list[SnapshotEvent]:
    """The snapshots that are still there, by epoch; the newest word on each path counts, `best` is on one at most."""
    found: dict[str, SnapshotEvent] = {}
    best = ""
    for event in history.snapshots:
        found.pop(event.path, None)
        if not event.removed:
            found[event.path] = event
            best = event.path if event.best else best
    return sorted((_with_best(event, event.path == best) for event in found.values()), key=lambda event: event.epoch)


def _with_best(event: SnapshotEvent, best: bool) -> SnapshotEvent:
    return replace(event, best=best)


def _with_rate(event: ProgressEvent, before: ProgressEvent | None) -> ProgressEvent:
    """The last known speed stays when the work is over."""
    return event if event.rate or before is None else replace(event, rate=before.rate, unit=before.unit)


def _add(history: RunHistory, event: Event) -> None:
    if isinstance(event, MetricEvent):
        history.metrics.setdefault(event.phase, []).append(event)
    elif isinstance(event, SnapshotEvent):
        history.snapshots.append(event)
    elif isinstance(event, SampleEvent):
        history.samples.append(event)
    elif isinstance(event, BaselineEvent):
        history.baseline = event
    elif isinstance(event, AttemptEvent):
        history.attempts.append(event)
    elif isinstance(event, WarningEvent):
        history.warnings.append(event)
    elif isinstance(event, ErrorEvent):
        history.errors.append(event)
    elif isinstance(event, LogEvent):
        history.log.append(event)
    elif isinstance(event, ProgressEvent):
        history.progress = _with_rate(event, history.progress)
