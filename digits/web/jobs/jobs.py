"""Routes every job has: redirect, edit, status, abort, delete, clone, groups, order in the queue (R 1.1)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from flask import Blueprint, jsonify, redirect, request

from digits import tasks
from digits.domain.access import Scope
from digits.domain.datasets import CHOSEN_RECORDS
from digits.domain.jobs import OF_MODELS, Action, Kind
from digits.errors import BadRequest, Forbidden, NotFound, PartlyDone
from digits.service import Service, rows, trash
from digits.service import jobs as job_actions
from digits.service.datasets.contents import CLASSIFICATION, is_classification
from digits.storage.jobs.store import Job
from digits.utils.values import shown
from digits.web.http import arguments
from digits.web.http.access import needs
from digits.web.http.request import (
    check_edit,
    check_permission,
    current_user,
    describes,
    get_service,
    require_user,
    route,
    wants_json,
)

AREAS = ("jobs", "datasets", "models", "pretrained_models")
EDIT_FIELDS = {
    "job_name": "A new name.",
    "job_notes": "Notes; blank: none.",
    "group_name": "The group; blank: none.",
    "tags": "All tags the job has from now on: a list, or one text with commas; blank: none.",
}
PURGE_HELP = "1: for good, also out of the trash; else it can be restored for some days (`trash_days`)."
NEVER_FIELDS = frozenset({"username", "csrf_token"})  # sent with any request
KINDS = {"datasets": Kind.DATASET, "models": Kind.MODEL, "pretrained_models": Kind.PRETRAINED}
PAGES = {**{kind: area for area, kind in KINDS.items()}, Kind.EVALUATION: "evaluations"}


def blueprint() -> Blueprint:
    """The routes of R 1.1 that begin with `/jobs`, and their twins below `/datasets` and `/models`."""
    area = Blueprint("jobs", __name__)
    for prefix in AREAS:
        _add(area, f"/{prefix}/<job_id>", f"edit_{prefix}", _edit, "PUT", KINDS.get(prefix, ""))
        _add(area, f"/{prefix}/<job_id>", f"delete_{prefix}", _delete, "DELETE", KINDS.get(prefix, ""))
        _add(area, f"/{prefix}/<job_id>/abort", f"abort_{prefix}", _abort, "POST", KINDS.get(prefix, ""))
        _add(area, f"/{prefix}/<job_id>/resume", f"resume_{prefix}", _resume, "POST", KINDS.get(prefix, ""))
        area.add_url_rule(f"/{prefix}/<job_id>/status", f"status_{prefix}", status)
    route(area, "/jobs/<job_id>")(show)
    route(area, "/clone/<job_id>", methods=("GET", "POST"), json_twin=False)(clone)
    area.add_url_rule("/jobs", "delete_many", delete_many, methods=["DELETE"])
    area.add_url_rule("/abort_jobs", "abort_many", abort_many, methods=["POST"])
    area.add_url_rule("/group", "group", group, methods=["GET", "POST"])
    area.add_url_rule("/jobs/<job_id>/table_data.json", "table_data", table_data)
    area.add_url_rule("/jobs/<job_id>/priority", "priority", priority, methods=["POST"])
    return area


def show(job_id: str) -> Any:
    """The page of any job: a redirect to the page of its kind."""
    job = get_service().store.get(job_id)
    return redirect(job_address(job, json=wants_json()))


def job_address(job: Job, json: bool = False) -> str:
    """Path of a job's page or of its JSON twin."""
    if job.kind == Kind.EXPORT:  # shown with its model
        model = f"{request.script_root}/models/{job.summary.get('model_id', '')}"
        return f"{model}/exports.json" if json else f"{model}#exports"
    if job.kind == Kind.EMBEDDING:
        model = f"{request.script_root}/models/{job.summary.get('model_id', '')}"
        return f"{model}/embeddings/{job.id}.json" if json else f"{model}/inside?view=vectors&embedding={job.id}"
    return f"{request.script_root}/{PAGES[Kind(job.kind)]}/{job.id}" + (".json" if json else "")


@describes(json=True, answer="`error`, `status` (a word), `name`, `type`.")
def status(job_id: str) -> Any:
    """`{error, status, name, type}`; of an unknown job HTTP 200 with the error "Job not found." (R 11.3)."""
    job = get_service().store.find(job_id)
    if job is None:
        return jsonify({"error": "Job not found.", "status": "", "name": "", "type": ""})
    return jsonify({"error": job.error, "status": job.status.word, "name": job.name, "type": job.type_name})


@describes(json=True, answer="`job`: the row as in /jobs.json.")
def table_data(job_id: str) -> Any:
    """The row of one job."""
    service = get_service()
    return jsonify({"job": rows.rows(service, [service.store.get(job_id)])[0]})


@needs(Scope.READ)
def clone(job_id: str) -> Any:
    """To the *new* page of the job's sort, filled with what made this job."""
    job = get_service().store.get(job_id)
    return redirect(clone_address(job))


def clone_address(job: Job) -> str:
    """Path of the form that makes a job like this one."""
    root = request.script_root
    if job.kind == Kind.PRETRAINED:
        raise BadRequest("A pretrained model cannot be cloned; train a model that starts from it.")
    if job.kind in OF_MODELS:
        raise BadRequest(f"An {job.kind} cannot be cloned; start another one on the page of its model.")
    if job.kind == Kind.DATASET:
        if is_classification(job):
            return f"{root}/datasets/images/classification/new?clone={job.id}"
        if job.extension == CHOSEN_RECORDS:
            raise BadRequest("Its records were chosen in an evaluation, whose page makes another data set of them.")
        if not job.extension or job.extension == "prebuilt":
            return f"{root}/datasets/images/generic/new?clone={job.id}"
        return f"{root}/datasets/generic/new/{job.extension}?clone={job.id}"
    if job.extension and job.extension not in CLASSIFICATION.values():
        return f"{root}/models/images/generic/new/{job.extension}?clone={job.id}"
    return f"{root}/models/images/{tasks.recorded(job.task).area}/new?clone={job.id}"


@describes(json=True, form={"job_ids[]": "Ids of jobs, repeated."})
def delete_many() -> Any:
    """Delete several jobs; what could not be deleted is said in one message. They lie in the trash for some days."""
    gone: list[str] = []

    def delete(service: Service, jobs: Sequence[Job]) -> list[str]:
        found, problems = job_actions.delete_many(service, jobs)
        gone.extend(found)
        return problems

    more = {"undo": gone} if trash.is_kept(get_service()) else {}
    return _for_many(delete, "Jobs deleted.", current_user(), more)


@describes(json=True, form={"job_ids[]": "Ids of jobs, repeated."})
def abort_many() -> Any:
    """Abort several jobs; those that have ended already are counted in the message."""
    return _for_many(job_actions.abort_many, "Jobs aborted.", require_user())


@describes(json=True, form={"job_ids[]": "Ids of jobs, repeated.", "group_name": "The group; blank: none."})
def group() -> Any:
    """Put several jobs into the group `group_name` (blank: into none)."""
    name = arguments.given("group_name") or ""

    def regroup(service: Service, jobs: Sequence[Job]) -> list[str]:
        return job_actions.regroup_many(service, jobs, name)

    return _for_many(regroup, "Jobs regrouped.", require_user())


@describes(json=True, form={"move": "top, up, down, bottom or a whole number."})
def priority(job_id: str) -> Any:
    """Move a waiting job in the queue: `move` is `top`, `up`, `down` or a whole number that becomes its priority."""
    service = get_service()
    job = service.store.get(job_id)
    check_edit(job)
    job_actions.reprioritize(service, job, arguments.text("move", "top"))
    return "Queue changed."


def _add(area: Blueprint, rule: str, endpoint: str, action: Callable[[Job], Any], method: str, kind: str) -> None:
    @describes(
        json=True,
        form=EDIT_FIELDS if action is _edit else None,
        arguments={"purge": PURGE_HELP} if action is _delete else None,
    )
    def handler(job_id: str) -> Any:
        job = _purged(job_id, kind) if action is _delete and arguments.flag("purge") else get_service().store.get(job_id, kind)
        (check_permission if method in ("PUT", "DELETE") else check_edit)(job)
        return action(job)

    handler.__doc__ = action.__doc__
    area.add_url_rule(rule, endpoint, handler, methods=[method])


def _purged(job_id: str, kind: str) -> Job:
    """A job that is to go for good; it may lie in the trash."""
    job = get_service().store.find(job_id, with_deleted=True)
    if job is None or job.requested_action == Action.PURGE or (kind and job.kind != kind):
        raise NotFound("Job not found")
    return job


def _text(message: str, **more: Any) -> Any:
    return jsonify({"message": message, **more}) if wants_json() else message


def _edit(job: Job) -> Any:
    """Change name, notes, group or tags of a job. Fields that a job does not have are named in the answer (`ignored`), and are
    an error where nothing else was sent."""
    sent = arguments.sent_names() - NEVER_FIELDS
    unknown = sorted(sent - EDIT_FIELDS.keys())
    if sent <= set(unknown):
        found = f"A job has no {', '.join(map(shown, unknown))} to change." if unknown else "Nothing to change was sent."
        raise BadRequest(found, advice=f"Send {', '.join(EDIT_FIELDS)}.")
    edited = job_actions.edit(
        get_service(),
        job,
        name=arguments.given("job_name"),
        notes=arguments.given("job_notes"),
        group=arguments.given("group_name"),
        tags=arguments.items("tags"),
    )
    kept = {"name": edited.name, "notes": edited.notes, "group": edited.group, "tags": edited.tags, "ignored": unknown}
    ignored = f" A job has no {', '.join(map(shown, unknown))}." if unknown else ""
    return _text(f"{job.type_name} updated.{ignored}", **kept)


def _delete(job: Job) -> Any:
    """Delete a job with everything it made: it lies in the trash for some days, or goes for good with `purge`. Refused while
    models need it, unless `keep_models` is sent: then the records of the data set go, and what its models need to predict stays
    for them."""
    service = get_service()
    if arguments.flag("purge"):
        _, problems = trash.purge(service, [job])
        if problems:
            raise Forbidden(problems[0])
        return _text("Job deleted.")
    gone = job_actions.delete(service, job, keep_models=arguments.flag("keep_models"))
    words = "Job deleted." if gone else "The records are deleted; what the models need stays as long as they do."
    return _text(words, **({"undo": gone[:1]} if trash.is_kept(service) else {}))


def _abort(job: Job) -> Any:
    """Stop a job that waits or runs."""
    job_actions.abort(get_service(), job)
    return _text("Job aborted.")


def _resume(job: Job) -> Any:
    """Let an aborted or failed job go on from its checkpoint."""
    job_actions.resume(get_service(), job)
    return _text("Job goes on.")


def _for_many(
    action: Callable[[Service, Sequence[Job]], list[str]], done: str, user: str, more: dict[str, Any] | None = None
) -> Any:
    service = get_service()
    jobs, problems = job_actions.choose(service, arguments.texts("job_ids[]") or arguments.texts("job_ids"), user)
    problems += action(service, jobs)
    if problems:
        refused = PartlyDone(" ".join(problems))
        refused.done = more or {}
        raise refused
    return _text(done, **(more or {}))
