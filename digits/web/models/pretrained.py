"""Pretrained models over HTTP (R 1.4): the page to add one, archives, the page and JSON of each. Editing, deleting and stopping
are those of all jobs, downloads those of models."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from flask import Blueprint, flash, redirect, render_template, url_for

from digits import tasks
from digits.domain.jobs import Kind
from digits.errors import BadRequest, FormErrors
from digits.frameworks import frameworks
from digits.service.files.names import copy_limited, safe_name
from digits.service.forms import BoundForm
from digits.service.models import pretrained
from digits.service.models.exports import format_choices
from digits.service.models.moving import aside
from digits.service.models.pretrained_form import PretrainedForm, from_files
from digits.storage.jobs.store import Job, JobQuery
from digits.web.http import arguments
from digits.web.http.request import (
    describes,
    get_service,
    json_answer,
    render_job,
    require_user,
    route,
    shows_damage,
    wants_json,
)

ARCHIVE = "archive"


def blueprint() -> Blueprint:
    """The routes below `/pretrained_models`."""
    area = Blueprint("pretrained", __name__)
    area.add_url_rule("/pretrained_models.json", "index", index)
    area.add_url_rule("/pretrained_models/new", "new", new)
    route(area, "/pretrained_models/new", methods=("POST",))(create)
    route(area, "/pretrained_models/upload_archive", methods=("POST",))(upload_archive)
    route(area, "/pretrained_models/<job_id>")(show)
    return area


@describes(json=True, answer="`pretrained_models`: each as at /pretrained_models/{job_id}.json, newest first.")
def index() -> Any:
    """All pretrained models."""
    service = get_service()
    jobs = service.store.query(JobQuery(kind=Kind.PRETRAINED)).jobs
    return json_answer({"pretrained_models": [pretrained.pretrained_dict(service, job) for job in jobs]})


@describes()
def new() -> Any:
    """The page to add a pretrained model."""
    require_user()
    return _form_page()


@describes(form=PretrainedForm, answer="The pretrained model, as at /pretrained_models/{job_id}.json.")
def create() -> Any:
    """Make a pretrained model of a file of weights and a network text. A page: redirect to `/?tab=3`."""
    owner = require_user()
    values = arguments.form_values()
    try:
        job = from_files(get_service(), values, owner)
    except FormErrors as error:
        if wants_json():
            return json_answer({"errors": error.errors}, 400)
        return _form_page(values, error), 400
    return json_answer(pretrained.pretrained_dict(get_service(), job)) if wants_json() else redirect(url_for("home.index", tab=3))


@describes(
    json=True,
    form={ARCHIVE: "A zip or tar of a model's Download.", "job_name": "What it is called; blank: as in the archive."},
    answer="`status` is `success`, with the `id`; of an archive that cannot be taken in 400, and `status` says why.",
)
def upload_archive() -> Any:
    """Make a pretrained model of an archive."""
    service, owner, sent = get_service(), require_user(), arguments.file(ARCHIVE)
    is_page = arguments.flag("page")
    try:
        if sent is None:
            raise pretrained.BadArchive(f"{ARCHIVE} is a required field: a file.", advice="Send a zip or tar.")
        with aside(service) as place:
            path = place / safe_name(sent.filename or ARCHIVE)
            most = service.settings.max_upload_mb
            with open(path, "wb") as file:
                copy_limited(sent.stream, file, most * 2**20, f"The archive is larger than {most} MiB.", "max_upload_mb")
            job = pretrained.from_archive(service, path, path.name, owner, arguments.text("job_name"))
    except BadRequest as error:
        if is_page:
            flash(str(error), "danger")
            return _form_page(), 400
        said = {"message": str(error), "type": type(error).__name__}
        return json_answer({"status": str(error), "error": said}, error.status)
    if is_page:
        return redirect(url_for("pretrained.show", job_id=job.id), 303)
    return json_answer({"status": "success", "id": job.id, "name": job.name})


@shows_damage
@describes(
    answer="`id`, `name`, `status`, `framework`, `task`, `labels`, `image dimensions`, `snapshot_epoch`, `origin`, `about`, "
    "`thresholds` (those that were chosen, by label)."
)
def show(job_id: str) -> Any:
    """A pretrained model."""
    service = get_service()
    job = service.store.get(job_id, Kind.PRETRAINED)
    details = pretrained.pretrained_dict(service, job)
    if wants_json():
        return json_answer(details)
    return render_job(
        "models/pretrained.html",
        job,
        details=details,
        task_area=tasks.recorded(job.task).area,
        text=pretrained.pretrained_text(service, job),
        source=_source(job, details["origin"]),
        export_formats=format_choices(job),
        ready=os.path.isfile(service.folder(job.id).path / pretrained.pretrained_spec(service, job).snapshot),
    )


def _source(job: Job, origin: dict[str, Any]) -> dict[str, str]:
    """Where a pretrained model comes from: `words`, and an address of this server in `href`."""
    name = str(origin.get("name") or origin.get("file") or "")
    match origin.get("kind"):
        case "model":
            known = get_service().store.find(str(origin.get("model_id")))
            return {"words": f"the model {name}", "href": url_for("models.show", job_id=known.id) if known else ""}
        case "store":
            return {"words": f"{name} of the store {origin.get('store')}", "href": url_for("store.index")}
        case "archive":
            return {"words": f"the archive {Path(str(origin.get('file'))).name}", "href": ""}
    return {"words": f"the file {name}", "href": ""}


def _form_page(values: dict[str, Any] | None = None, error: FormErrors | None = None) -> str:
    form = BoundForm(PretrainedForm, values or {}, error.errors if error else {})
    rows = [row for row in frameworks().values() if row.is_installed]
    return render_template("models/pretrained_new.html", form=form, frameworks=rows)
