"""The lines of a log that a page shows, chosen before any is parsed: a log of a million lines must not make a page wait.

Holds: of what is limited, evenly chosen lines and the last one stay; everything else is kept whole. What a resumed attempt made
void is left out, as in `storage.events.valid_events`.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from digits.domain.events import AttemptEvent, HardwareEvent, MetricEvent, ProgressEvent, from_line
from digits.storage.events import VOIDABLE

BLOCK = 1 << 23  # bytes that are read at a time
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
def _read(path: Path, limits: tuple[tuple[str, int], ...], _size: int, _changed: int) -> tuple[int, dict[str, list[bytes]]]:
    """As `shown_lines`; what a log that did not grow has is known when its page is opened again."""
    kept: dict[str, _Kept] = defaultdict(_Kept, {name: _Kept(limit) for name, limit in limits})
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
