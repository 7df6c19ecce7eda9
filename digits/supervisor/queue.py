"""The queue: new jobs, what they wait for, and the starts that the plan allows."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import asdict
from typing import Any

from digits.config import Settings
from digits.domain.jobs import Status
from digits.errors import Conflict, DigitsError
from digits.storage.files import free_bytes, is_read_only
from digits.storage.folders import JobsDir
from digits.storage.jobs.store import Job, Parent
from digits.supervisor.executor import Executor, Worker
from digits.supervisor.job_rows import JobRows
from digits.supervisor.scheduling import Allocation, ResourceRequest

logger = logging.getLogger(__name__)

MIB = 2**20
_LOST = {Status.ABORT: "was aborted", Status.ERROR: "failed", None: "was deleted"}


class Queue:
    """Decides which jobs start and says to the others why they wait."""

    def __init__(
        self,
        settings: Settings,
        jobs_dir: JobsDir,
        rows: JobRows,
        executor: Executor,
        only: Collection[str] | None = None,
    ) -> None:
        self.settings = settings
        self.jobs_dir = jobs_dir
        self.rows = rows
        self.executor = executor
        self.only = only
        self._resting: dict[str, float] = {}
        self.before_start: Callable[[Allocation], None] = lambda allocation: None

    def run(self) -> list[Job]:
        """Look at the whole queue once; the jobs that were started."""
        waiting = self._ready(self._claimed())
        if not waiting:
            return []
        paused = self._paused()
        if paused:
            self._report(waiting, dict.fromkeys((job.id for job in waiting), paused))
            return []
        result = self.executor.place([request_of(job) for job in waiting])
        for job_id, refusal in result.impossible.items():
            self.rows.transition(job_id, Status.ERROR, error=refusal, message="")
        self._report(waiting, result.reasons)
        jobs = {job.id: job for job in waiting}
        return [started for allocation in result.starts if (started := self._start(jobs[allocation.job_id], allocation))]

    def let_rest(self, job_id: str, seconds: float) -> None:
        """Start a job no earlier than in so many seconds."""
        self._resting[job_id] = time.monotonic() + seconds

    def describe(self) -> dict[str, Any]:
        """What runs, what waits and what there is to give: the answer to the control operation `queue`."""
        active = self.rows.store.active()
        waiting = [{"id": job.id, "name": job.name, "message": job.message} for job in active if job.status != Status.RUN]
        return {"waiting": waiting, **self.resources()}

    def resources(self) -> dict[str, Any]:
        """What there is to give, and under `running` what each job was given: the answer to the control operation `gpus`."""
        running = [asdict(worker.allocation) for worker in self.executor.workers.values()]
        return {"running": running, **self.executor.describe()}

    def _claimed(self) -> list[Job]:
        """All jobs that have not run yet, in order of priority and age; new ones become waiting ones."""
        now = time.monotonic()
        self._resting = {job_id: ends for job_id, ends in self._resting.items() if ends > now}
        jobs = [job for job in self.rows.store.active() if job.status != Status.RUN and not job.requested_action]
        jobs = [job for job in jobs if job.id not in self._resting]
        if self.only is not None:
            jobs = [job for job in jobs if job.id in self.only]
        new = [job.id for job in jobs if job.status == Status.INIT]
        waiting = {job.id: job for job in self.rows.transition_many(new, Status.WAIT)}
        return [waiting.get(job.id, job) for job in jobs if job.status != Status.INIT or job.id in waiting]

    def _ready(self, jobs: list[Job]) -> list[Job]:
        """Those whose parents are done; the others wait on, or end when a parent is lost."""
        parents = self.rows.store.dependencies([job.id for job in jobs])
        ready = []
        for job in jobs:
            needed = parents.get(job.id, [])
            lost = next((parent for parent in needed if parent.status in _LOST), None)
            if lost is not None:
                self._abandon(job, lost)
            elif all(parent.status == Status.DONE for parent in needed):
                ready.append(job)
            else:
                self._report_parents(job, needed)
        return ready

    def _abandon(self, job: Job, parent: Parent) -> None:
        message = f"Aborted, because {parent.name} ({parent.id}) {_LOST[parent.status]}."
        self.rows.transition(job.id, Status.ABORT, message=message)

    def _report_parents(self, job: Job, parents: Iterable[Parent]) -> None:
        names = ", ".join(parent.name for parent in parents if parent.status != Status.DONE)
        self.rows.set_message(job, f"Waits until {names} is done.")

    def _report(self, waiting: list[Job], reasons: dict[str, str]) -> None:
        explained = [job for job in waiting if job.id in reasons]
        places = ((job, f"Position {place} of {len(explained)} in the queue; ") for place, job in enumerate(explained, 1))
        self.rows.set_messages((job, f"{words}{reasons[job.id]}.") for job, words in places)

    def _paused(self) -> str:
        """Why nothing may start at all; empty where something may."""
        if is_read_only(self.jobs_dir.path):
            return "the queue is paused: the jobs directory cannot be written"
        needed = self.settings.min_free_mb * MIB
        free = free_bytes(self.jobs_dir.path)
        if free >= needed:
            return ""
        return f"the queue is paused: {free // MIB} MiB are free on the disk of the jobs, {needed // MIB} MiB are needed"

    def _start(self, job: Job, allocation: Allocation) -> Job | None:
        """The row changes before the process starts: a crash between the two costs a resume, never a second worker."""
        attempt = job.attempt + 1
        try:
            row = self.rows.transition(
                job.id, Status.RUN, expected=[Status.WAIT], attempt=attempt, used_gpus=list(allocation.gpus), message="", error=""
            )
        except Conflict:
            return None
        self.before_start(allocation)
        try:
            self.jobs_dir.folder(job.id).request()  # refuses one that is damaged before a process fails by it
            worker = self.executor.start(allocation, attempt)
        except (OSError, DigitsError) as error:
            text = f"The worker could not be started: {error}. Correct the cause, then press Resume."
            self.rows.transition(job.id, Status.ERROR, error=text)
            return None
        logger.info("Started attempt %d%s%s.", attempt, where_it_runs(worker), _with(allocation), extra={"job_id": job.id})
        self.rows.store.update(job.id, **worker.columns)
        return row


def request_of(job: Job) -> ResourceRequest:
    """What a row requests."""
    return ResourceRequest(job.id, job.pool, job.cpus, job.gpus, tuple(str(gpu) for gpu in job.gpu_ids))


def where_it_runs(worker: Worker) -> str:
    """` (pid 17)`, for a line of the log."""
    name = next(iter(worker.columns), "")
    return f" ({name} {worker.columns[name]})" if name else ""


def _with(allocation: Allocation) -> str:
    return f" with GPU {', '.join(allocation.gpus)}" if allocation.gpus else ""
