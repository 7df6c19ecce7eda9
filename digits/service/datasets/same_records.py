"""Which data set here has the records that a training was made on: the one of its content hash; or one that somebody names, where
hashes say nothing because versions of digits counted different things in them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from digits.domain.datasets import DatasetInfo
from digits.domain.jobs import Kind, Status
from digits.errors import BadRequest, NotFound, StorageError
from digits.service import Service
from digits.service.damage import require_records
from digits.storage.jobs.store import Job, JobQuery

SHOWN = 5  # data sets in a sentence


@dataclass(frozen=True)
class Wanted:
    """What is known of a training's records: their content hash and its kind (see `DatasetInfo.hash_kind`), how many there are of
    each split, the name of their data set; empty where it is not known."""

    content_hash: str = ""
    kind: int = 0
    entries: Mapping[str, int] = field(default_factory=dict)
    name: str = ""

    @classmethod
    def read(cls, content_hash: Any, kind: Any, entries: Any, name: Any = "") -> Wanted:
        """Of values from a file that may hold anything."""
        counts = {str(k): v for k, v in entries.items() if isinstance(v, int)} if isinstance(entries, Mapping) else {}
        return cls(str(content_hash or ""), kind if isinstance(kind, int) else 0, counts, str(name or "")[:200])

    def comparable(self, info: DatasetInfo) -> bool:
        """Whether unequal hashes mean unequal records."""
        return bool(self.content_hash and info.content_hash) and self.kind == info.hash_kind != 0

    def may_be(self, info: DatasetInfo) -> bool:
        """Whether these may be the records as far as their numbers tell, where hashes tell nothing."""
        return not self.comparable(info) and (not self.entries or self.entries == _entries(info))


def dataset_with(service: Service, of: str, wanted: Wanted, own: str = "", named: str = "") -> Job:
    """The data set with the records of the training `of`: that of the wanted hash, its `own` one first; or the one that is
    `named`, unless its hash or the numbers of its records say that it is another.

    NotFound, naming the hash and what may be the records, where it is not here; BadRequest for a named one that it is not.
    """
    if named:
        return _named(service, of, wanted, named)
    alike = []
    for job, info in _done(service, own):
        if info.content_hash == wanted.content_hash != "":
            with contextlib.suppress(StorageError):
                require_records(service, job.id)
                return job
        elif wanted.may_be(info):
            alike.append(job)
    title = f"{wanted.name}, " if wanted.name else ""
    what = f"The data set that {of} was trained on is not here: {title}content hash {wanted.content_hash or 'unknown'}."
    advice = "Make it again from the same files by the same form; its page and `digits dataset show` say its content hash."
    if alike:
        names = ", ".join(f"{job.name} ({job.id})" for job in alike[:SHOWN])
        more = f" and {len(alike) - SHOWN} more" if len(alike) > SHOWN else ""
        what += (
            f" Hashes of another kind (another version of digits counts other things in them) have {names}{more}, which have as"
            " many records."
        )
        advice = "Where you know that one has the same records, name it as `dataset` (with a command: --dataset)."
    raise NotFound(what, advice=advice)


def _named(service: Service, of: str, wanted: Wanted, named: str) -> Job:
    job = service.store.get(named, Kind.DATASET)
    info = service.folder(job.id).find_dataset_info()
    if job.status != Status.DONE or info is None:
        raise BadRequest(f"{job.name} is no data set that is done.")
    if wanted.content_hash != info.content_hash and wanted.comparable(info):
        raise BadRequest(f"{job.name} has other records than {of} was trained on: content hash {info.content_hash}.")
    if wanted.content_hash != info.content_hash and not wanted.may_be(info):
        there, here = (", ".join(f"{count:,} in {name}" for name, count in e.items()) for e in (wanted.entries, _entries(info)))
        raise BadRequest(f"{job.name} has another number of records than {of} was trained on: {here}, not {there}.")
    require_records(service, job.id)
    return job


def _done(service: Service, own: str) -> Iterator[tuple[Job, DatasetInfo]]:
    """Data sets that are done, with their contents; the `own` one first, then the newest."""
    jobs = service.store.query(JobQuery(kind=Kind.DATASET, statuses=(str(Status.DONE),))).jobs
    for job in sorted(jobs, key=lambda job: job.id != own):
        with contextlib.suppress(StorageError):
            if (info := service.folder(job.id).find_dataset_info()) is not None:
                yield job, info


def _entries(info: DatasetInfo) -> dict[str, int]:
    return {name: split.entries for name, split in info.splits.items()}
