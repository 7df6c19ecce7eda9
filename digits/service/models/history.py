"""What a run has reported so far, read once from its event log with everything taken out that a resumed attempt made void."""

from __future__ import annotations

from collections.abc import Iterable
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
    StageEvent,
    TraceEvent,
    WarningEvent,
    from_line,
)
from digits.storage.event_lines import CHOSEN_LIMITS, Shown, shown_lines, window_lines
from digits.storage.events import valid_events
from digits.storage.folders import JobFolder

KEPT_LOG_LINES = 200
# How many lines of a kind a page shows, by phase or type: of curves more than twice the pixels of a chart.
SHOWN = {**CHOSEN_LIMITS, "train": 2000, ProgressEvent.type: 50}
PHASES = ("train", "val", "lr", "gradients")


@dataclass
class RunHistory:
    """Metrics by phase and snapshots in the order of their steps; of progress the newest only.

    `offset` is where the log ended when it was read: a live stream that starts there misses and repeats nothing. Where metrics
    are thinned, `reports` says by phase of how many they were chosen, and `extremes` which are there only because they are the
    smallest or the largest, or no number.
    """

    offset: int = 0
    metrics: dict[str, list[MetricEvent]] = field(default_factory=lambda: {phase: [] for phase in PHASES})
    snapshots: list[SnapshotEvent] = field(default_factory=list)
    samples: list[SampleEvent] = field(default_factory=list)
    traces: list[TraceEvent] = field(default_factory=list)
    baseline: BaselineEvent | None = None
    attempts: list[AttemptEvent] = field(default_factory=list)
    warnings: list[WarningEvent] = field(default_factory=list)
    errors: list[ErrorEvent] = field(default_factory=list)
    log: list[LogEvent] = field(default_factory=list)
    progress: ProgressEvent | None = None
    hardware: HardwareEvent | None = None
    machine: list[HardwareEvent] = field(default_factory=list)  # all of them
    stages: list[StageEvent] = field(default_factory=list)
    reports: dict[str, int] = field(default_factory=dict)
    extremes: dict[str, list[int]] = field(default_factory=dict)

    @property
    def resumes(self) -> list[AttemptEvent]:
        """The attempts that went on from a checkpoint."""
        return [attempt for attempt in self.attempts if attempt.resumed_step >= 0]

    @property
    def error(self) -> ErrorEvent | None:
        """Why the last attempt failed; None when it did not, or has not yet."""
        last = max((attempt.attempt for attempt in self.attempts), default=0)
        return next((error for error in reversed(self.errors) if error.attempt >= last), None)


def read_history(folder: JobFolder) -> RunHistory:
    """Read the whole event log of a job; empty when it has not started."""
    history = RunHistory()
    for end, event in valid_events(folder.events_file):
        history.offset = end
        _add(history, event)
    history.log = history.log[-KEPT_LOG_LINES:]
    return history


def read_shown(folder: JobFolder) -> RunHistory:
    """As `read_history`, of what a page shows: curves of the training, the hardware and stages are thinned before they are parsed
    (validations never are), so that it takes a moment whatever the length of the log."""
    return _history(shown_lines(folder.events_file, SHOWN))


def read_window(folder: JobFolder, low: float, high: float) -> RunHistory:
    """The metrics between two epochs, thinned as `read_shown` thins those of the whole run: of a part more of them are shown."""
    return _history(window_lines(folder.events_file, SHOWN, low, high))


def _history(shown: Shown) -> RunHistory:
    history = RunHistory(offset=shown.end, reports={phase: shown.counts.get(phase, 0) for phase in PHASES})
    for kind, reports in shown.reports.items():
        for report in reports:
            event = from_line(report.line)
            if event is None:
                continue
            _add(history, event)
            if report.extreme and kind in PHASES:
                history.extremes.setdefault(kind, []).append(len(history.metrics[kind]) - 1)
    history.log = history.log[-KEPT_LOG_LINES:]
    return history


def current_snapshots(history: RunHistory) -> list[SnapshotEvent]:
    """The snapshots that are still there, by epoch; the newest word on each path counts, and a new best one takes the mark."""
    return current_of(history.snapshots)


def current_of(events: Iterable[SnapshotEvent]) -> list[SnapshotEvent]:
    """As `current_snapshots`, of the events of snapshots in their order."""
    found: dict[str, SnapshotEvent] = {}
    for event in events:
        found.pop(event.path, None)
        if event.best and not event.removed:
            found = {path: replace(other, best=False) for path, other in found.items()}
        if not event.removed:
            found[event.path] = event
    return sorted(found.values(), key=lambda event: event.epoch)


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
    elif isinstance(event, TraceEvent):
        history.traces.append(event)
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
    elif isinstance(event, HardwareEvent):
        history.hardware = event
        history.machine.append(event)
    elif isinstance(event, StageEvent):
        history.stages.append(event)
