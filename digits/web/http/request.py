"""What every page needs from the request: the service, the user, and how to answer (`arguments` reads what was sent).

Holds: handlers run in threads of one process; everything here is bound to the current request. A handler registered with
`route` answers at its rule and at the rule's `.json` twin (also as `/json`, see `web.app`) and asks `wants_json()` which of the
two is wanted.
"""

from __future__ import annotations

import functools
import json
import logging
from collections.abc import Callable, Iterable
from typing import Any, TypeVar, cast

from flask import Blueprint, Response, current_app, g, jsonify, render_template, request
from flask.json.provider import DefaultJSONProvider
from pydantic_core import PydanticSerializationError, to_json

from digits.domain.jobs import StatusHistory
from digits.domain.remedies import ERROR_CODE, going_on_helps
from digits.errors import Forbidden, NotFound, Unauthorized
from digits.service import Service
from digits.service import jobs as job_actions
from digits.service.damage import as_json, damage_of
from digits.storage.jobs.store import Job
from digits.utils.values import finite

Handler = TypeVar("Handler", bound=Callable[..., Any])
HOW_TO_GET_A_TOKEN = (
    "Log in at /login, or send `Authorization: Bearer TOKEN`; `digits token add NAME` on the server prints a token "
    "and `digits serve` prints an address that opens the first session."
)
log = logging.getLogger("digits.web")

JSON_ENDING, JSON_FOLDER = ".json", "/json"
OPEN_INFERENCE = "/v2"  # below it the Open Inference Protocol says how everything is answered
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


def check_permission(job: Job) -> str:
    """As `check_edit`, but Forbidden for somebody unknown too, which is what scripts get who edit or delete (R 1.1, 8.4)."""
    if not current_user():
        raise Forbidden(f"An unknown user may not change {job.name}.", advice=NAME_YOURSELF)
    return check_edit(job)


def may_edit(job: Job) -> bool:
    """Whether the current user may change `job`; for showing or hiding buttons."""
    return job_actions.may_edit(job, current_user())


def wants_json() -> bool:
    """Whether the URL ends in `.json` or `/json` or is one of the Open Inference Protocol, or the client prefers
    `application/json` to `text/html`. Who sends JSON and says nothing of the answer gets JSON."""
    if request.path.endswith((JSON_ENDING, JSON_FOLDER)) or is_open_inference():
        return True
    accept = request.accept_mimetypes
    html, plain = accept["text/html"], accept["application/json"]
    return plain > html or (plain == html and request.is_json)


def is_open_inference() -> bool:
    """Whether the request speaks the Open Inference Protocol."""
    return request.path == OPEN_INFERENCE or request.path.startswith(f"{OPEN_INFERENCE}/")


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
    if "damage" not in context:
        context["damage"] = damage_of(get_service(), job)
    history = StatusHistory.from_json(job.history)
    related = [found for found in (store.find(parent) for parent in store.parents(job.id)) if found]
    return render_template(
        template,
        job=job,
        history=history.entries,
        parents=related,
        children=store.children(job.id),
        may_edit=may_edit(job),
        resumable=going_on_helps(job.kind, str(job.status), job.summary.get(ERROR_CODE, "")),
        folder=get_service().folder(job.id).path,
        **context,
    )


def shows_damage(handler: Handler) -> Handler:
    """For the page of a job and its JSON twin: what is damaged is said beside what can be shown, or alone where the rest of the
    page cannot be made of what is left. Then JSON has the key `damage`, which lists it."""

    @functools.wraps(handler)
    def show(job_id: str, *arguments: Any, **more: Any) -> Any:
        try:
            answer = handler(job_id, *arguments, **more)
        except Exception as error:
            job = get_service().store.find(job_id)
            found = damage_of(get_service(), job) if job is not None and not isinstance(error, NotFound) else []
            if job is None or not found:
                raise
            log.warning("%s is damaged: %s: %s", job_id, type(error).__name__, error)
            if not wants_json():
                return render_job("damaged.html", job, damage=found)
            directory = str(get_service().folder(job.id).path)
            plain = {"id": job.id, "name": job.name, "status": job.status.word, "directory": directory}
            return json_answer({**plain, "damage": as_json(found)})
        found = damage_of(get_service(), get_service().store.get(job_id)) if wants_json() else []
        if found and isinstance(answer, tuple) and isinstance(answer[0], Response) and isinstance(answer[0].json, dict):
            return json_answer({**answer[0].json, "damage": as_json(found)}, answer[1])
        return answer

    return cast(Handler, show)


def json_answer(value: Any, status: int = 200) -> tuple[Response, int]:
    """A JSON response with its status code."""
    return jsonify(value), status


def long_answer(value: Any) -> Response:
    """A JSON response of many thousand parts, written several times faster: text is not escaped to ASCII."""
    try:
        text = to_json(value, inf_nan_mode="null")
    except PydanticSerializationError:  # a name that is no Unicode
        return jsonify(value)
    return current_app.response_class(text, mimetype="application/json")


class FiniteJson(DefaultJSONProvider):
    """What answers and templates (`tojson`) write: a number that is not finite (a metric of nothing, a loss that ran away) is
    null, so that every reader takes it; keys keep their order."""

    sort_keys = False

    def dumps(self, obj: Any, **kwargs: Any) -> str:
        options = {"default": self.default, "ensure_ascii": self.ensure_ascii, "sort_keys": self.sort_keys, **kwargs}
        try:
            return json.dumps(obj, allow_nan=False, **options)
        except ValueError:
            return json.dumps(finite(obj), allow_nan=False, **options)


class TolerantResponse(Response):
    """An answer whose text may hold file names of any bytes: what is no UTF-8 is shown as a question mark."""

    def set_data(self, value: bytes | str) -> None:
        super().set_data(value.encode(errors="replace") if isinstance(value, str) else value)
