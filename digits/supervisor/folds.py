"""What the events of jobs say, brought into their rows."""

from __future__ import annotations

from digits.errors import NotFound
from digits.storage.folders import JobsDir
from digits.storage.jobs.store import Job, JobStore
from digits.storage.run_summary import JobFold, best_metric_of
from digits.supervisor.job_rows import Ledger
from digits.supervisor.outcomes import resumed_words


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
