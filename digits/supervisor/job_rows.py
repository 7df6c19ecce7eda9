"""The supervisor's changes of rows, each kept beside the job as well so that the database can be made again.

Holds: the row changes first, then `state.json`. A file that could not be written (full disk) is written later by `flush`.
What the events of jobs say is summed up in their rows.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Collection, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

from digits.domain.jobs import Status
from digits.errors import NotFound, StorageError
from digits.storage.folders import JobsDir
from digits.storage.jobs.reindex import state_of
from digits.storage.jobs.store import Job, JobStore, Output
from digits.storage.run_summary import RunSummary, Stall
from digits.supervisor.outcomes import resumption_words

WRITERS = 16  # threads that write files of many jobs at once

logger = logging.getLogger(__name__)


class JobRows:
    """Rows of jobs as the supervisor changes them."""

    def __init__(self, jobs_dir: JobsDir, store: JobStore) -> None:
        self.jobs_dir = jobs_dir
        self.store = store
        self.unsaved: set[str] = set()

    def transition(
        self, job_id: str, to: Status, *, expected: Iterable[Status] = (), at: float | None = None, **columns: Any
    ) -> Job:
        """`JobStore.transition`, kept in the folder too."""
        job = self.store.transition(job_id, to, expected=expected, at=at, **columns)
        self._save(job)
        return job

    def transition_many(self, job_ids: Collection[str], to: Status, *, clear: str = "", **columns: Any) -> list[Job]:
        """`JobStore.transition_many`, kept in the folders too."""
        return self.save_all(self.store.transition_many(job_ids, to, clear=clear, **columns) if job_ids else [])

    def settle_deletions(self, job_ids: Collection[str]) -> list[Job]:
        """`JobStore.settle_deletions`, kept in the folders too."""
        return self.save_all(self.store.settle_deletions(job_ids) if job_ids else [])

    def follow_clock(self, jump: float, now: float) -> list[Job]:
        """`JobStore.follow_clock`, kept in the folders too."""
        return self.save_all(self.store.follow_clock(jump, now))

    def save_all(self, jobs: list[Job]) -> list[Job]:
        """Keep rows in their folders: a disk syncs many files together as fast as one."""
        if jobs:
            with ThreadPoolExecutor(WRITERS) as writers:
                list(writers.map(self._save, jobs))
        return jobs

    def update(self, job_id: str, **columns: Any) -> Job:
        """`JobStore.update`, kept in the folder too."""
        job = self.store.update(job_id, **columns)
        self._save(job)
        return job

    def set_message(self, job: Job, message: str) -> None:
        """Set the job's message where it is another one; a message is not worth a file."""
        if job.message != message:
            self.store.update(job.id, message=message)

    def set_messages(self, messages: Iterable[tuple[Job, str]]) -> None:
        """`set_message` for several jobs at once."""
        self.store.update_many({job.id: {"message": message} for job, message in messages if job.message != message})

    def update_from_events(self, job_id: str, columns: dict[str, Any], outputs: Iterable[Output], *, replace: bool) -> Job:
        """`JobStore.update_from_events`; the events themselves are in the folder."""
        return self.store.update_from_events(job_id, columns, outputs, replace=replace)

    def flush(self) -> None:
        """Write the `state.json` files that found no space before."""
        for job_id in sorted(self.unsaved):
            job = self.store.find(job_id, with_deleted=True)
            self.unsaved.discard(job_id)
            if job is not None:
                self._save(job)

    def _save(self, job: Job) -> None:
        folder = self.jobs_dir.folder(job.id)
        if not folder.exists():
            return
        try:
            folder.write_state(state_of(job))
        except StorageError as error:
            self.unsaved.add(job.id)
            logger.warning("%s", error, extra={"job_id": job.id})


class RunSummaries:
    """One summary for each job that is looked after; it remembers how far the events were read."""

    def __init__(self, jobs_dir: JobsDir, store: JobStore, rows: JobRows) -> None:
        self.jobs_dir = jobs_dir
        self.store = store
        self.rows = rows
        self._runs: dict[str, RunSummary] = {}
        self._stalls: dict[str, float] = {}

    def update(self, job_id: str) -> None:
        """Bring what a job's events say into its row. Raises NotFound where there is none."""
        run = self._run_of(job_id)
        attempt, passed_over = run.attempt, run.passed_over
        if not run.read(self.jobs_dir.folder(job_id).events_file):
            return
        columns = run.columns()
        if (run.attempt != attempt or run.passed_over != passed_over) and run.attempt > 1:
            columns["message"] = resumption_words(self._row(job_id), run)
        try:
            self.rows.update_from_events(job_id, columns, run.outputs.values(), replace=run.rebuilt)
        except BaseException:
            del self._runs[job_id]  # its offset is ahead of the row's: read again from the start
            raise
        run.rebuilt = False

    def take_stall(self, job_id: str) -> Stall | None:
        """What a worker said of its standing still since this was asked for last."""
        run = self._runs.get(job_id)
        if run is None or run.stall is None or self._stalls.get(job_id) == run.stall.at:
            return None
        self._stalls[job_id] = run.stall.at
        return run.stall

    def finish(self, job_id: str) -> RunSummary:
        """Bring the last of it, and forget the job."""
        self.update(job_id)
        return self._runs.pop(job_id)

    def _row(self, job_id: str) -> Job:
        job = self.store.find(job_id, with_deleted=True)
        if job is None:
            raise NotFound("Job not found")
        return job

    def _run_of(self, job_id: str) -> RunSummary:
        if job_id not in self._runs:
            spec: dict[str, Any] = {}
            with contextlib.suppress(StorageError):  # a job whose request is damaged runs to its end
                spec = self.jobs_dir.folder(job_id).request().spec
            self._runs[job_id] = replace(RunSummary.of(job_id, spec), rebuilt=True)
        return self._runs[job_id]
