"""What the web server writes into the audit log: log-ins, and every request to a route that changes something."""

from __future__ import annotations

import contextlib
from typing import Any

from flask import g, request
from werkzeug.wrappers import Response

from digits.domain.jobs import JOB_ID
from digits.errors import BadRequest
from digits.service import audit
from digits.web.http import access, arguments
from digits.web.http.request import get_service

LARGEST_ANSWER = 1 << 16  # an answer that names a new job is short


def record_login(action: str, user: str, by: str, **more: Any) -> None:
    """A log-in that succeeded, failed or was refused: `user` is the name that was given."""
    audit.record(get_service(), action, who=user, by=by, address=request.remote_addr or "", **more)


def record_request(response: Response) -> Response:
    """After a request of somebody known to a route that changes something, refused ones too."""
    wanted = access.need_of_request().recorded or g.get("leaves_something")
    if request.url_rule is None or not wanted or not g.get("user"):
        return response
    audit.record(
        get_service(),
        str(request.endpoint).rpartition(".")[2].removesuffix("_json"),
        who=g.user,
        by=g.by,
        address=request.remote_addr or "",
        request=f"{request.method} {request.path}",
        jobs=_jobs(response),
        status=response.status_code,
    )
    return response


def note_what_stays() -> None:
    """The request, of a route that usually leaves nothing, has left something (an answer that is kept): it is recorded."""
    g.leaves_something = True


def _jobs(response: Response) -> list[str]:
    """The jobs that the request names, and the one that it made."""
    named = [str((request.view_args or {}).get("job_id", "")), _made(response)]
    for name in ("job_id", "job_ids[]", "job_ids"):
        named += _sent(name)
    return [job_id for job_id in dict.fromkeys(named) if JOB_ID.match(job_id)]


def _sent(name: str) -> list[str]:
    """The values of an argument; of a request that was refused before its body was read, or for what is in it, those in the
    address."""
    with contextlib.suppress(BadRequest):
        return arguments.texts(name) if "form" in request.__dict__ else request.args.getlist(name)
    return request.args.getlist(name)


def _made(response: Response) -> str:
    if response.status_code >= 400:
        return ""
    if response.location:
        return response.location.partition("?")[0].partition("#")[0].rpartition("/")[2]
    if response.is_json and (response.content_length or LARGEST_ANSWER) < LARGEST_ANSWER:
        value = response.get_json(silent=True)
        return str(value.get("id") or "") if isinstance(value, dict) else ""
    return ""
