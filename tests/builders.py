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
}
ROADS = {
    Status.INIT: (),
    Status.WAIT: (Status.WAIT,),
    Status.RUN: (Status.WAIT, Status.RUN),
    Status.DONE: (Status.WAIT, Status.RUN, Status.DONE),
    Status.ABORT: (Status.ABORT,),
    Status.ERROR: (Status.WAIT, Status.RUN, Status.ERROR),
}


def create_done(service: Service, **given: Any) -> Job:
    """A job that is done from its first moment on: a supervisor that runs beside the test cannot take it up in between."""
    at = time.time()
    history = [[str(status), at] for status in (Status.INIT, *ROADS[Status.DONE])]
    columns = {"status": str(Status.DONE), "history": history, "started": at, "finished": at, "progress": 1.0}
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
    create = create_done if status == Status.DONE else create_job
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
    for step in () if status == Status.DONE else ROADS[status]:
        job = service.store.transition(job.id, step)
    return job
