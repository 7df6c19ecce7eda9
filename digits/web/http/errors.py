"""How errors leave the server: JSON for scripts, a page for people (R 1.0)."""

from __future__ import annotations

import errno
import logging
import time
import traceback
from pathlib import Path
from typing import Any

from flask import Flask, jsonify, redirect, render_template, request, url_for
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolExhausted
from werkzeug.exceptions import ClientDisconnected, HTTPException, RequestTimeout
from werkzeug.wrappers import Response

from digits.domain.jobs import JOB_ID
from digits.domain.query import QueryError
from digits.errors import DigitsError, DiskFull, FormErrors, NotFound, PartlyDone, Unauthorized, Unavailable
from digits.service.damage import explained
from digits.service.files.uploads import Misplaced
from digits.service.jobs import InUse
from digits.service.trash import find_trashed
from digits.storage.files import GOES_ON, cannot_write
from digits.utils.masking import masked
from digits.web.connections import TooSlow
from digits.web.http.access import NotFromHere
from digits.web.http.request import TolerantResponse, current_user, get_service, is_open_inference, wants_json

log = logging.getLogger("digits.web")
OUTAGES = (OperationalError, InterfaceError, PoolExhausted)  # of a database; other errors of it are faults of ours
NOT_WRITABLE = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)  # which is no fault of ours: the disk is full, or read-only
DATABASE_ADVICE = (
    "Trainings go on, and nothing is lost: try again in a moment. An administrator finds the reason in the server's log."
)
RETRY_SECONDS = 10  # what an answer 503 asks a script to wait


def register(app: Flask) -> None:
    """Make one handler answer for everything that goes wrong."""
    app.response_class = TolerantResponse
    app.register_error_handler(Exception, answer_error)


def answer_error(error: Exception) -> Any:
    """The answer to any exception, with the code it carries (500 otherwise)."""
    if isinstance(error, HTTPException) and error.code is not None and error.code < 400:
        return error
    if isinstance(error, FormErrors):
        return _form_errors(error)
    if isinstance(error, ClientDisconnected):
        if not isinstance(error.__context__, TooSlow):
            return "", error.code  # which nobody reads
        error = RequestTimeout(f"{error.__context__} The setting body_seconds is the limit.")
    if isinstance(error, OSError) and error.errno == errno.ENAMETOOLONG:  # no such file can be, whoever names it
        error = NotFound("Nothing has so long a name.", advice="A part of a path has 255 bytes at most.")
    if isinstance(error, OSError) and error.errno in NOT_WRITABLE:
        error = cannot_write(error, Path(str(error.filename or get_service().jobs_dir.path)))
    if isinstance(error, DiskFull):
        error.advice = error.advice.replace(GOES_ON, "then send the request again. Jobs go on by themselves.")
    if isinstance(error, OUTAGES):
        return _answer(_outage(error), Unavailable.status)
    if isinstance(error, Unauthorized) and not wants_json() and _is_page():
        return redirect(url_for("auth.login", next=_address()))
    if isinstance(error, NotFromHere) and not wants_json() and _may_be_sent_again():
        return render_template("confirm.html", fields=list(request.args.items(multi=True))), error.status
    if _status(error) >= 500:
        error = _explained(error)
    status = _status(error)
    if status >= 500 and not isinstance(error, DigitsError | HTTPException):
        log.exception("%s %s failed", request.method, request.path)
    return _answer(error, status)


def _answer(error: Exception, status: int) -> Any:
    body = error_body(error, get_service().settings.debug)
    if isinstance(error, NotFound):
        _add_trash(body)
    response: Response
    if is_open_inference():
        response = jsonify({"error": " ".join(filter(None, (body["message"], body.get("description"))))})
    elif wants_json():
        placed = {"position": error.position, "length": error.length} if isinstance(error, QueryError) else {}
        response = jsonify({"error": {**body, **placed}, **placed, **(error.done if isinstance(error, PartlyDone) else {})})
    else:
        response = Response(render_template("error.html", error=body, status=status), mimetype="text/html")
    response.status_code = status
    if status == 401:
        response.headers["WWW-Authenticate"] = 'Bearer realm="digits"'
    if retry := getattr(error, "retry_after", RETRY_SECONDS if status == 503 else 0):
        response.headers["Retry-After"] = str(retry)
    return response


def _add_trash(body: dict[str, Any]) -> None:
    """That the job which was requested lies in the trash, for those who may restore it."""
    job_id = str((request.view_args or {}).get("job_id") or "")
    found = find_trashed(get_service(), job_id, current_user()) if JOB_ID.match(job_id) else None
    if found is not None:
        body["trash"] = found.to_json()
        until = time.strftime("%Y-%m-%d", time.localtime(found.until))
        body["description"] = f"It was deleted and lies in the trash until {until}; it can be restored."


def _outage(error: Exception) -> Unavailable:
    """What is said of a database that is away, locked or full; the reason, which may name hosts and files, is for the log."""
    reason = str(getattr(error, "orig", None) or error).strip().splitlines() or [""]
    log.error("%s %s: the database does not answer: %s", request.method, request.path, reason[0])
    return Unavailable("The database does not answer.", advice=DATABASE_ADVICE)


def error_body(error: Exception, debug: bool) -> dict[str, Any]:
    """`message`, `type`, where there is more to say `description`, and in debug mode `trace`."""
    if isinstance(error, DigitsError):
        body: dict[str, Any] = {"message": masked(error.message) or type(error).__name__, "type": type(error).__name__}
        description = masked(error.advice)
        if isinstance(error, InUse):
            body["models"] = error.models
        if isinstance(error, Misplaced):
            body["offset"] = error.offset
    elif isinstance(error, HTTPException):
        body = {"message": error.name, "type": type(error).__name__}
        description = error.description or ""
    else:
        body = {"message": masked(str(error)) or type(error).__name__, "type": type(error).__name__}
        description = "This is a fault of digits itself; the server's log holds the details."
    if description:
        body["description"] = description
    if debug:
        body["trace"] = [masked(line) for line in traceback.format_exception(error)]
    return body


def _explained(error: Exception) -> Exception:
    """What is damaged of the job that was requested, where that is why it failed."""
    named = (request.values.get(name) for name in ("job_id", "clone", "dataset"))
    job_id = (request.view_args or {}).get("job_id") or next((found for found in named if found), "")
    if isinstance(error, HTTPException) or not JOB_ID.match(str(job_id)):
        return error
    found = explained(get_service(), str(job_id), error)
    if found is not error:
        log.warning("%s %s: %s (%s: %s)", request.method, request.path, found, type(error).__name__, error)
    return found


def _form_errors(error: FormErrors) -> Any:
    if wants_json():
        return jsonify({"errors": error.errors}), 400
    body = {"message": "Some fields need another value", "type": "FormErrors", "description": str(error)}
    return render_template("error.html", error=body, status=400, fields=error.errors), 400


def _status(error: Exception) -> int:
    if isinstance(error, DigitsError):
        return error.status
    return error.code or 500 if isinstance(error, HTTPException) else 500


def _is_page() -> bool:
    """Whether a person with a browser sent the request, so that the log-in page helps; a failed log-in itself answers 401."""
    return not request.headers.get("Authorization") and request.blueprint != "auth"


def _may_be_sent_again() -> bool:
    """Whether a link led here that a form may send as well, once the user has said so on a page of ours."""
    return request.method == "GET" and request.url_rule is not None and "POST" in (request.url_rule.methods or ())


def _address() -> str:
    return request.full_path.rstrip("?") if request.method == "GET" else url_for("home.index")
