"""What leaves the table of jobs: frozen copies of rows, never bound to a session, and the description of a list."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from digits.domain.status import Status


@dataclass(frozen=True)
class Job:
    """A copy of one row of `jobs`; see `database.JobRow` for the columns."""

    id: str
    seq: int
    kind: str
    type_name: str
    task: str
    extension: str
    framework: str
    network: str
    dataset_id: str
    created: float
    pool: str
    cpus: int
    gpus: int
    gpu_ids: list[str]
    name: str
    group: str
    notes: str
    tags: list[str]
    owner: str
    priority: int
    requested_action: str
    deleted: float | None
    status: Status
    history: list[list[Any]]
    started: float | None
    finished: float | None
    progress: float
    eta: float | None
    message: str
    error: str
    attempt: int
    failures: int
    pid: int
    pid_start: float
    event_offset: int
    used_gpus: list[str]
    best_name: str
    best_value: float | None
    best_epoch: float | None
    sparkline: list[float]
    disk_bytes: int | None
    summary: dict[str, Any]

    @property
    def elapsed(self) -> float:
        """Seconds of work so far, 0 before the first start."""
        return (self.finished or time.time()) - self.started if self.started else 0.0


JOB_FIELDS = tuple(f.name for f in fields(Job))


@dataclass(frozen=True)
class Output:
    """Last, smallest and largest value of one output (`name`, phase `train` or `val`) of one job."""

    job_id: str
    name: str
    phase: str
    kind: str
    last: float | None
    min: float | None
    max: float | None
    min_epoch: float | None
    max_epoch: float | None


@dataclass(frozen=True)
class Parent:
    """A job that another one needs; `status` is None when it is gone."""

    id: str
    name: str
    status: Status | None


@dataclass(frozen=True)
class JobQuery:
    """A list of jobs; empty values always come last, whichever way it is sorted.

    `sort` is a column of `Job`, `elapsed`, `refs` (models of a data set) or `output:NAME:PHASE:last|min|max`; `then` holds
    further keys as `(column, descending)`. `text` looks in name, id, group, network, owner and notes. `limit` 0 means all.
    """

    kind: str = ""
    statuses: Sequence[str] = ()
    task: str = ""
    group: str | None = None
    dataset_id: str = ""
    owner: str = ""
    text: str = ""
    sort: str = "created"
    descending: bool = True
    then: Sequence[tuple[str, bool]] = ()
    offset: int = 0
    limit: int = 0


@dataclass(frozen=True)
class Page:
    """One page of a list; `total` counts all rows that match."""

    jobs: list[Job] = field(default_factory=list)
    total: int = 0
