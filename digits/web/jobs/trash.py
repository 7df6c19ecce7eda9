"""The trash: a page with what was deleted, restoring (one, several), emptying."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flask import Blueprint, jsonify, render_template

from digits.errors import BadRequest, NotFound
from digits.service import trash
from digits.storage.jobs.store import Job
from digits.utils.values import counted
from digits.web.http import arguments
from digits.web.http.request import check_edit, current_user, describes, get_service, require_user, route, wants_json

ROW = "`id`, `name`, `kind`, `owner`, `group`, `deleted`, `until` (seconds since 1970), `disk_bytes`, `may_restore`"
ANSWER = f"`rows`: {ROW}; `total`, `bytes`, `days`."


def blueprint() -> Blueprint:
    """`/trash` and `/jobs/<id>/restore`."""
    area = Blueprint("trash", __name__)
    route(area, "/trash")(index)
    route(area, "/trash", methods=("DELETE",))(empty)
    route(area, "/trash/restore", methods=("POST",))(restore_many)
    route(area, "/jobs/<job_id>/restore", methods=("POST",))(restore)
    return area


@describes(answer=ANSWER)
def index() -> Any:
    """What was deleted and can be restored, the last deleted first."""
    service = get_service()
    found = trash.list_trash(service, current_user())
    size, days = trash.disk_bytes(found), service.settings.trash_days
    if wants_json():
        return jsonify(rows=[one.to_json() for one in found], total=len(found), bytes=size, days=days)
    return render_template("trash.html", trash=found, bytes=size, days=days)


@describes(answer="`purged`: ids.")
def empty() -> Any:
    """Let everything in the trash that one may change go for good."""
    gone, problems = trash.empty(get_service(), require_user())
    words = " ".join([f"{counted(len(gone), 'job')} purged.", *problems])
    return jsonify(message=words, purged=gone) if wants_json() else words


@describes(form={}, answer="`restored`: ids, also of what it needs and of what was deleted with it; `message`.")
def restore(job_id: str) -> Any:
    """Take a job out of the trash, with what it needs and what was deleted with it."""
    job = trash.get_trashed(get_service(), job_id)
    check_edit(job)
    return _restored([job])


@describes(form={"job_ids[]": "Ids of jobs, repeated."}, answer="As of one job.")
def restore_many() -> Any:
    """Take several jobs out of the trash; those that are not there any more are left out."""
    require_user()
    wanted = set(arguments.texts("job_ids[]") or arguments.texts("job_ids"))
    if not wanted:
        raise BadRequest("No job was named.", advice="Send job_ids[].")
    jobs = [job for job in get_service().store.trash() if job.id in wanted]
    if not jobs:
        raise NotFound("Job not found", advice="It does not lie in the trash.")
    return _restored(jobs)


def _restored(jobs: Sequence[Job]) -> Any:
    back = trash.restore(get_service(), jobs, current_user())
    message = f"{back[0].name} is restored." if len(back) == 1 else f"{len(back)} jobs are restored: {_names(back)}."
    return jsonify(message=message, restored=[job.id for job in back]) if wants_json() else message


def _names(jobs: Sequence[Job], most: int = 5) -> str:
    names = ", ".join(job.name for job in jobs[:most])
    return f"{names} and {len(jobs) - most} more" if len(jobs) > most else names
