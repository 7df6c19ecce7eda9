"""Who may ask a published name, and when: its own tokens, and as many requests at once as it has places.

Holds: a token of a name opens what `opened_by_token` marks, for that name, and nothing else; nobody needs a session for it. A
request takes its place before its body is read, and gives it back whatever becomes of it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, TypeVar, cast

from flask import Blueprint, current_app, g, request
from werkzeug.wrappers import Response

from digits.errors import Forbidden, NotFound, Unauthorized
from digits.service.serving import Serving
from digits.service.serving import names as published
from digits.service.serving.infer import chosen_version
from digits.storage.publications import Publication
from digits.utils.values import is_digits
from digits.web.connections import Connection

Handler = TypeVar("Handler", bound=Callable[..., Any])


def get_serving() -> Serving:
    """What this process serves with."""
    return cast(Serving, current_app.extensions["digits-serving"])


def opened_by_token(*, takes_place: bool = False) -> Callable[[Handler], Handler]:
    """Mark a handler that a token of the name in its address opens; `takes_place`: its requests are queued and counted."""

    def note(handler: Handler) -> Handler:
        handler.opened_by_token = True  # type: ignore[attr-defined]
        handler.takes_place = takes_place  # type: ignore[attr-defined]
        return handler

    return note


def is_opened_by_token() -> bool:
    """Whether a token of a published name can open the route of this request."""
    return bool(getattr(current_app.view_functions.get(str(request.endpoint)), "opened_by_token", False))


def is_serve_token(bearer: str) -> bool:
    return bearer.startswith(published.TOKEN_PREFIX)


def let_in(bearer: str) -> str:
    """The id of the token, where it opens the name that is requested (where no name is: any). Raises Forbidden for every other
    address, Unauthorized for a token that does not open it."""
    if not is_opened_by_token():
        raise Forbidden(
            "This token opens the predictions of one published name, and nothing else.",
            advice="`digits token add NAME` on the server prints a token that acts as a user.",
        )
    publications = get_serving().publications
    name = (request.view_args or {}).get("name")
    wanted = [publications.find(str(name))] if name is not None else publications.all()
    for one in wanted:
        token = published.opens(one, bearer) if one is not None else None
        if token is not None:
            return token.id
    raise Unauthorized("The token does not open this name (any more).", advice="The page of the published name makes a new one.")


def version_number(publication: Publication, text: str) -> int:
    """The number of a version as it stands in an address. Raises NotFound for what is none."""
    if not is_digits(text):
        raise NotFound(f"{publication.name} has no version {text[:40]!r}.")
    return int(text)


def register(area: Blueprint) -> None:
    """Queue and count the requests of an area's handlers that take a place."""
    area.before_request(_enter)
    area.after_request(_count)
    area.teardown_request(_leave)


def _enter() -> None:
    if not getattr(current_app.view_functions.get(str(request.endpoint)), "takes_place", False):
        return
    serving, arguments = get_serving(), request.view_args or {}
    publication = published.find(serving, str(arguments["name"]))
    serving.traffic.enter(publication, g.get("serve_token", ""))
    g.place, g.entered = publication, time.perf_counter()
    version = arguments.get("version")
    g.version = chosen_version(serving, publication, version_number(publication, version) if version else None)
    if (connection := _connection()) is not None:
        connection.known = True  # its place is what it may hold up


def _count(response: Response) -> Response:
    if "version" in g:
        publication: Publication = g.place
        seconds = time.perf_counter() - g.entered
        get_serving().traffic.record(publication.name, g.version.number, response.status_code, seconds, g.get("pictures", 0))
    return response


def _leave(_error: BaseException | None) -> None:
    if "place" in g:
        get_serving().traffic.leave(g.pop("place"))
    if g.get("serve_token") and (connection := _connection()) is not None:
        connection.known = False  # from here on, and in its next requests, it is waited for as a stranger is


def _connection() -> Connection | None:
    found = request.environ.get("gunicorn.socket")
    return found if isinstance(found, Connection) else None
