"""What is damaged of a job, for pages, JSON and commands; and the refusal to build anything new on it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from digits.domain.damage import Damage
from digits.domain.jobs import Kind
from digits.errors import DigitsError, StorageError
from digits.service import Service
from digits.storage.damage import Row, examine
from digits.storage.jobs.store import Job


class Damaged(StorageError):
    """Files of a job are damaged or gone, so that what was requested is not possible; `damages` says which."""

    status = 409

    def __init__(self, job: Job, damages: Sequence[Damage]) -> None:
        self.damages = list(damages)
        first = self.damages[0]
        super().__init__(f"{job.name} is damaged: {first.found}", advice=f"Still usable: {first.works} {first.advice}")


def damage_of(service: Service, job: Job, *, deep: bool = False) -> list[Damage]:
    """Everything that is damaged of a job, the worst first; `deep` reads every file again."""
    row = Row(Kind(job.kind), job.status, job.attempt, job.event_offset)
    return examine(service.folder(job.id), row, deep=deep)


def require_usable(service: Service, job: Job) -> None:
    """Raises Damaged where nothing new may be built on the job."""
    vital = [damage for damage in damage_of(service, job) if damage.vital]
    if vital:
        raise Damaged(job, vital)


def require_file(service: Service, job: Job, name: str) -> None:
    """Raises Damaged where this file of the job is damaged, or the folder is."""
    found = [damage for damage in damage_of(service, job) if damage.file in ("", name)]
    if found:
        raise Damaged(job, found)


def require_records(service: Service, dataset_id: str) -> None:
    """Raises Damaged where the records of a data set cannot be relied on; one whose row is gone is judged by who reads it."""
    job = service.store.find(dataset_id) if dataset_id else None
    if job is not None:
        require_usable(service, job)


def as_json(damages: Sequence[Damage]) -> list[dict[str, Any]]:
    """The key `damage` of a job's JSON."""
    return [damage.to_json() for damage in damages]


def explained(service: Service, job_id: str, error: Exception) -> Exception:
    """The error itself, or, where files of the job or of its data set explain it, what is damaged."""
    for wanted in (job_id, ""):
        try:
            job = service.store.find(wanted or (of.dataset_id if (of := service.store.find(job_id)) else ""))
            found = damage_of(service, job) if job is not None else []
        except DigitsError:
            return error
        if job is not None and found:
            return Damaged(job, found)
    return error
