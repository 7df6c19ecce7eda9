"""Jobs for tests of lists and pages: rows and folders as the service makes them, without any work being done."""

from __future__ import annotations

import functools
import time
from typing import Any
from unittest import mock

from digits.domain.jobs import Kind, Resources, Status
from digits.service import Service
from digits.service.jobs import create_job
from digits.storage.jobs.store import Job
from tests.conftest import USER

TYPE_NAMES = {
    Kind.DATASET: "Image Classification Dataset",
    Kind.MODEL: "Image Classification Model",
    Kind.EVALUATION: "Evaluation",
    Kind.PRETRAINED: "Pretrained Model",
    Kind.EXPORT: "Export",
}
ROADS = {
    Status.INIT: (),
    Status.WAIT: (Status.WAIT,),
    Status.RUN: (Status.WAIT, Status.RUN),
    Status.DONE: (Status.WAIT, Status.RUN, Status.DONE),
    Status.ABORT: (Status.ABORT,),
    Status.ERROR: (Status.WAIT, Status.RUN, Status.ERROR),
}


ENDED = (Status.DONE, Status.ABORT, Status.ERROR)


def create_done(service: Service, *, ended: Status = Status.DONE, **given: Any) -> Job:
    """A job that is done (or has `ended` otherwise) from its first moment on: a supervisor that runs beside the test cannot take
    it up in between."""
    at = time.time()
    history = [[str(status), at] for status in (Status.INIT, *ROADS[ended])]
    columns: dict[str, Any] = {"status": str(ended), "history": history, "finished": at}
    columns |= {"started": at} if Status.RUN in ROADS[ended] else {}
    columns |= {"progress": 1.0} if ended == Status.DONE else {}
    with mock.patch.object(service.store, "insert", functools.partial(service.store.insert, **columns)):
        return create_job(service, **given)


def make_job(
    service: Service,
    kind: Kind = Kind.MODEL,
    name: str = "a job",
    *,
    status: Status = Status.INIT,
    owner: str = USER,
    task: str = "classification",
    parents: tuple[str, ...] = (),
    form: dict[str, Any] | None = None,
    spec: dict[str, Any] | None = None,
    **columns: Any,
) -> Job:
    """A job in the given state."""
    create = functools.partial(create_done, ended=status) if status in ENDED else create_job
    job = create(
        service,
        kind=kind,
        task=task,
        type_name=TYPE_NAMES[kind],
        name=name,
        form=form or {},
        spec=spec or {},
        resources=Resources("train"),
        parents=parents,
        owner=owner,
        dataset_id=parents[0] if parents else "",
        **columns,
    )
    for step in () if status in ENDED else ROADS[status]:
        job = service.store.transition(job.id, step)
    return job
