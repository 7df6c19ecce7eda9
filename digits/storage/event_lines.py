"""The lines of a log that a page shows, chosen before any is parsed: a log of a million lines must not make a page wait.

Holds: of what is limited, samples and extremes stay, as `storage.thinning` has it; everything else is kept whole. What a resumed
attempt made void is left out, as in `storage.events.valid_events`. When a job ends, what was chosen from a long log is written
beside it, and read instead as long as the log has not changed; of a log that grows only what is new is read.
"""

from __future__ import annotations

import json
import math
import os
import re
import threading
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO

from digits.domain.events import AttemptEvent, HardwareEvent, MetricEvent, ProgressEvent, StageEvent, from_line
from digits.errors import DiskFull, StorageError
from digits.storage.events import VOIDABLE
from digits.storage.files import atomic
from digits.storage.thinning import Report, Thinned, fitting, hardware_numbers, metric_numbers, no_numbers

BLOCK = 1 << 23  # bytes that are read at a time
CHOSEN = ".shown"  # after the name of a log: what was chosen from it
CHOSEN_FROM = 1 << 20  # bytes: shorter logs are read again instead
CHOSEN_AS = 2  # how; what was chosen otherwise is chosen anew
CHOSEN_LIMITS = {
    "train": 4000, "lr": 1000, "gradients": 1000, HardwareEvent.type: 600, StageEvent.type: 1000, ProgressEvent.type: 100,
}  # fmt: skip
# Of what has extremes; stages are measured at single steps, chosen evenly already.
NUMBERS = {HardwareEvent.type: hardware_numbers, StageEvent.type: no_numbers, ProgressEvent.type: no_numbers}
METRIC, ATTEMPT = (b'{"type":"%s"' % kind.type.encode() for kind in (MetricEvent, AttemptEvent))  # as `to_line` begins them
PHASE = b'"phase":"'
TRAIN = PHASE + b'train"'
EPOCH = re.compile(rb'"epoch":(-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)[,}]')
VOID_KINDS = {kind.type for kind in VOIDABLE} - {MetricEvent.type}  # metrics are kinds by their phases
OTHER_KINDS = {HardwareEvent.type, ProgressEvent.type}
KINDS = {b'{"type":"%s"' % name.encode(): name for name in VOID_KINDS | OTHER_KINDS}
Spans = list[tuple[int, float]]  # bytes from … to … of the log


@dataclass(frozen=True)
class Shown:
    """`end`: the length of the whole lines in bytes. `reports` by kind: the type of an event, of metrics their phase; `""` holds
    what is neither limited nor ever void. `counts`: of how many they were chosen."""

    end: int = 0
    reports: Mapping[str, list[Report]] = field(default_factory=dict)
    counts: Mapping[str, int] = field(default_factory=dict)

    def lines(self, kind: str) -> list[bytes]:
        return [report.line for report in self.reports.get(kind, ())]


class _Kept:
    """Lines by kind, those with a limit thinned."""

    def __init__(self, limits: Mapping[str, int]) -> None:
        self.limited = {name: Thinned(limit, NUMBERS.get(name, metric_numbers)) for name, limit in limits.items()}
        self.whole: dict[str, list[bytes]] = defaultdict(list)

    def add(self, kind: str, lines: list[bytes]) -> None:
        if lines and kind in self.limited:
            self.limited[kind].add(lines)
        elif lines:
            self.whole[kind] += lines

    def shown(self, end: int) -> Shown:
        limited = {name: thinned for name, thinned in self.limited.items() if thinned.seen}
        reports = {name: thinned.shown() for name, thinned in limited.items()}
        counts = {name: thinned.seen for name, thinned in limited.items()}
        for name, lines in self.whole.items():
            reports[name], counts[name] = [Report(n, line) for n, line in enumerate(lines)], len(lines)
        return Shown(end, reports, counts)


class _Scan:
    """A log as far as it has been read; the next time only what has come since is."""

    def __init__(self, path: Path, limits: Mapping[str, int]) -> None:
        self.path = path
        self.limits = limits
        self._lock = threading.Lock()
        self._begin()

    def _begin(self) -> None:
        self.state = (-1, -1, -1)  # inode, length and time of the file that was read
        self.end = 0
        self.spans: Spans = []
        self.kept = _Kept(self.limits)
        self.found = Shown()

    def shown(self, found: os.stat_result) -> Shown:
        """What the log holds, which is now as `found`."""
        state = (found.st_ino, found.st_size, found.st_mtime_ns)
        with self._lock:
            if state == self.state:
                return self.found
            if state[0] != self.state[0] or state[1] <= self.state[1] or self._has_attempt():
                self._begin()
            if not self.end:
                self.spans = valid_spans(self.path)
            for start, block in _blocks(self.path, self.end):
                self.end = start + len(block)
                _sort_block(start, block, self.spans, self.kept)
            self.found, self.state = self.kept.shown(self.end), state
            return self.found

    def _has_attempt(self) -> bool:
        """Whether what is new may make void what was read."""
        return any(ATTEMPT in block for _, block in _blocks(self.path, self.end))


def shown_lines(path: Path, limits: Mapping[str, int]) -> Shown:
    """What is shown of a log; `limits` says how many of a kind. Nothing of a log that is not there."""
    try:
        found = path.stat()
        fits = found.st_size >= CHOSEN_FROM and all(limits.get(name, math.inf) <= most for name, most in CHOSEN_LIMITS.items())
        chosen = _chosen(path, found.st_size, found.st_mtime_ns) if fits else None
        if chosen is None:
            return _scan(path, tuple(limits.items())).shown(found)
    except OSError:
        return Shown()
    return _fitted(chosen, limits)


def window_lines(path: Path, limits: Mapping[str, int], low: float, high: float) -> Shown:
    """What is shown of the metrics between two epochs; the part is found without reading what comes before and after. Nothing of
    a log that is not there."""
    kept = _Kept(limits)
    try:
        with path.open("rb") as log:
            end = os.fstat(log.fileno()).st_size
            for first, last in valid_spans(path):
                stop = int(min(last, end))
                begin, beyond = (_first_at(log, first, stop, epoch) for epoch in (low, math.nextafter(high, math.inf)))
                for start, block in _blocks(path, begin, beyond):
                    _sort_block(start, block, [(begin, beyond)], kept)
    except OSError:
        return Shown()
    return kept.shown(end)


def _first_at(log: BinaryIO, first: int, last: int, epoch: float) -> int:
    """Where between `first` and `last` (beginnings of lines) the first metric of an epoch from `epoch` on begins; `last` where
    there is none."""
    found = last
    while first < last:
        middle = (first + last) // 2
        log.seek(middle)
        at = middle if middle == first else middle + len(log.readline())
        log.seek(at)
        epoch_there = None
        while at < last and epoch_there is None:  # that of the next metric
            line = log.readline()
            epoch_there = EPOCH.search(line) if line.startswith(METRIC) else None
            at += len(line)
        if epoch_there is None or float(epoch_there[1]) >= epoch:
            found, last = (found if epoch_there is None else at - len(line)), middle
        else:
            first = at
    return found


@lru_cache(maxsize=4)
def _scan(path: Path, limits: tuple[tuple[str, int], ...]) -> _Scan:
    return _Scan(path, dict(limits))


def _fitted(chosen: Shown, limits: Mapping[str, int]) -> Shown:
    """What was chosen, with narrower limits."""
    reports = {
        name: fitting(found, chosen.counts[name], limits[name], NUMBERS.get(name, metric_numbers)) if name in limits else found
        for name, found in chosen.reports.items()
    }
    return Shown(chosen.end, reports, chosen.counts)


def keep_shown(path: Path) -> None:
    """Write what is shown of a long log beside it. A disk that is full, or a log that is not there, only means that it is read
    again each time."""
    try:
        found = path.stat()
        if found.st_size < CHOSEN_FROM or _chosen(path, found.st_size, found.st_mtime_ns) is not None:
            return
        shown = _Scan(path, CHOSEN_LIMITS).shown(found)
        if shown.end != found.st_size:  # it goes on, or its last line is torn
            return
        kinds = {
            name: {
                "count": shown.counts[name],
                "numbers": [report.number for report in reports] if len(reports) < shown.counts[name] else len(reports),
                "extremes": [i for i, report in enumerate(reports) if report.extreme],
            }
            for name, reports in shown.reports.items()
        }
        head = {"as": CHOSEN_AS, "size": found.st_size, "changed": found.st_mtime_ns, "kinds": kinds}
        with atomic(path.with_name(path.name + CHOSEN)) as file:
            file.write(json.dumps(head).encode() + b"\n")
            for reports in shown.reports.values():
                file.writelines(report.line + b"\n" for report in reports)
    except (OSError, DiskFull, StorageError):
        return


def _chosen(path: Path, size: int, changed: int) -> Shown | None:
    """What was written beside a log of this length and time; None where that is not there or of another."""
    try:
        head, *lines = path.with_name(path.name + CHOSEN).read_bytes().split(b"\n")
        known: dict[str, Any] = json.loads(head)
        if (known["as"], known["size"], known["changed"]) != (CHOSEN_AS, size, changed):
            return None
        reports, at = {}, 0
        for name, kind in known["kinds"].items():
            numbers: list[int] = list(range(kind["numbers"])) if isinstance(kind["numbers"], int) else kind["numbers"]
            extremes = set(kind["extremes"])
            of_kind = zip(numbers, lines[at : at + len(numbers)], strict=True)
            reports[name] = [Report(number, line, i in extremes) for i, (number, line) in enumerate(of_kind)]
            at += len(numbers)
        return (
            Shown(size, reports, {name: kind["count"] for name, kind in known["kinds"].items()}) if at + 1 == len(lines) else None
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _blocks(path: Path, start: int = 0, stop: float = math.inf) -> Iterator[tuple[int, bytes]]:
    """Whole lines, many at a time, with where they begin, from one that begins at `start` to `stop`; a torn last line is left
    out."""
    with path.open("rb") as log:
        log.seek(start)
        offset, rest = start, b""
        while chunk := log.read(int(min(BLOCK, stop - offset - len(rest)))):
            data = rest + chunk
            cut = data.rfind(b"\n") + 1
            if cut:
                yield offset, data[:cut]
            offset, rest = offset + cut, data[cut:]


def valid_spans(path: Path) -> Spans:
    """Where lines that may become void count."""
    spans: Spans = []
    since = 0
    for start, block in _blocks(path):
        if ATTEMPT not in block:
            continue
        end = start
        for line in block[:-1].split(b"\n"):
            begin, end = end, end + len(line) + 1
            if line.startswith(ATTEMPT) and isinstance(event := from_line(line), AttemptEvent):
                ended = [*spans, (since, float(begin))]
                spans = [(first, min(last, event.resumed_offset)) for first, last in ended if first < event.resumed_offset]
                since = end
    return [*spans, (since, math.inf)]


def _sort_block(start: int, block: bytes, spans: Spans, kept: _Kept) -> None:
    end = start + len(block)
    lines = block[:-1].split(b"\n")
    if any(first <= start and end <= last for first, last in spans):
        _sort(lines, kept, valid=True)
    elif all(end <= first or last <= start for first, last in spans):
        _sort(lines, kept, valid=False)
    else:
        for line in lines:
            end = start + len(line) + 1
            _sort([line], kept, valid=any(first <= start and end <= last for first, last in spans))
            start = end


def _sort(lines: list[bytes], kept: _Kept, *, valid: bool) -> None:
    metrics = [line for line in lines if line.startswith(METRIC)]
    if len(metrics) < len(lines):
        for line in [line for line in lines if not line.startswith(METRIC)]:
            kind = next((name for begin, name in KINDS.items() if line.startswith(begin)), "")
            if valid or kind not in VOID_KINDS:
                kept.add(kind, [line])
    if not valid:
        return
    train = [line for line in metrics if TRAIN in line]
    kept.add("train", train)
    for line in [line for line in metrics if TRAIN not in line] if len(train) < len(metrics) else []:
        at = line.find(PHASE) + len(PHASE)
        kept.add(line[at : line.find(b'"', at)].decode(errors="replace"), [line])
