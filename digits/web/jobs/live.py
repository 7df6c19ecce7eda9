"""What live pages are fed from: one tailer thread per watched job, one thread for changes of rows, any number of watchers.

Holds: each line of `events.jsonl` is read and encoded once, however many watch it; a watcher costs one bounded queue and
a thread that sleeps in it; a watcher that does not keep up is closed and comes back with the offset it has reached.
Offsets are bytes of `events.jsonl`; sequence numbers are those of the table of jobs.
"""

from __future__ import annotations

import functools
import json
import logging
import os
import queue
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from digits.domain.events import is_intact
from digits.service import Service, rows
from digits.storage.events import read_lines

log = logging.getLogger("digits.web")

FAST_POLL = 0.1
SLOW_POLL = 0.3
QUIET_AFTER = 30.0
CHANGES_POLL = 0.2
QUEUE_SIZE = 2000
BATCH = 500
MOST_CHANGES = 500


@dataclass(frozen=True)
class Lines:
    """Whole lines of one job's event log, the file's bytes from `start` up to `end`."""

    job_id: str
    start: int
    lines: tuple[tuple[int, bytes], ...]  # (offset after the line, line)

    @property
    def end(self) -> int:
        return self.lines[-1][0]

    @functools.cached_property
    def plain(self) -> bytes:
        """As server-sent events of the job's own stream: the raw line, or null for one that is damaged; its end as id."""
        return b"".join(b"id: %d\ndata: %s\n\n" % (end, line if is_intact(line) else b"null") for end, line in self.lines)

    @functools.cached_property
    def tagged(self) -> bytes:
        """As events of a stream of several jobs: `line` with `job_id`, `offset` and `event`."""
        head = json.dumps(self.job_id).encode()
        form = b'event: line\ndata: {"job_id": %s, "offset": %d, "event": %s}\n\n'
        return b"".join(form % (head, end, line if is_intact(line) else b"null") for end, line in self.lines)

    def after(self, offset: int) -> Lines | None:
        """The lines beyond `offset`; None when there are none."""
        if offset <= self.start:
            return self
        left = tuple(item for item in self.lines if item[0] > offset)
        return Lines(self.job_id, offset, left) if left else None


@dataclass(frozen=True)
class RowChange:
    """A row of the lists as it is now."""

    job_id: str
    seq: int
    row: dict[str, Any]

    @functools.cached_property
    def listed(self) -> bytes:
        """As an event of a list: the sequence number as id."""
        return b"event: job\nid: %d\ndata: %s\n\n" % (self.seq, self._data)

    @functools.cached_property
    def plain(self) -> bytes:
        """As an event of the job's own stream, where ids are offsets."""
        return b"event: job\ndata: %s\n\n" % self._data

    @functools.cached_property
    def _data(self) -> bytes:
        return json.dumps(self.row, separators=(",", ":")).encode()


RESET = b"event: reset\ndata: {}\n\n"
Message = Lines | RowChange | bytes | None  # None: the stream ends


@dataclass(eq=False)
class Watcher:
    """One open stream: the jobs it follows and whether it wants every row."""

    jobs: frozenset[str]
    lists: bool
    messages: queue.Queue[Message] = field(default_factory=lambda: queue.Queue(QUEUE_SIZE))
    lost: threading.Event = field(default_factory=threading.Event)

    def put(self, message: Message) -> None:
        try:
            self.messages.put_nowait(message)
        except queue.Full:
            self.lost.set()


class Live:
    """All watchers of this process and the threads that feed them; threads run only while there are watchers."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self._lock = threading.Lock()
        self._watchers: set[Watcher] = set()
        self._tails: dict[str, Tail] = {}
        self._changes: threading.Thread | None = None
        self._sequence = 0
        self._stopped = threading.Event()

    def watch(self, jobs: frozenset[str], *, lists: bool) -> tuple[Watcher, dict[str, int], int]:
        """A new watcher, the offset from which each job's lines will come to it, and the sequence number likewise."""
        watcher = Watcher(jobs, lists)
        with self._lock:
            if self._stopped.is_set():
                watcher.put(None)
            self._watchers.add(watcher)
            self._start_changes()
            offsets = {job_id: self._tail(job_id).add(watcher) for job_id in jobs}
            return watcher, offsets, self._sequence

    def leave(self, watcher: Watcher) -> None:
        """Forget a watcher; the threads without watchers end."""
        with self._lock:
            self._watchers.discard(watcher)
            for job_id in watcher.jobs:
                tail = self._tails.get(job_id)
                if tail is not None and tail.remove(watcher):
                    del self._tails[job_id]

    def stop(self) -> None:
        """End every stream, so that the server can stop."""
        self._stopped.set()
        with self._lock:
            for watcher in self._watchers:
                watcher.put(None)

    @property
    def watching(self) -> int:
        return len(self._watchers)

    def _tail(self, job_id: str) -> Tail:
        if job_id not in self._tails:
            self._tails[job_id] = Tail(job_id, self.service.folder(job_id).events_file, self._stopped)
        return self._tails[job_id]

    def _start_changes(self) -> None:
        if self._changes is None:
            self._sequence = self.service.store.sequence()
            self._changes = threading.Thread(target=self._follow_changes, name="digits-changes", daemon=True)
            self._changes.start()

    def _follow_changes(self) -> None:
        while not self._stopped.wait(CHANGES_POLL):
            with self._lock:
                if not self._watchers:
                    self._changes = None
                    return
            try:
                self._spread_changes()
            except (SQLAlchemyError, OSError):
                log.exception("The table of jobs cannot be read; trying again")

    def _spread_changes(self) -> None:
        if self.service.store.sequence() == self._sequence:
            return
        changes = row_changes(self.service, self._sequence)
        with self._lock:
            for change in changes:
                for watcher in self._watchers:
                    if watcher.lists or change.job_id in watcher.jobs:
                        watcher.put(change)
                self._sequence = max(self._sequence, change.seq)


class Tail:
    """Follows one event log and hands each new piece to its watchers."""

    def __init__(self, job_id: str, path: Path, stopped: threading.Event) -> None:
        self.job_id = job_id
        self.path = path
        self.offset = end_of_lines(path)
        self._lock = threading.Lock()
        self._watchers: set[Watcher] = set()
        self._stopped = stopped
        self._thread = threading.Thread(target=self._follow, name=f"digits-tail-{job_id}", daemon=True)
        self._thread.start()

    def add(self, watcher: Watcher) -> int:
        """From the offset returned on, the watcher gets every line."""
        with self._lock:
            self._watchers.add(watcher)
            return self.offset

    def remove(self, watcher: Watcher) -> bool:
        """Whether that was the last watcher; the thread then ends."""
        with self._lock:
            self._watchers.discard(watcher)
            return not self._watchers

    def _follow(self) -> None:
        changed = time.monotonic()
        while not self._stopped.wait(FAST_POLL if time.monotonic() - changed < QUIET_AFTER else SLOW_POLL):
            try:
                if self._read():
                    changed = time.monotonic()
            except OSError:
                log.exception("%s cannot be read", self.path)
            with self._lock:
                if not self._watchers:
                    return

    def _read(self) -> bool:
        if file_size(self.path) <= self.offset:
            return False
        for piece in pieces(self.job_id, self.path, self.offset):
            with self._lock:
                self.offset = piece.end
                for watcher in self._watchers:
                    watcher.put(piece)
        return True


def row_changes(service: Service, since: int) -> list[RowChange]:
    """The rows changed after sequence number `since`, oldest change first, at most 500."""
    jobs = service.store.changes(since, MOST_CHANGES)
    return [RowChange(job.id, job.seq, row) for job, row in zip(jobs, rows.rows(service, jobs), strict=True)]


def pieces(job_id: str, path: Path, start: int, until: int | None = None) -> Iterator[Lines]:
    """The whole lines between two offsets, in pieces of up to 500 lines."""
    collected: list[tuple[int, bytes]] = []
    for end, line in read_lines(path, start):
        if until is not None and end > until:
            break
        collected.append((end, line))
        if len(collected) == BATCH:
            yield Lines(job_id, start, tuple(collected))
            start, collected = end, []
    if collected:
        yield Lines(job_id, start, tuple(collected))


def line_start(path: Path, offset: int) -> int:
    """`offset` itself where a line begins there, else where the next line begins; the file's end when it lies beyond."""
    size = file_size(path)
    if offset <= 0 or offset >= size:
        return max(0, min(offset, size))
    with open(path, "rb") as handle:
        handle.seek(offset - 1)
        handle.readline()
        return handle.tell()


def end_of_lines(path: Path) -> int:
    """Where the last whole line ends."""
    size = file_size(path)
    if not size:
        return 0
    with open(path, "rb") as handle:
        block = 65536
        while True:
            start = max(0, size - block)
            handle.seek(start)
            at = handle.read(block).rfind(b"\n")
            if at >= 0 or start == 0:
                return start + at + 1
            block *= 4


def file_size(path: Path) -> int:
    """Length in bytes; 0 for a file that is not there (yet)."""
    try:
        return os.stat(path).st_size
    except FileNotFoundError:
        return 0
