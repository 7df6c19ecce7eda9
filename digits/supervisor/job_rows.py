"""The supervisor's changes of rows, each kept beside the job as well so that the database can be made again.

Holds: the row changes first, then `state.json`. A file that could not be written (full disk) is written later by `flush`.
What the events of jobs say is folded into their rows.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any

from digits.domain.status import Status
from digits.errors import NotFound, StorageError
from digits.storage.folders import JobsDir
from digits.storage.jobs.reindex import state_of
from digits.storage.jobs.store import Job, JobStore, Output
from digits.storage.run_summary import JobFold, best_metric_of
from digits.supervisor.outcomes import resumed_words

logger = logging.getLogger(__name__)


class Ledger:
    """Rows of jobs as the supervisor changes them."""

    def __init__(self, jobs_dir: JobsDir, store: JobStore) -> None:
        self.jobs_dir = jobs_dir
        self.store = store
        self.unsaved: set[str] = set()

    def transition(self, job_id: str, to: Status, *, expected: Iterable[Status] = (), **columns: Any) -> Job:
        """`JobStore.transition`, kept in the folder too."""
        job = self.store.transition(job_id, to, expected=expected, **columns)
        self._save(job)
        return job

    def update(self, job_id: str, **columns: Any) -> Job:
        """`JobStore.update`, kept in the folder too."""
        job = self.store.update(job_id, **columns)
        self._save(job)
        return job

    def say(self, job: Job, message: str) -> None:
        """Set the job's message where it is another one; a message is not worth a file."""
        if job.message != message:
            self.store.update(job.id, message=message)

    def fold(self, job_id: str, columns: dict[str, Any], outputs: Iterable[Output], *, replace: bool) -> Job:
        """`JobStore.fold`; the events themselves are in the folder."""
        return self.store.fold(job_id, columns, outputs, replace=replace)

    def flush(self) -> None:
        """Write the `state.json` files that found no room before."""
        for job_id in sorted(self.unsaved):
            job = self.store.find(job_id)
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


class Folds:
    """One fold for each job that is looked after; it remembers how far the events were read."""

    def __init__(self, jobs_dir: JobsDir, store: JobStore, ledger: Ledger) -> None:
        self.jobs_dir = jobs_dir
        self.store = store
        self.ledger = ledger
        self._folds: dict[str, JobFold] = {}

    def bring(self, job_id: str) -> None:
        """Bring what a job's events say into its row. Raises NotFound where there is none."""
        fold = self._fold_of(job_id)
        attempt = fold.attempt
        if not fold.read(self.jobs_dir.folder(job_id).events_file):
            return
        columns = fold.columns()
        if fold.attempt != attempt and fold.attempt > 1:
            columns["message"] = resumed_words(self._row(job_id), fold)
        try:
            self.ledger.fold(job_id, columns, fold.outputs.values(), replace=fold.rebuilt)
        except BaseException:
            del self._folds[job_id]  # its offset is ahead of the row's: fold again from the start
            raise
        fold.rebuilt = False

    def finish(self, job_id: str) -> JobFold:
        """Bring the last of it, and forget the job."""
        self.bring(job_id)
        return self._folds.pop(job_id)

    def _row(self, job_id: str) -> Job:
        job = self.store.find(job_id, with_deleted=True)
        if job is None:
            raise NotFound("Job not found")
        return job

    def _fold_of(self, job_id: str) -> JobFold:
        if job_id not in self._folds:
            spec = self.jobs_dir.folder(job_id).request().spec
            self._folds[job_id] = JobFold(job_id, best_metric_of(spec), rebuilt=True)
        return self._folds[job_id]
