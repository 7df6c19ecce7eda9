"""Data sets over HTTP: the page, the gallery and their JSON (R 1.2)."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from flask import Blueprint, Response, render_template, request, url_for

from digits import tasks
from digits.domain.jobs import Kind
from digits.errors import BadRequest
from digits.service.datasets import explore, label_pictures
from digits.service.datasets.contents import dataset_dict, is_classification, made_facts, parsed_folders, summary_dict
from digits.storage.jobs.store import Job
from digits.web.datasets import form
from digits.web.http import arguments
from digits.web.http.request import describes, get_service, json_answer, render_job, route, shows_damage, wants_json

PROBLEMS_SIZE = 50
GALLERY = "`records` of the page with their `picture` addresses, `labels`, `total`, `pages`."
EXPLORE_ARGUMENTS = {
    "job_id": "The data set.",
    "db": "train, val or test; train_db/features, train_db/labels, …",
    "page": "From 0.",
    "size": "Items per page.",
    "label": "Only this class (its number).",
}


def blueprint() -> Blueprint:
    """All routes of data sets but those that every job has."""
    area = Blueprint("datasets", __name__)
    route(area, "/datasets/<job_id>")(show)
    route(area, "/datasets/summary")(summary)
    route(area, "/datasets/<job_id>/statistics")(statistics)
    route(area, "/datasets/<job_id>/problems")(problems)
    route(area, "/datasets/<job_id>/picture", json_twin=False)(picture)
    route(area, "/datasets/<job_id>/label", json_twin=False)(label)
    route(area, "/datasets/images/classification/explore")(explore_page)
    route(area, "/datasets/generic/explore")(explore_records)
    form.register(area)
    return area


@shows_damage
@describes(answer="id, name, status, directory; ParseFolderTasks and CreateDbTasks of an image classification data set.")
def show(job_id: str) -> Any:
    """A data set."""
    service = get_service()
    job = service.store.get(job_id, Kind.DATASET)
    if wants_json():
        return json_answer(dataset_dict(service, job, verbose=True))
    figures = explore.statistics(service, job)
    folder = service.folder(job.id)
    return render_job(
        "datasets/show.html",
        job,
        details=dataset_dict(service, job, verbose=True),
        facts=made_facts(service, job),
        task_folders=parsed_folders(service, job),
        figures=figures,
        problems=explore.problems(folder, limit=PROBLEMS_SIZE),
        files=_text_files(folder.path),
        problems_size=PROBLEMS_SIZE,
        train_address=_train_address(job),
        explore_addresses={split: explore_address(job, split) for split in figures.get("splits", {})},
    )


@describes(arguments={"job_id": "The data set."}, answer="Name, size, type, backend and counts.")
def summary() -> Any:
    """A data set in a few lines, for the form and the page of a model."""
    job = arguments.job(Kind.DATASET)
    value = summary_dict(get_service(), job)
    return json_answer(value) if wants_json() else render_template("datasets/summary.html", job=job, summary=value)


@describes(answer="Counts per class and split, sizes of the sources, mean and standard deviation; empty while it is made.")
def statistics(job_id: str) -> Any:
    """The figures behind the charts of a data set's page."""
    service = get_service()
    return json_answer(explore.statistics(service, service.store.get(job_id, Kind.DATASET)))


@describes(arguments={"offset": "First entry, from 0.", "limit": "How many, at most 1000."}, answer="`total` and `problems`.")
def problems(job_id: str) -> Any:
    """What was skipped, and copies of one picture in two splits."""
    service = get_service()
    job = service.store.get(job_id, Kind.DATASET)
    offset, limit = arguments.whole("offset", 0), arguments.whole("limit", PROBLEMS_SIZE, most=1000)
    found = explore.problems(service.folder(job.id), offset, limit)
    if wants_json():
        return json_answer(found)
    return render_template("datasets/problems.html", job=job, problems=found, problems_size=limit)


@describes(arguments=EXPLORE_ARGUMENTS, answer=GALLERY)
def explore_page() -> Any:
    """A page of a data set's gallery."""
    return _gallery()


@describes(arguments=EXPLORE_ARGUMENTS, answer=GALLERY)
def explore_records() -> Any:
    """A page of the features or labels of a data set."""
    return _gallery()


@describes(
    json=True, arguments={"db": "train, val or test.", "index": "The record.", "size": "thumb or full."}, answer="PNG or JPEG."
)
def picture(job_id: str) -> Any:
    """One record's picture."""
    service = get_service()
    job = service.store.get(job_id, Kind.DATASET)
    thumb = arguments.choice("size", ("thumb", "full"), "full") == "thumb"
    data, kind = explore.picture(service, job, arguments.text("db", "train"), arguments.whole("index", 0), thumb)
    return _kept_by_browsers(job, data, kind)


@describes(json=True, arguments={"db": "train, val or test.", "index": "The record."}, answer="PNG.")
def label(job_id: str) -> Any:
    """A record's label as a picture, in the data set's colours."""
    service = get_service()
    job = service.store.get(job_id, Kind.DATASET)
    data = label_pictures.label_picture(service, job, arguments.text("db", "train"), arguments.whole("index", 0))
    return _kept_by_browsers(job, data, "image/png")


def _kept_by_browsers(job: Job, data: bytes, kind: str) -> Any:
    """A picture of records, which never change."""
    response = Response(data, mimetype=kind)
    response.cache_control.private = True
    response.cache_control.max_age = 31536000
    response.cache_control.immutable = True
    response.set_etag(f"{job.id}-{request.query_string.decode('ascii', 'replace')}")
    return response.make_conditional(request)


def _train_address(job: Job) -> str:
    return url_for("models.new", kind=tasks.recorded(job.task).area, dataset=job.id)


def explore_address(job: Job, split: str, what: str = "features", **query: Any) -> str:
    """A page of the gallery, at the address that R gives this sort of data set."""
    if is_classification(job):
        return url_for("datasets.explore_page", job_id=job.id, db=split, **query)
    return url_for("datasets.explore_records", job_id=job.id, db=f"{split}_db/{what}", **query)


def _gallery() -> Any:
    service = get_service()
    job = arguments.job(Kind.DATASET)
    split, what = _database(arguments.text("db", "train"))
    query = explore.GalleryQuery(
        split=split,
        page=arguments.whole("page", 0, most=2**31),
        size=arguments.whole("size", explore.DEFAULT_SIZE, least=1, most=explore.MAX_SIZE),
        label=arguments.whole("label", None, most=2**31),
    )
    found = explore.gallery(service, job, query)
    for record in found["records"]:
        address = {"job_id": job.id, "db": found["db"], "index": record["index"]}
        shown = partial(url_for, "datasets.label" if what == "labels" else "datasets.picture", **address)
        record["picture"], record["thumbnail"] = shown(size="full"), shown(size="thumb")
    if wants_json():
        return json_answer(found)
    return render_template(
        "datasets/explore.html",
        job=job,
        gallery=found,
        what=what,
        address=partial(_gallery_address, job, found, what),
        window=explore.page_window(found["page"], found["pages"]),
        page_sizes=explore.PAGE_SIZES,
    )


def _gallery_address(job: Job, found: dict[str, Any], what: str, /, **changes: Any) -> str:
    """Another view of the gallery; the list starts at its beginning unless `page` says otherwise."""
    now = {"split": found["db"], "what": what, "size": found["size"], "label": found["label"], "page": None}
    return explore_address(job, **{**now, **changes})


def _database(text: str) -> tuple[str, str]:
    """`train_db/features` as (`train`, `features`)."""
    split, _, what = text.strip("/").partition("/")
    if what not in ("", "features", "labels"):
        raise BadRequest(f"db is {text!r}; something like train_db/features is needed.")
    return split.removesuffix("_db"), what or "features"


def _text_files(folder: Path) -> list[str]:
    """The text files of a data set that a reader may want, as far as they exist."""
    names = ("labels.txt", "train.txt", "val.txt", "test.txt", "problems.jsonl", "dataset.json", "events.jsonl", "worker.log")
    return [name for name in names if (folder / name).is_file()]
