"""The append-only event log of a job: one writer, many readers.

Holds: a line is written with one call, so readers never see half of two lines mixed; a torn last line (a crash, a full
disk) is normal and skipped; offsets are bytes and stay valid for ever, because the file only grows.
"""

from __future__ import annotations

import bisect
import os
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from digits.domain.events import (
    AttemptEvent,
    Event,
    MetricEvent,
    ProgressEvent,
    SampleEvent,
    SnapshotEvent,
    StageEvent,
    TraceEvent,
    from_line,
    to_line,
)
from digits.errors import DiskFull
from digits.storage.files import cannot_write
from digits.utils.clock import ClockWatch

READ_CHUNK = 1 << 20
HARDWARE_LINE = b'{"type":"hardware"'  # how `to_line` begins one
VOIDABLE = (MetricEvent, SnapshotEvent, SampleEvent, TraceEvent, ProgressEvent, StageEvent)


class EventWriter:
    """Appends events of one attempt. Safe to use from several threads of one process. Their times go on evenly where the clock of
    the machine is set meanwhile."""

    def __init__(self, path: Path, attempt: int) -> None:
        self.path = path
        self.attempt = attempt
        self._clock = ClockWatch()
        self._lock = threading.Lock()
        self._handle = open(path, "ab", buffering=0)  # noqa: SIM115 - lives as long as the writer
        self._end_torn_line()

    def emit(self, event: Event) -> int:
        """Write one line and return the file's length after it, in bytes. Raises DiskFull when it could not be written whole."""
        line = (to_line(replace(event, attempt=self.attempt, t=event.t - self._clock.jump())) + "\n").encode()
        with self._lock:
            return self._write(line)

    @property
    def offset(self) -> int:
        """Length of the file in bytes."""
        return os.fstat(self._handle.fileno()).st_size

    def close(self) -> None:
        self._handle.close()

    def _write(self, line: bytes) -> int:
        before = self.offset
        try:
            written = self._handle.write(line)
        except OSError as error:
            raise cannot_write(error, self.path) from error
        if written != len(line):
            os.ftruncate(self._handle.fileno(), before)
            raise DiskFull(f"No space left for {self.path}.")
        return before + written

    def _end_torn_line(self) -> None:
        size = self.offset
        if size == 0:
            return
        with open(self.path, "rb") as handle:
            handle.seek(size - 1)
            if handle.read(1) != b"\n":
                self._handle.write(b"\n")


def read_events(path: Path, offset: int = 0) -> Iterator[tuple[int, Event]]:
    """Whole lines from byte `offset` on, as `(offset after the line, event)`. A missing file has no events."""
    for end, line in read_lines(path, offset):
        event = from_line(line)
        if event is not None:
            yield end, event


def read_lines(path: Path, offset: int = 0) -> Iterator[tuple[int, bytes]]:
    """Whole raw lines without their line break, as `(offset after the line, line)`."""
    if not path.exists():
        return
    with open(path, "rb") as handle:
        handle.seek(offset)
        rest = b""
        while chunk := handle.read(READ_CHUNK):
            lines = (rest + chunk).split(b"\n")
            rest = lines.pop()
            for line in lines:
                offset += len(line) + 1
                yield offset, line


def valid_events(path: Path, until: int | None = None) -> list[tuple[int, Event]]:
    """The events that count, as `(offset after the line, event)`: row, page and live page all sum up these.

    What a resumed attempt made void (see `AttemptEvent`) is taken out; of hardware, most lines of a long run, only the newest
    is read. `until` is an offset to stop at.
    """
    kept: list[tuple[int, Event]] = []
    hardware: tuple[int, bytes] | None = None
    for end, line in read_lines(path):
        if until is not None and end > until:
            break
        if line.startswith(HARDWARE_LINE):
            hardware = end, line
        elif (event := from_line(line)) is not None:
            if isinstance(event, AttemptEvent):
                kept = [item for item in kept if not _is_void(item, event)]
            kept.append((end, event))
    latest = from_line(hardware[1]) if hardware else None
    if hardware and latest is not None:
        bisect.insort(kept, (hardware[0], latest), key=lambda item: item[0])
    return kept


def _is_void(item: tuple[int, Event], attempt: AttemptEvent) -> bool:
    """Whether an earlier line was written beyond the point from which `attempt` goes on."""
    end, event = item
    return isinstance(event, VOIDABLE) and end > attempt.resumed_offset
