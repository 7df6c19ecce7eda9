"""Data sets over HTTP: the form, the page, the gallery and their JSON (R 1.2, 2.1)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from flask import Blueprint, Response, make_response, redirect, render_template, request, url_for
from markupsafe import Markup

from digits.domain.jobs import Kind, Task
from digits.errors import DigitsError, FormErrors
from digits.service.datasets import explore
from digits.service.datasets.classification import (
    create_classification_dataset,
    dataset_dict,
    form_values,
    is_classification,
    summary_dict,
)
from digits.service.datasets.classification_checks import scan_folder, scan_list
from digits.service.datasets.classification_form import TITLE, ClassificationDatasetForm
from digits.service.datasets.resize_example import ResizeExampleForm, resize_example
from digits.service.files.confine import readable_file, readable_folder
from digits.service.forms import BoundForm
from digits.storage.jobs.store import Job, JobQuery
from digits.web.http import arguments
from digits.web.http.request import (
    describes,
    get_service,
    json_answer,
    render_job,
    require_user,
    route,
    wants_json,
)

CLASSIFICATION = "/datasets/images/classification"
PROBLEMS_SIZE = 50
EXPLORE_ARGUMENTS = {
    "job_id": "The data set.",
    "db": "train, val or test.",
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
    route(area, f"{CLASSIFICATION}/new", json_twin=False)(new)
    route(area, CLASSIFICATION, methods=("POST",))(create)
    route(area, f"{CLASSIFICATION}/explore")(explore_page)
    route(area, f"{CLASSIFICATION}/check-folder")(check_folder)
    route(area, f"{CLASSIFICATION}/check-list")(check_list)
    route(area, "/datasets/images/resize-example", methods=("POST",), json_twin=False)(resize)
    return area


def new() -> Any:
    """The form of a new image classification data set; `?clone=` fills it from another one."""
    require_user()
    service = get_service()
    values: dict[str, Any] = {n: v for n, v in arguments.query_values().items() if n in ClassificationDatasetForm.model_fields}
    if source := arguments.text("clone"):
        values = form_values(service, service.store.get(source, Kind.DATASET))
    return _form_page(values, {})


@describes(form=ClassificationDatasetForm, answer="The data set, as at /datasets/{job_id}.json.")
def create() -> Any:
    """Create an image classification data set.

    `clone` may name a data set whose stored form stands in for the fields that are left out.
    """
    owner = require_user()
    values = arguments.form_values()
    try:
        job = create_classification_dataset(get_service(), values, owner)
    except FormErrors as error:
        if wants_json():
            raise
        return _form_page(values, error.errors), 400
    if wants_json():
        return json_answer(dataset_dict(get_service(), job, verbose=True))
    return redirect(url_for("datasets.show", job_id=job.id))


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
        form=folder.request().form,
        figures=figures,
        problems=explore.problems(folder, limit=PROBLEMS_SIZE),
        files=_text_files(folder.path),
        is_classification=is_classification(job),
        problems_size=PROBLEMS_SIZE,
        train_address=_train_address(job),
        explore_addresses={split: _explore_address(job, split) for split in figures.get("splits", {})},
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


@describes(
    arguments=EXPLORE_ARGUMENTS, answer="`records` of the page with their `picture` addresses, `labels`, `total`, `pages`."
)
def explore_page() -> Any:
    """A page of a data set's gallery."""
    service = get_service()
    job = arguments.job(Kind.DATASET)
    found = explore.gallery(service, job, _gallery_query())
    for record in found["records"]:
        address = {"job_id": job.id, "db": found["db"], "index": record["index"]}
        record["picture"] = url_for("datasets.picture", size="full", **address)
        record["thumbnail"] = url_for("datasets.picture", size="thumb", **address)
    if wants_json():
        return json_answer(found)
    window = explore.page_window(found["page"], found["pages"])
    return render_template("datasets/explore.html", job=job, gallery=found, window=window, page_sizes=explore.PAGE_SIZES)


@describes(
    json=True, arguments={"db": "train, val or test.", "index": "The record.", "size": "thumb or full."}, answer="PNG or JPEG."
)
def picture(job_id: str) -> Any:
    """One record's picture."""
    service = get_service()
    job = service.store.get(job_id, Kind.DATASET)
    thumb = arguments.choice("size", ("thumb", "full"), "full") == "thumb"
    data, kind = explore.picture(service, job, arguments.text("db", "train"), arguments.whole("index", 0), thumb)
    response = Response(data, mimetype=kind)
    response.cache_control.private = True
    response.cache_control.max_age = 31536000
    response.cache_control.immutable = True
    response.set_etag(f"{job.id}-{request.query_string.decode('ascii', 'replace')}")
    return response.make_conditional(request)


@describes(arguments={"path": "A folder on the server."}, answer="Its classes and how many pictures each has.")
def check_folder() -> Any:
    """What a folder would give as a data set; counting stops after a second and a half."""
    require_user()
    path = readable_folder(get_service(), arguments.given("path") or "", "path")
    return json_answer(scan_folder(path).to_json())


@describes(arguments={"path": "A text file on the server."}, answer="Its valid and other lines, and its classes.")
def check_list() -> Any:
    """What a text file would give as a list of pictures."""
    require_user()
    path = readable_file(get_service(), arguments.given("path") or "", "path")
    return json_answer(scan_list(path).to_json())


@describes(form=ResizeExampleForm, json=True, answer="An <img> and the encoded size, or `Type: message`.")
def resize() -> Any:
    """How a picture looks after resizing."""
    try:
        address, size = resize_example(arguments.form_values())
    except DigitsError as error:
        return make_response(f"{type(error).__name__}: {error}", 200, {"Content-Type": "text/plain; charset=utf-8"})
    return Markup('<img src="{}" alt="The example after resizing" class="example"><br><i>Image size: {}</i>').format(
        address, size
    )


def _form_page(values: dict[str, Any], errors: dict[str, list[str]]) -> str:
    names = list(ClassificationDatasetForm.model_fields)
    ordered = dict(sorted(errors.items(), key=lambda item: names.index(item[0]) if item[0] in names else -1))
    form = BoundForm(ClassificationDatasetForm, values, ordered)
    groups = sorted({job.group for job in get_service().store.query(JobQuery(kind=Kind.DATASET)).jobs if job.group})
    return render_template(
        "datasets/classification_new.html", form=form, title=TITLE, groups=groups, clone=arguments.text("clone")
    )


def _train_address(job: Job) -> str:
    sort = "classification" if job.task == Task.CLASSIFICATION else "generic"
    return f"{request.script_root}/models/images/{sort}/new?dataset={job.id}"


def _explore_address(job: Job, split: str) -> str:
    if is_classification(job):
        return url_for("datasets.explore_page", job_id=job.id, db=split)
    return f"{request.script_root}/datasets/generic/explore?job_id={job.id}&db={split}_db/features"


def _gallery_query() -> explore.GalleryQuery:
    return explore.GalleryQuery(
        split=arguments.text("db", "train").removesuffix("_db"),
        page=arguments.whole("page", 0, most=2**31),
        size=arguments.whole("size", explore.DEFAULT_SIZE, least=1, most=explore.MAX_SIZE),
        label=arguments.whole("label", None, most=2**31),
    )


def _text_files(folder: Path) -> list[str]:
    """The text files of a data set that a reader may want, as far as they exist."""
    names = ("labels.txt", "train.txt", "val.txt", "test.txt", "problems.jsonl", "dataset.json", "events.jsonl", "worker.log")
    return [name for name in names if (folder / name).is_file()]
