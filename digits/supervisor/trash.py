"""The trash: deleted jobs whose folders stay where they are, until their time is over or the disk is full.

Holds: `deleted` of the row says since when; it is kept in `state.json` too, so that rows made again from the folders are in the
trash as before. A data set goes for good after the models that need it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence

from digits.domain.jobs import Action, Kind
from digits.storage.files import DEFAULT_MIN_FREE, free_bytes
from digits.storage.folders import JobsDir
from digits.storage.jobs.store import Job, JobStore
from digits.supervisor.housekeeping import FolderRemover
from digits.supervisor.job_rows import JobRows
from digits.utils.values import counted

DAY = 86400.0
RANKS = {
    Kind.EVALUATION: 0,
    Kind.EXPORT: 0,
    Kind.EMBEDDING: 0,
    Kind.MODEL: 1,
    Kind.DATASET: 2,
    Kind.PRETRAINED: 2,
}  # who needs comes before what is needed

logger = logging.getLogger(__name__)


class Trash:
    """What the supervisor does about deleted jobs; `days` 0: there is no trash. `min_free` bytes of the disk are to be free."""

    def __init__(
        self, jobs_dir: JobsDir, store: JobStore, rows: JobRows, remover: FolderRemover, days: int, min_free: int = 0
    ) -> None:
        self.jobs_dir = jobs_dir
        self.store = store
        self.rows = rows
        self.remover = remover
        self.days = days
        self.min_free = max(min_free, DEFAULT_MIN_FREE)

    def open(self) -> None:
        """Write down in the folders what an earlier supervisor, killed between row and file, did not."""
        jobs = [job for job in self.store.trash() if not job.requested_action]
        self.rows.save_all([job for job in jobs if self.jobs_dir.folder(job.id).state().get("deleted") != job.deleted])

    def purge_old(self, now: float | None = None) -> None:
        """Request that what has been in the trash for its time goes for good."""
        now = time.time() if now is None else now
        due = [job for job, since in in_order(self._unneeded()) if now - since >= self.days * DAY]
        if gone := self.store.request_action_many([job.id for job in due], Action.PURGE, of_trash=True):
            logger.info("%s deleted %d or more days ago for good.", counted(len(gone), "job goes", "jobs go"), self.days)

    def make_room(self) -> None:
        """While the disk is full: let the oldest go for good, one after the other."""
        if not self.remover.is_idle or free_bytes(self.jobs_dir.path) >= self.min_free:
            return
        for oldest, since in in_order(self._unneeded())[:1]:
            if self.store.request_action_many([oldest.id], Action.PURGE, of_trash=True):
                when = time.strftime("%Y-%m-%d %H:%M", time.localtime(since))
                logger.warning("The disk is full: %s, deleted %s, goes for good.", oldest.name, when, extra={"job_id": oldest.id})

    def _unneeded(self) -> list[Job]:
        """What lies in the trash, and no model outside of it needs."""
        jobs = [job for job in self.store.trash() if not job.requested_action]
        needed = self.store.children_of([job.id for job in jobs if job.kind == Kind.DATASET], Kind.MODEL)
        return [job for job in jobs if job.id not in needed]


def in_order(jobs: Sequence[Job]) -> list[tuple[Job, float]]:
    """The order in which they may go for good, each with the time from which its days count: the oldest first, but nothing before
    what needs it."""
    since = {job.id: job.deleted or 0.0 for job in jobs}
    ordered = sorted(jobs, key=lambda job: RANKS[Kind(job.kind)])
    for job in ordered:
        for needed in (job.dataset_id, str(job.summary.get("model_id") or "")):
            if needed in since:
                since[needed] = max(since[needed], since[job.id])
    return [(job, since[job.id]) for job in sorted(ordered, key=lambda job: (since[job.id], RANKS[Kind(job.kind)], job.id))]
