"""What every page needs from the request: the service, the user, the arguments, and how to answer.

Holds: handlers run in threads of one process; everything here is bound to the current request. A handler registered with
`route` answers at its rule and at the rule's `.json` twin and asks `wants_json()` which of the two is wanted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar, cast

from flask import Blueprint, Response, current_app, g, jsonify, render_template, request
from werkzeug.datastructures import FileStorage

from digits.domain.status import StatusHistory
from digits.errors import BadRequest, Unauthorized
from digits.service import Service
from digits.service import jobs as job_actions
from digits.service.files.form_files import save_form_file
from digits.storage.jobs.store import Job

Handler = TypeVar("Handler", bound=Callable[..., Any])
HOW_TO_GET_A_TOKEN = (
    "Log in at /login, or send `Authorization: Bearer TOKEN`; `digits token add NAME` on the server prints a token "
    "and `digits serve` prints an address that opens the first session."
)
BOXES = "boxes[]"  # the macro `field` sends it beside each box
NAME_YOURSELF = "Send `username`, or POST it to /login once and keep the cookie."


def get_service() -> Service:
    """The service of this application."""
    return cast(Service, current_app.extensions["digits"])


def current_user() -> str:
    """The name of whoever sent the request; empty when nobody is logged in."""
    return str(g.get("user", ""))


def require_user() -> str:
    """The user's name. Raises Unauthorized (JSON: 401 with the way to a token; page: the log-in page) when there is none."""
    user = current_user()
    if not user:
        advice = HOW_TO_GET_A_TOKEN if get_service().settings.auth else NAME_YOURSELF
        raise Unauthorized("You are not logged in.", advice=advice)
    return user


def check_edit(job: Job) -> str:
    """The user's name, if they may change `job`; Unauthorized or Forbidden otherwise."""
    user = require_user()
    job_actions.check_edit(job, user)
    return user


def may_edit(job: Job) -> bool:
    """Whether the current user may change `job`; for showing or hiding buttons."""
    return job_actions.may_edit(job, current_user())


def wants_json() -> bool:
    """Whether the URL ends in `.json` or the client prefers `application/json` to `text/html`."""
    if request.path.endswith(".json"):
        return True
    accept = request.accept_mimetypes
    return accept["application/json"] > accept["text/html"]


def argument(name: str, default: str | None = None) -> str | None:
    """One argument: from the query string, else from the form or a JSON body."""
    if name in request.args:
        return request.args[name]
    if name in request.form:
        return request.form[name]
    value = _json_body().get(name, default)
    return value if value is None else str(value)


def arguments(name: str) -> list[str]:
    """All values of a repeated argument, e.g. `job_ids[]`; a JSON body may hold a list."""
    if name in request.args:
        return request.args.getlist(name)
    if name in request.form:
        return request.form.getlist(name)
    value = _json_body().get(name, [])
    return [str(item) for item in (value if isinstance(value, list) else [value])]


def required_argument(name: str) -> str:
    """An argument that must be there: BadRequest names it when it is not."""
    value = argument(name)
    if not value:
        raise BadRequest(f"{name} is a required field.")
    return value


def argument_job(kind: str = "") -> Job:
    """The job named by the argument `job_id`: 400 when the argument is missing, 404 when there is no such job (R 1.0)."""
    return get_service().store.get(required_argument("job_id"), kind)


def form_values() -> dict[str, Any]:
    """All values sent: query string beneath the form (or JSON body); a repeated field is a list.

    A page names its boxes in `boxes[]`: those that are not ticked, which browsers do not send, are `false`. Uploaded files
    are written below the uploads folder; their field holds the file's absolute path (a list for several).
    """
    values: dict[str, Any] = {**_flat(request.args.lists()), **_flat(request.form.lists()), **_json_body()}
    for name, files in request.files.lists():
        paths = [str(_save(file)) for file in files if file.filename]
        if paths:
            values[name] = paths[0] if len(paths) == 1 else paths
    values.pop(BOXES, None)
    return {**dict.fromkeys(request.form.getlist(BOXES), "false"), **values}


def route(
    blueprint: Blueprint, rule: str, methods: Iterable[str] = ("GET",), json_twin: bool = True
) -> Callable[[Handler], Handler]:
    """Register a handler at `rule` and, as endpoint `<name>_json`, at `rule + ".json"` (`/index.json` for `/`)."""

    def register(handler: Handler) -> Handler:
        blueprint.add_url_rule(rule, handler.__name__, handler, methods=list(methods))
        if json_twin:
            twin = f"{rule}index.json" if rule.endswith("/") else f"{rule}.json"
            blueprint.add_url_rule(twin, f"{handler.__name__}_json", handler, methods=list(methods))
        return handler

    return register


def describes(
    *, form: Any = None, arguments: dict[str, str] | None = None, answer: str = "", json: bool = False
) -> Callable[[Handler], Handler]:
    """Note for `/openapi.json` what a handler reads and answers.

    `form` is a FormModel class or a dictionary of field names and their meaning, `arguments` the query's; `json` marks a
    route without a `.json` twin whose answer is JSON or plain text.
    """

    def note(handler: Handler) -> Handler:
        known = {"form": form, "arguments": arguments or {}, "json": json, **({"answer": answer} if answer else {})}
        handler.openapi = known  # type: ignore[attr-defined]
        return handler

    return note


def render_job(template: str, job: Job, **context: Any) -> str:
    """A page that extends `job.html`: adds what its right column shows (time line, related jobs, disk usage, rights)."""
    store = get_service().store
    history = StatusHistory.from_json(job.history)
    related = [found for found in (store.find(parent) for parent in store.parents(job.id)) if found]
    return render_template(
        template,
        job=job,
        history=history.entries,
        parents=related,
        children=store.children(job.id),
        may_edit=may_edit(job),
        folder=get_service().folder(job.id).path,
        **context,
    )


def json_answer(value: Any, status: int = 200) -> tuple[Response, int]:
    """A JSON response with its status code."""
    return jsonify(value), status


def _json_body() -> dict[str, Any]:
    value = request.get_json(silent=True) if request.is_json else None
    return value if isinstance(value, dict) else {}


def _flat(lists: Iterable[tuple[str, list[str]]]) -> dict[str, Any]:
    return {name: values[0] if len(values) == 1 else values for name, values in lists}


def _save(file: FileStorage) -> Any:
    return save_form_file(get_service(), file.stream, file.filename or "")
