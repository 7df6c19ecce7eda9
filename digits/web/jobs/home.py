"""Home: running jobs, the queue, and the tables of data sets and models (R 1.1, 4.6)."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

from flask import Blueprint, jsonify, redirect, render_template, url_for

import digits
from digits.domain.jobs import OF_MODELS, RUNNING, Kind
from digits.errors import DigitsError
from digits.service import rows
from digits.service.plugins import host as plugins
from digits.storage.jobs.store import Job, JobQuery
from digits.web.http import arguments
from digits.web.http.request import describes, get_service, route, wants_json

MOST_ROWS = 1000
COLUMNS = {"submitted": "created", "username": "owner", "type": "kind", "best": "best_value"}  # row key -> column


def blueprint() -> Blueprint:
    """`/`, `/index.json`, `/jobs.json`, `/completed_jobs.json`, and the old `/models`."""
    area = Blueprint("home", __name__)
    route(area, "/")(index)
    area.add_url_rule("/jobs.json", "jobs_json", jobs_json)
    area.add_url_rule("/completed_jobs.json", "completed_jobs", completed_jobs)
    area.add_url_rule("/datasets", "datasets", lambda: redirect(url_for("home.index", tab=1)))
    return area


def index() -> Any:
    """The home page; as JSON the data sets and models, running ones first, then newest first."""
    if wants_json():
        return jsonify(index_dict())
    service = get_service()
    return render_template(
        "home.html",
        counts=service.store.counts(),
        tab=arguments.text("tab", "2"),
        outputs=service.store.output_names(),
        sources=plugins.menu(service),
        sequence=service.store.sequence(),
    )


def index_dict() -> dict[str, Any]:
    """What `/index.json` answers."""
    service = get_service()
    value: dict[str, Any] = {"version": digits.__version__, "jobs_dir": str(service.jobs_dir.path)}
    if service.settings.server_name:
        value["server_name"] = service.settings.server_name
    value["datasets"] = [_readable(_dataset_dict, job) for job in _running_first(Kind.DATASET)]
    value["models"] = [_readable(_model_dict, job) for job in _running_first(Kind.MODEL)]
    return value


@describes(json=True)
def completed_jobs() -> Any:
    """Rows of every job as the original's home page took them: running ones apart, then data sets and models that ended."""
    service = get_service()
    everything = service.store.query(JobQuery()).jobs
    table = [row for row in rows.rows(service, everything) if row["type"] not in OF_MODELS]
    return jsonify(
        running=[row for row in table if row["running"]],
        datasets=[row for row in table if row["type"] == Kind.DATASET and not row["running"]],
        models=[row for row in table if row["type"] == Kind.MODEL and not row["running"]],
        pretrained_models=[],
        model_output_fields=rows.output_fields(service),
    )


@describes(
    json=True,
    arguments={
        "kind": "dataset, model, evaluation or export.",
        "status": "Letters: I, W, R, D, A, E.",
        "tag": "Only jobs with this tag.",
        "text": "Words that must occur in name, id, group, tags, network, owner or notes.",
        "sort": "Columns, `-` before one that descends.",
        "offset": "Rows to leave out.",
        "limit": "Rows to answer with, at most 1000.",
    },
    answer="`rows`, `total`, `offset`, `sequence`.",
)
def jobs_json() -> Any:
    """One page of the jobs: `{rows, total, offset, sequence}`.

    Arguments: `kind`, `status` (letters, repeated or together), `task`, `group`, `dataset_id`, `owner`, `tag`, `text`, `sort`
    (columns separated by commas, `-` before one that descends), `offset`, `limit` (at most 1,000).
    """
    service = get_service()
    sequence = service.store.sequence()
    query = job_query()
    page = service.store.query(query)
    found = rows.rows(service, page.jobs)
    return jsonify(rows=found, total=page.total, offset=query.offset, sequence=sequence)


def job_query() -> JobQuery:
    """The list that the request wants. Raises BadRequest for numbers that are none."""
    keys = _sort_keys() or ["-created"]
    first, *more = keys
    return JobQuery(
        kind=arguments.text("kind"),
        statuses=tuple("".join(arguments.texts("status"))),
        task=arguments.text("task"),
        group=arguments.given("group"),
        dataset_id=arguments.text("dataset_id"),
        owner=arguments.text("owner"),
        tag=arguments.text("tag"),
        text=arguments.text("text"),
        sort=_column(first)[0],
        descending=_column(first)[1],
        then=tuple(_column(key) for key in more),
        offset=arguments.whole("offset", 0),
        limit=arguments.whole("limit", 100, most=MOST_ROWS) or MOST_ROWS,
    )


def _sort_keys() -> list[str]:
    keys: list[str] = []
    for text in arguments.texts("sort"):
        keys += [text] if text.removeprefix("-").startswith("output:") else text.split(",")
    return [key for key in keys if key.strip("-")][:4]


def _column(key: str) -> tuple[str, bool]:
    """The column of the database behind a sort key, and whether it descends."""
    name = key.removeprefix("-")
    return COLUMNS.get(name, name), key.startswith("-")


def _running_first(kind: Kind) -> list[Job]:
    jobs = get_service().store.query(JobQuery(kind=kind)).jobs
    return sorted(jobs, key=lambda job: job.status not in RUNNING)


def _dataset_dict(job: Job) -> dict[str, Any]:
    return importlib.import_module("digits.service.datasets.contents").dataset_dict(get_service(), job)


def _readable(describe: Callable[[Job], dict[str, Any]], job: Job) -> dict[str, Any]:
    """What `describe` says of a job; of one whose folder is damaged what the table knows, and why."""
    try:
        return describe(job)
    except DigitsError as error:
        return {"id": job.id, "name": job.name, "status": job.status.word, "error": str(error)}


def _model_dict(job: Job) -> dict[str, Any]:
    return importlib.import_module("digits.service.models.create").model_dict(get_service(), job)
