"""The queue: new jobs, what they wait for, and the starts that the plan allows."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Collection, Iterable
from dataclasses import asdict
from typing import Any

from digits.config import Settings
from digits.domain.status import Status
from digits.errors import Conflict
from digits.storage.files import free_bytes
from digits.storage.folders import JobsDir
from digits.storage.jobs.store import Job, Parent
from digits.supervisor.gpus import Gpu
from digits.supervisor.job_rows import Ledger
from digits.supervisor.local_executor import Crew
from digits.supervisor.scheduling import Demand, Grant, Machine, plan

logger = logging.getLogger(__name__)

MIB = 2**20
_LOST = {Status.ABORT: "was aborted", Status.ERROR: "failed", None: "was deleted"}


class Queue:
    """Decides which jobs start and says to the others why they wait."""

    def __init__(
        self,
        settings: Settings,
        jobs_dir: JobsDir,
        ledger: Ledger,
        crew: Crew,
        gpus: Callable[[], list[Gpu]],
        only: Collection[str] | None = None,
    ) -> None:
        self.settings = settings
        self.jobs_dir = jobs_dir
        self.ledger = ledger
        self.crew = crew
        self.gpus = gpus()
        self.only = only
        self.before_start: Callable[[Grant], None] = lambda grant: None
        self._list_gpus = gpus

    @property
    def machine(self) -> Machine:
        """What there is to give."""
        return Machine(self.settings.cpu_slots or os.cpu_count() or 1, tuple(gpu.id for gpu in self.gpus))

    def run(self) -> list[Job]:
        """Look at the whole queue once; the jobs that were started."""
        waiting = self._ready(self._claimed())
        if not waiting:
            return []
        paused = self._paused()
        if paused:
            self._tell(waiting, dict.fromkeys((job.id for job in waiting), paused))
            return []
        result = plan([demand_of(job) for job in waiting], self.crew.grants(), self.machine)
        for job_id, refusal in result.impossible.items():
            self.ledger.transition(job_id, Status.ERROR, error=refusal, message="")
        self._tell(waiting, result.reasons)
        jobs = {job.id: job for job in waiting}
        return [started for grant in result.starts if (started := self._start(jobs[grant.job_id], grant))]

    def free_gpus(self) -> list[str]:
        """Devices that no job has reserved."""
        used = {gpu for grant in self.crew.grants() for gpu in grant.gpus}
        return [gpu.id for gpu in self.gpus if gpu.id not in used]

    def refresh_gpus(self) -> None:
        """Ask the driver again: it may have come up after the server did."""
        self.gpus = self._list_gpus()

    def describe_gpus(self) -> list[dict[str, Any]]:
        """All devices, each with the job that has it (or an empty text)."""
        jobs = {gpu: grant.job_id for grant in self.crew.grants() for gpu in grant.gpus}
        return [{**asdict(gpu), "job": jobs.get(gpu.id, "")} for gpu in self.gpus]

    def describe(self) -> dict[str, Any]:
        """What runs, what waits and what there is to give: the answer to the control operation `queue`."""
        active = self.ledger.store.active()
        waiting = [{"id": job.id, "name": job.name, "message": job.message} for job in active if job.status != Status.RUN]
        running = [asdict(grant) for grant in self.crew.grants()]
        return {"waiting": waiting, "running": running, "cpu_slots": self.machine.cpus, "gpus": self.describe_gpus()}

    def _claimed(self) -> list[Job]:
        """All jobs that have not run yet, in order of priority and age; new ones become waiting ones."""
        jobs = [job for job in self.ledger.store.active() if job.status != Status.RUN and not job.requested_action]
        if self.only is not None:
            jobs = [job for job in jobs if job.id in self.only]
        return [self.ledger.transition(job.id, Status.WAIT) if job.status == Status.INIT else job for job in jobs]

    def _ready(self, jobs: list[Job]) -> list[Job]:
        """Those whose parents are done; the others wait on, or end when a parent is lost."""
        parents = self.ledger.store.dependencies([job.id for job in jobs])
        ready = []
        for job in jobs:
            needed = parents.get(job.id, [])
            lost = next((parent for parent in needed if parent.status in _LOST), None)
            if lost is not None:
                self._abandon(job, lost)
            elif all(parent.status == Status.DONE for parent in needed):
                ready.append(job)
            else:
                self._tell_parents(job, needed)
        return ready

    def _abandon(self, job: Job, parent: Parent) -> None:
        message = f"Aborted, because {parent.name} ({parent.id}) {_LOST[parent.status]}."
        self.ledger.transition(job.id, Status.ABORT, message=message)

    def _tell_parents(self, job: Job, parents: Iterable[Parent]) -> None:
        names = ", ".join(parent.name for parent in parents if parent.status != Status.DONE)
        self.ledger.say(job, f"Waits until {names} is done.")

    def _tell(self, waiting: list[Job], reasons: dict[str, str]) -> None:
        told = [job for job in waiting if job.id in reasons]
        for position, job in enumerate(told, 1):
            text = reasons[job.id]
            self.ledger.say(job, f"Position {position} of {len(told)} in the queue; {text}.")

    def _paused(self) -> str:
        """Why nothing may start at all; empty where something may."""
        needed = self.settings.min_free_mb * MIB
        free = free_bytes(self.jobs_dir.path)
        if free >= needed:
            return ""
        return f"the queue is paused: {free // MIB} MiB are free on the disk of the jobs, {needed // MIB} MiB are needed"

    def _start(self, job: Job, grant: Grant) -> Job | None:
        """The row changes before the process starts: a crash between the two costs a resume, never a second worker."""
        attempt = job.attempt + 1
        try:
            row = self.ledger.transition(
                job.id, Status.RUN, expected=[Status.WAIT], attempt=attempt, used_gpus=list(grant.gpus), message="", error=""
            )
        except Conflict:
            return None
        self.before_start(grant)
        try:
            worker = self.crew.start(grant, attempt)
        except OSError as error:
            text = f"The worker could not be started: {error}. Correct the cause, then press Resume."
            self.ledger.transition(job.id, Status.ERROR, error=text)
            return None
        logger.info("Started attempt %d (pid %d)%s.", attempt, worker.pid, _with(grant), extra={"job_id": job.id})
        self.ledger.store.update(job.id, pid=worker.pid, pid_start=worker.started)
        return row


def demand_of(job: Job) -> Demand:
    """What a row asks for."""
    return Demand(job.id, job.pool, job.cpus, job.gpus, tuple(str(gpu) for gpu in job.gpu_ids))


def _with(grant: Grant) -> str:
    return f" with GPU {', '.join(grant.gpus)}" if grant.gpus else ""
