"""Home: running jobs, the queue, and the tables of data sets and models (R 1.1, 4.6)."""

from __future__ import annotations

import importlib
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any

from flask import Blueprint, Response, jsonify, redirect, render_template, url_for
from werkzeug.utils import secure_filename

import digits
from digits.domain.jobs import OF_MODELS, RUNNING, Kind, Status
from digits.domain.query import sort_keys
from digits.errors import DigitsError
from digits.service import listing, rows, views
from digits.service.plugins import host as plugins
from digits.storage.jobs.store import Job, JobQuery
from digits.utils.collection import uncollected
from digits.web.http import arguments
from digits.web.http.request import current_user, describes, get_service, long_answer, require_user, route, wants_json

MOST_ROWS = 1000
WAITING = (str(Status.INIT), str(Status.WAIT))
KINDS = "dataset, model, evaluation, pretrained_model."
NOT_LISTED = ("history", "gpu_ids", "sparkline", "used_gpus", "notes", "message", "pool")  # that /index.json does not look at
OF_DATASETS = ("summary", "tags", "error", "extension")  # nor, of models, at these


def blueprint() -> Blueprint:
    """`/`, `/index.json`, `/jobs.json`, `/completed_jobs.json`, and the old `/models`."""
    area = Blueprint("home", __name__)
    route(area, "/")(index)
    route(area, "/demo", methods=("POST",))(demo)
    area.add_url_rule("/jobs.json", "jobs_json", jobs_json)
    area.add_url_rule("/jobs/complete.json", "complete", complete)
    area.add_url_rule("/jobs.csv", "jobs_csv", jobs_csv)
    area.add_url_rule("/jobs.parquet", "jobs_parquet", jobs_parquet)
    area.add_url_rule("/completed_jobs.json", "completed_jobs", completed_jobs)
    area.add_url_rule("/jobs/columns.json", "columns", columns)
    area.add_url_rule("/views.json", "views", saved_views)
    area.add_url_rule("/views.json", "save_view", save_view, methods=["PUT"])
    area.add_url_rule("/views.json", "delete_view", delete_view, methods=["DELETE"])
    area.add_url_rule("/datasets", "datasets", lambda: render_list(Kind.DATASET))
    area.add_url_rule("/pretrained_models", "pretrained", lambda: render_list(Kind.PRETRAINED))
    area.add_url_rule("/evaluations", "evaluations", lambda: render_list(Kind.EVALUATION))
    return area


def index() -> Any:
    """The home page; as JSON the data sets and models, running ones first, then newest first."""
    if wants_json():
        return long_answer(index_dict())
    service = get_service()
    by_status = service.store.status_counts()
    counts, listed = Counter[str](), Counter[str]()
    for (kind, letter), count in by_status.items():
        counts[kind] += count
        listed[kind] += 0 if letter in WAITING else count  # what waits is one line above the tables
    return render_template(
        "home.html",
        counts=counts,
        listed=listed,
        tab=arguments.text("tab", "2"),
        sources=plugins.menu(service),
        complete=plugins.is_complete(service),
        sequence=service.store.sequence(),
    )


@describes(form={}, answer="`model`, its `dataset`, and the `url` of the model's page.")
def demo() -> Any:
    """Make a data set of the real handwritten digits that come with digits, and train LeNet on it; where both are there already,
    these."""
    owner = require_user()
    from digits.service.demo import make_jobs

    model = make_jobs(get_service(), owner)
    address = url_for("models.show", job_id=model.id)
    return jsonify(model=model.id, dataset=model.dataset_id, url=address) if wants_json() else redirect(address)


def render_list(kind: Kind) -> str:
    """The page of one table; its address is the view."""
    service = get_service()
    counts = service.store.counts()
    return render_template("list.html", kind=str(kind), counts=counts, sequence=service.store.sequence())


@describes(json=True, arguments={"kind": KINDS, "search": "Words of their names."})
def columns() -> Any:
    """The columns that a table may show beside its own, by family, and the metrics that may rank."""
    return jsonify(listing.columns(get_service(), arguments.text("kind"), arguments.text("search")))


@describes(json=True, answer="`views`: `kind`, `name`, `view` (the address behind `?`).")
def saved_views() -> Any:
    """The saved views of the user."""
    return jsonify(views=views.saved(get_service(), current_user()))


VIEW_FIELDS = {"kind": KINDS, "name": "What it is called."}


@describes(json=True, form={**VIEW_FIELDS, "view": "The address behind `?`."})
def save_view() -> Any:
    """Save a view of a table; one of the same name is replaced."""
    user = require_user()
    views.save(get_service(), user, arguments.required("kind"), arguments.required("name"), arguments.text("view"))
    return saved_views()


@describes(json=True, form=VIEW_FIELDS)
def delete_view() -> Any:
    """Delete a saved view."""
    views.delete(get_service(), require_user(), arguments.required("kind"), arguments.required("name"))
    return saved_views()


@uncollected()
def index_dict() -> dict[str, Any]:
    """What `/index.json` answers."""
    service = get_service()
    value: dict[str, Any] = {"version": digits.__version__, "jobs_dir": str(service.jobs_dir.path)}
    if service.settings.server_name:
        value["server_name"] = service.settings.server_name
    value["datasets"] = [_readable(_dataset_dict, job) for job in _running_first(Kind.DATASET)]
    infos: dict[str, Any] = {}
    model_dict = importlib.import_module("digits.service.models.create").model_dict
    value["models"] = [_readable(partial(model_dict, service, infos=infos), job) for job in _running_first(Kind.MODEL)]
    return value


@describes(json=True)
@uncollected()
def completed_jobs() -> Any:
    """Rows of every job as the original's home page took them: running ones apart, then data sets, models and pretrained
    models that ended."""
    service = get_service()
    everything = service.store.query(JobQuery(unread=("history", "gpu_ids", "notes", "pool"))).jobs
    table = [row for row in rows.rows(service, everything) if row["type"] not in OF_MODELS]
    return long_answer(
        {
            "running": [row for row in table if row["running"]],
            "datasets": [row for row in table if row["type"] == Kind.DATASET and not row["running"]],
            "models": [row for row in table if row["type"] == Kind.MODEL and not row["running"]],
            "pretrained_models": [row for row in table if row["type"] == Kind.PRETRAINED and not row["running"]],
            "model_output_fields": rows.output_fields(service),
        }
    )


@describes(
    json=True,
    arguments={
        "kind": f"{KINDS.removesuffix('.')}, export.",
        "query": "What jobs must match, e.g. `map50>0.8 dataset:bccd -network:lenet`.",
        "metric": "What *best* means, e.g. `accuracy` or `last.map50`; absent: the metric that decides.",
        "columns": "Keys of outputs and settings (`setting.NAME`) that rows have, repeated or with commas; absent: all outputs.",
        "by": "group, dataset, network or sweep: lines of one stand together.",
        "fold": "1: one line for runs that differ by their seed alone.",
        "status": "Letters (I, W, R, D, A, E), also together, or words as in queries (done, failed, …).",
        "tag": "Only jobs with this tag.",
        "text": "Words that must occur in name, id, group, tags, network, owner or notes.",
        "sort": "Columns, metrics, settings, `best` (`-best`: the best first); `-` before one that descends.",
        "offset": "Rows to leave out.",
        "limit": "Rows to answer with, at most 1000.",
    },
    answer="`rows`, `total`, `offset`, `sequence`, `metric`; of groups `groups`. A query with an error: 400 with `position`.",
)
def jobs_json() -> Any:
    """One page of the jobs: `{rows, total, offset, sequence, metric}`.

    Arguments: `kind`, `query`, `metric`, `columns`, `by`, `fold`, `status` (letters, repeated or together), `task`, `group`,
    `dataset_id`, `owner`, `tag`, `text`, `sort` (keys separated by commas, `-` before one that descends), `offset`, `limit` (at
    most 1,000).
    """
    service = get_service()
    sequence = service.store.sequence()
    view = wanted_view()
    return jsonify(**listing.page(service, view), offset=view.query.offset, sequence=sequence)


@describes(
    json=True,
    arguments={"kind": KINDS, "query": "What is typed.", "position": "Where, in characters from 0."},
    answer="`from`, `to`: what an item replaces; `items`: `text`, `about`.",
)
def complete() -> Any:
    """What may come next in a query: names of columns, metrics and settings, and values that there are."""
    text = arguments.given("query") or ""
    position = arguments.whole("position", len(text))
    return jsonify(listing.completions(get_service(), arguments.text("kind"), text, position))


@describes(arguments={"kind": KINDS, "query": "As of /jobs.json, and its other arguments."})
def jobs_csv() -> Any:
    """All lines of a list as CSV, with the columns that are asked for."""
    names, lines = listing.table(get_service(), wanted_view())
    return _file("".join(listing.csv_text(names, lines)), "text/csv", "csv")


@describes(arguments={"kind": KINDS, "query": "As of /jobs.json, and its other arguments."})
def jobs_parquet() -> Any:
    """All lines of a list as a Parquet file, with the columns that are asked for."""
    names, lines = listing.table(get_service(), wanted_view())
    return _file(listing.parquet(names, lines), "application/vnd.apache.parquet", "parquet")


def _file(body: str | bytes, mimetype: str, suffix: str) -> Response:
    name = f"{arguments.text('kind', 'job')}s.{suffix}"
    return Response(body, mimetype=mimetype, headers={"Content-Disposition": f'attachment; filename="{secure_filename(name)}"'})


def wanted_view() -> listing.View:
    """The list that the request wants. Raises BadRequest for what cannot be read, QueryError with the place in the query."""
    columns = arguments.texts("columns")
    return listing.view_of(
        kind=arguments.text("kind"),
        query=arguments.given("query") or "",
        sort=arguments.texts("sort"),
        metric=arguments.text("metric"),
        columns=_columns(columns) if columns else None,
        by=arguments.text("by"),
        fold=arguments.flag("fold"),
        offset=arguments.whole("offset", 0),
        limit=arguments.whole("limit", 100, most=MOST_ROWS) or MOST_ROWS,
        statuses=arguments.texts("status"),
        task=arguments.text("task"),
        group=arguments.given("group"),
        dataset_id=arguments.text("dataset_id"),
        owner=arguments.text("owner"),
        tag=arguments.text("tag"),
        text=arguments.text("text"),
    )


def _columns(texts: list[str]) -> list[str]:
    """One text holds keys with commas between them; several are a key each, which may hold commas."""
    return [name for name, _ in sort_keys(texts)] if len(texts) == 1 else texts


def _running_first(kind: Kind) -> list[Job]:
    unread = (*NOT_LISTED, *(OF_DATASETS if kind == Kind.MODEL else ()))
    jobs = get_service().store.query(JobQuery(kind=kind, unread=unread)).jobs
    return sorted(jobs, key=lambda job: job.status not in RUNNING)


def _dataset_dict(job: Job) -> dict[str, Any]:
    return importlib.import_module("digits.service.datasets.contents").dataset_dict(get_service(), job)


def _readable(describe: Callable[[Job], dict[str, Any]], job: Job) -> dict[str, Any]:
    """What `describe` says of a job; of one whose folder is damaged what the table knows, and why."""
    try:
        return describe(job)
    except DigitsError as error:
        return {"id": job.id, "name": job.name, "status": job.status.word, "error": str(error)}
