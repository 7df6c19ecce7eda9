"""The lines of a log that a page shows, chosen before any is parsed: a log of a million lines must not make a page wait.

Holds: of what is limited, evenly chosen lines and the last one stay; everything else is kept whole. What a resumed attempt made
void is left out, as in `storage.events.valid_events`. When a job ends, what was chosen from a long log is written beside it, and
read instead as long as the log has not changed.
"""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from digits.domain.events import AttemptEvent, HardwareEvent, MetricEvent, ProgressEvent, StageEvent, from_line
from digits.errors import DiskFull, StorageError
from digits.storage.events import VOIDABLE
from digits.storage.files import atomic

BLOCK = 1 << 23  # bytes that are read at a time
CHOSEN = ".shown"  # after the name of a log: what was chosen from it
CHOSEN_FROM = 1 << 20  # bytes: shorter logs are read again instead
CHOSEN_LIMITS = {
    "train": 4000, "lr": 1000, "gradients": 1000, HardwareEvent.type: 600, StageEvent.type: 1000, ProgressEvent.type: 100,
}  # fmt: skip
MANY = 8  # times the limit are kept at most while lines are read
METRIC, ATTEMPT = (b'{"type":"%s"' % kind.type.encode() for kind in (MetricEvent, AttemptEvent))  # as `to_line` begins them
PHASE = b'"phase":"'
TRAIN = PHASE + b'train"'
VOID_KINDS = {kind.type for kind in VOIDABLE} - {MetricEvent.type}  # metrics are kinds by their phases
OTHER_KINDS = {HardwareEvent.type, ProgressEvent.type}
KINDS = {b'{"type":"%s"' % name.encode(): name for name in VOID_KINDS | OTHER_KINDS}
Spans = list[tuple[int, float]]  # bytes from … to … of the log


@dataclass
class _Kept:
    """Lines of one kind; with a `limit`, evenly chosen ones, some times as many while they are read."""

    limit: int | None = None
    lines: list[bytes] = field(default_factory=list)
    stride: int = 1
    seen: int = 0
    last: bytes = b""

    def add(self, lines: list[bytes]) -> None:
        if not lines:
            return
        self.lines += lines[-self.seen % self.stride :: self.stride]
        self.seen += len(lines)
        self.last = lines[-1]
        while self.limit is not None and len(self.lines) > MANY * self.limit:
            self.lines, self.stride = self.lines[::2], 2 * self.stride

    def all(self) -> list[bytes]:
        lines = self.lines if not self.lines or self.lines[-1] is self.last else [*self.lines, self.last]
        return lines if self.limit is None else evenly(lines, self.limit)


def evenly(lines: list[bytes], limit: int) -> list[bytes]:
    """At most `limit` lines, evenly chosen, the first and the last among them; of a limit of 1 the last."""
    if len(lines) <= limit:
        return lines
    if limit < 2:
        return lines[-1:]
    stride = (len(lines) - 1) / (limit - 1)
    return [lines[round(i * stride)] for i in range(limit)]


def shown_lines(path: Path, limits: Mapping[str, int]) -> tuple[int, dict[str, list[bytes]]]:
    """The length of the whole lines in bytes, and the lines by kind: the type of an event, of metrics their phase; `""` holds
    what is neither limited nor ever void. `limits` says how many of a kind. Nothing of a log that is not there."""
    try:
        found = path.stat()
    except OSError:
        return 0, defaultdict(list)
    end, kept = _read(path, tuple(limits.items()), found.st_size, found.st_mtime_ns)
    return end, defaultdict(list, kept)


@lru_cache(maxsize=4)
def _read(path: Path, limits: tuple[tuple[str, int], ...], size: int, changed: int) -> tuple[int, dict[str, list[bytes]]]:
    """As `shown_lines`; what a log that did not grow has is known when its page is opened again."""
    wanted = dict(limits)
    fits = size >= CHOSEN_FROM and all(wanted.get(name, math.inf) <= most for name, most in CHOSEN_LIMITS.items())
    chosen = _chosen(path, size, changed) if fits else None
    if chosen is None:
        return _scan(path, wanted)
    return size, {name: evenly(lines, wanted[name]) if name in wanted else lines for name, lines in chosen.items()}


def keep_shown(path: Path) -> None:
    """Write what is shown of a long log beside it. A disk that is full, or a log that is not there, only means that it is read
    again each time."""
    try:
        found = path.stat()
        if found.st_size < CHOSEN_FROM or _chosen(path, found.st_size, found.st_mtime_ns) is not None:
            return
        end, kept = _scan(path, CHOSEN_LIMITS)
        if end != found.st_size:  # it goes on, or its last line is torn
            return
        head = {"size": found.st_size, "changed": found.st_mtime_ns, "lines": {name: len(lines) for name, lines in kept.items()}}
        with atomic(path.with_name(path.name + CHOSEN)) as file:
            file.write(json.dumps(head).encode() + b"\n")
            for lines in kept.values():
                file.writelines(line + b"\n" for line in lines)
    except (OSError, DiskFull, StorageError):
        return


def _chosen(path: Path, size: int, changed: int) -> dict[str, list[bytes]] | None:
    """What was written beside a log of this length and time; None where that is not there or of another."""
    try:
        head, *lines = path.with_name(path.name + CHOSEN).read_bytes().split(b"\n")
        known: dict[str, Any] = json.loads(head)
        counts: dict[str, int] = known["lines"]
        if (known["size"], known["changed"], sum(counts.values()) + 1) != (size, changed, len(lines)):
            return None
        found, at = {}, 0
        for name, count in counts.items():
            found[name] = lines[at : at + count]
            at += count
        return found
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _scan(path: Path, limits: Mapping[str, int]) -> tuple[int, dict[str, list[bytes]]]:
    """Read a whole log."""
    kept: dict[str, _Kept] = defaultdict(_Kept, {name: _Kept(limit) for name, limit in limits.items()})
    end = 0
    spans = _valid_spans(path)
    for start, block in _blocks(path):
        end = start + len(block)
        lines = block[:-1].split(b"\n")
        if any(first <= start and end <= last for first, last in spans):
            _sort(lines, kept, valid=True)
        elif all(end <= first or last <= start for first, last in spans):
            _sort(lines, kept, valid=False)
        else:
            _sort_each(lines, start, spans, kept)
    return end, {name: found.all() for name, found in kept.items()}


def _blocks(path: Path) -> Iterator[tuple[int, bytes]]:
    """Whole lines, many at a time, with where they begin; a torn last line is left out."""
    with path.open("rb") as log:
        offset, rest = 0, b""
        while chunk := log.read(BLOCK):
            data = rest + chunk
            cut = data.rfind(b"\n") + 1
            if cut:
                yield offset, data[:cut]
            offset, rest = offset + cut, data[cut:]


def _valid_spans(path: Path) -> Spans:
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


def _sort_each(lines: list[bytes], start: int, spans: Spans, kept: dict[str, _Kept]) -> None:
    for line in lines:
        end = start + len(line) + 1
        _sort([line], kept, valid=any(first <= start and end <= last for first, last in spans))
        start = end


def _sort(lines: list[bytes], kept: dict[str, _Kept], *, valid: bool) -> None:
    metrics = [line for line in lines if line.startswith(METRIC)]
    if len(metrics) < len(lines):
        for line in [line for line in lines if not line.startswith(METRIC)]:
            kind = next((name for begin, name in KINDS.items() if line.startswith(begin)), "")
            if valid or kind not in VOID_KINDS:
                kept[kind].add([line])
    if not valid:
        return
    train = [line for line in metrics if TRAIN in line]
    kept["train"].add(train)
    for line in [line for line in metrics if TRAIN not in line] if len(train) < len(metrics) else []:
        at = line.find(PHASE) + len(PHASE)
        kept[line[at : line.find(b'"', at)].decode(errors="replace")].add([line])
