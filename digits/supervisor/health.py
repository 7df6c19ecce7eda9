"""Looks at the folders of all jobs, one after the other in a thread of its own, for what is damaged (see `storage.damage`). The
supervisor's own thread brings what it finds into log and rows.

Holds: a folder in which nothing changed since the last look is not examined again; jobs that run are left alone.
"""

from __future__ import annotations

import logging
import os
import queue
import threading
import time
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from digits.domain.damage import Damage, summary_of
from digits.domain.jobs import Kind
from digits.storage.damage import Row, examine
from digits.storage.folders import JobsDir
from digits.storage.jobs.store import Job, JobStore

logger = logging.getLogger(__name__)

ROUND_SECONDS = 300.0
PAUSE_SECONDS = 0.002  # between two jobs: the machine has other work
UNSETTLED = ("worker.log", "heartbeat")  # change without meaning anything
DAMAGE = "damage"  # in the summary of a row, as domain.damage.summary_of


class HealthWatch:
    """Examines jobs that are named to it, and all of them in rounds; `take` hands over what is to be written into rows."""

    def __init__(self, jobs_dir: JobsDir, store: JobStore) -> None:
        self.jobs_dir = jobs_dir
        self.store = store
        self._named: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._found: queue.SimpleQueue[tuple[str, list[Damage]]] = queue.SimpleQueue()
        self._seen: dict[str, int] = {}
        self._thread: threading.Thread | None = None
        self._stopped = threading.Event()

    def look_at(self, job_id: str) -> None:
        """Examine a job soon, whether or not anything changed."""
        self._seen.pop(job_id, None)
        self._start()
        self._named.put(job_id)

    def start_round(self) -> None:
        """Examine all jobs whose folders changed, now and every few minutes."""
        self._start()

    def take(self) -> list[tuple[str, list[Damage]]]:
        """What was found of which job since the last call, nothing (any more) among it."""
        found = []
        while not self._found.empty():
            found.append(self._found.get())
        return found

    def close(self) -> None:
        """End the thread."""
        self._stopped.set()
        self._named.put(None)
        if self._thread is not None:
            self._thread.join()

    def _start(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="health", daemon=True)
            self._thread.start()

    def _work(self) -> None:
        due = time.monotonic()
        while not self._stopped.is_set():
            try:
                named = self._named.get(timeout=max(0.0, due - time.monotonic()))
            except queue.Empty:
                due = time.monotonic() + ROUND_SECONDS
                self._guarded(self._round)
                continue
            if named is not None:
                self._guarded(self._examine, named)

    def _guarded(self, work: Any, *arguments: str) -> None:
        try:
            work(*arguments)
        except (OSError, SQLAlchemyError) as error:
            logger.debug("Not examined: %s", error)
        except Exception:
            logger.exception("A job could not be examined.")

    def _round(self) -> None:
        for job_id in self.store.ids():
            if self._stopped.wait(PAUSE_SECONDS):
                return
            self._guarded(self._examine, job_id)

    def _examine(self, job_id: str) -> None:
        folder = self.jobs_dir.folder(job_id)
        state = signature(os.fspath(folder))
        if self._seen.get(job_id) == state:
            return
        job = self.store.find(job_id)
        if job is None or job.status.is_running:
            return
        found = examine(folder, Row(Kind(job.kind), job.status, job.attempt, job.event_offset))
        self._seen[job_id] = state
        if [damage.to_json() for damage in found] != job.summary.get(DAMAGE, {}).get("files", []):
            self._found.put((job_id, found))


def signature(folder: str) -> int:
    """A number that changes when a file below a folder is added, taken away, changed or replaced."""
    seen: list[Any] = []
    for root, _, names in os.walk(folder):
        for name in names:
            if name not in UNSETTLED:
                try:
                    now = os.lstat(os.path.join(root, name))
                    seen.append((root, name, now.st_size, now.st_mtime_ns, now.st_ino, now.st_mode))
                except OSError:
                    seen.append((root, name))
    return hash(tuple(seen) or os.path.isdir(folder))


def summary_with(job: Job, found: list[Damage]) -> dict[str, Any]:
    """The row's summary with what is damaged; without it where nothing is."""
    summary = {name: value for name, value in job.summary.items() if name != DAMAGE}
    return {**summary, DAMAGE: summary_of(found)} if found else summary
