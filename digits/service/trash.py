"""The trash: what lies in it, restoring and purging. The supervisor empties it of what has been there for `trash_days`.

Holds: who may change a job may restore and purge it. What a job needs comes back with it, and with a model the evaluations and
exports that were deleted with it. A data set is purged after its models.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from digits.domain.jobs import OF_MODELS, PREDICTING, Action, Kind
from digits.errors import Forbidden, NotFound
from digits.service import Service
from digits.service.jobs import InUse, check_edit, may_edit, without_published
from digits.storage.jobs.store import Job, JobQuery

DAY = 86400.0


@dataclass(frozen=True)
class Trashed:
    """A deleted job: when (seconds since 1970), when it goes for good (at the latest), whether the user may restore it."""

    job: Job
    deleted: float
    until: float
    may_restore: bool

    def to_json(self) -> dict[str, Any]:
        """A row of `/trash.json`."""
        job = self.job
        shown = {"id": job.id, "name": job.name, "kind": str(job.kind), "owner": job.owner, "group": job.group}
        times = {"deleted": self.deleted, "until": self.until}
        return {**shown, **times, "disk_bytes": job.disk_bytes, "may_restore": self.may_restore}


def list_trash(service: Service, user: str | None) -> list[Trashed]:
    """What lies in the trash, the last deleted first. `user` None is who has a shell, and may everything."""
    return [_trashed(service, job, user) for job in service.store.trash()]


def find_trashed(service: Service, job_id: str, user: str) -> Trashed | None:
    """A job in the trash that `user` may restore; None where there is none."""
    job = service.store.find(job_id, with_deleted=True)
    if job is None or job.deleted is None or job.requested_action == Action.PURGE or not may_edit(job, user):
        return None
    return _trashed(service, job, user)


def get_trashed(service: Service, job_id: str) -> Job:
    """The job in the trash. Raises NotFound."""
    job = service.store.find(job_id, with_deleted=True)
    if job is None or job.deleted is None or job.requested_action == Action.PURGE:
        raise NotFound("Job not found", advice="It does not lie in the trash.")
    return job


def disk_bytes(trash: Iterable[Trashed]) -> int:
    """Bytes of the disk, as far as they are counted."""
    return sum(one.job.disk_bytes or 0 for one in trash)


def is_kept(service: Service) -> bool:
    """Whether what is deleted can be restored."""
    return service.settings.trash_days > 0


def restore(service: Service, jobs: Sequence[Job], user: str | None) -> list[Job]:
    """Take jobs out of the trash, with what they need and what was deleted with them. All of them, or none.

    One that ran or waited is aborted then, unless it is restored before it was stopped. Forbidden where any of them, also a data
    set that is needed, belongs to somebody else; NotFound where none is in the trash any more.
    """
    wanted = _with_relations(service, jobs)
    for job in wanted:
        if user is None or may_edit(job, user):
            continue
        if job.id not in {chosen.id for chosen in jobs}:
            raise Forbidden(
                f"{jobs[0].name} needs {job.name}, which lies in the trash too and belongs to {job.owner}.",
                advice=f"Ask {job.owner} to restore it first.",
            )
        check_edit(job, user)
    back = service.store.request_action_many([job.id for job in wanted], Action.RESTORE)
    if not back:
        raise NotFound("Job not found", advice="It does not lie in the trash any more.")
    return [job for job in wanted if job.id in back]


def purge(service: Service, jobs: Sequence[Job]) -> tuple[list[str], list[str]]:
    """Let jobs, in the trash or not, go for good, the evaluations and exports of models with them: the ids of all that go, and
    the refusals. A data set goes if all of its models do. Of jobs that were chosen in the trash, those stay that were restored
    meanwhile."""
    jobs, problems = without_published(service, jobs)
    chosen = {job.id for job in jobs}
    datasets = [job.id for job in jobs if job.kind == Kind.DATASET]
    needed = service.store.children_of(datasets, Kind.MODEL, with_deleted=True)
    others = _by_model(service) if any(job.kind in PREDICTING for job in jobs) else {}
    wanted = list[str]()
    for job in jobs:
        left = [child for child in needed.get(job.id, ()) if child.id not in chosen and child.requested_action != Action.PURGE]
        if left:
            problems.append(str(InUse(job, left)))
        else:
            wanted += [job.id, *(other.id for other in others.get(job.id, ()))]
    of_trash = all(job.deleted is not None for job in jobs)
    gone = service.store.request_action_many(list(dict.fromkeys(wanted)), Action.PURGE, of_trash=of_trash)
    return [job_id for job_id in dict.fromkeys(wanted) if job_id in gone], problems


def empty(service: Service, user: str) -> tuple[list[str], list[str]]:
    """`purge` everything in the trash that `user` may."""
    return purge(service, [job for job in service.store.trash() if may_edit(job, user)])


def _trashed(service: Service, job: Job, user: str | None) -> Trashed:
    deleted = job.deleted or 0.0
    until = deleted + service.settings.trash_days * DAY
    return Trashed(job, deleted, until, user is None or may_edit(job, user))


def _with_relations(service: Service, jobs: Sequence[Job]) -> list[Job]:
    """The jobs, what they need, and the evaluations and exports that were deleted with models among them; the needed first."""
    trash = {job.id: job for job in service.store.trash()}
    wanted = {job.id: job for job in jobs}
    parents = service.store.parents_of(wanted.keys() | trash.keys())
    others: dict[str, list[Job]] = {}
    for other in trash.values():
        if other.kind in OF_MODELS:
            others.setdefault(str(other.summary.get("model_id", "")), []).append(other)
    left = list(jobs)
    while left:
        job = left.pop()
        needs = {job.dataset_id, str(job.summary.get("model_id") or ""), *parents.get(job.id, ())}
        more = [trash[other] for other in sorted(needs) if other in trash]
        if job.kind in PREDICTING:
            more += [other for other in others.get(job.id, ()) if other.deleted == job.deleted]
        new = [other for other in more if other.id not in wanted]
        wanted |= {other.id: other for other in new}
        left += new
    order = [Kind.DATASET, Kind.PRETRAINED, Kind.MODEL, *OF_MODELS]
    return sorted(wanted.values(), key=lambda job: order.index(Kind(job.kind)))


def _by_model(service: Service) -> dict[str, list[Job]]:
    """The evaluations and exports of all models, in the trash or not."""
    found: dict[str, list[Job]] = {}
    live = [job for kind in OF_MODELS for job in service.store.query(JobQuery(kind=kind)).jobs]
    for job in [*live, *(job for job in service.store.trash() if job.kind in OF_MODELS)]:
        found.setdefault(str(job.summary.get("model_id", "")), []).append(job)
    return found
