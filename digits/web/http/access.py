"""What a request must show before its handler runs: one rule for every route, by what the route says that it needs.

Holds: a route whose methods only read (GET, HEAD) needs the scope `read`; every other needs `run` for all of its methods, GET
too, unless its handler says otherwise with `needs`. Whatever needs more than `read` is taken from a cookie only with proof
that a page of this server sent it, whatever the method; a route that needs only `read` cannot change the database. A bearer token
needs no proof, because no browser adds one by itself, but a scope.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import unquote, urlsplit

from flask import Flask, current_app, g, has_request_context, request, session
from sqlalchemy import Engine, event
from werkzeug.exceptions import HTTPException

from digits.domain.access import MEANINGS, Scope
from digits.errors import Forbidden
from digits.storage.jobs.tables import is_write

Handler = TypeVar("Handler", bound=Callable[..., Any])
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


class NotFromHere(Forbidden):
    """A request by cookie that changes something and cannot show that a page of this server sent it."""


@dataclass(frozen=True)
class Need:
    """What a route needs of who calls it, and whether the audit log records it."""

    scope: Scope
    recorded: bool


READ = Need(Scope.READ, recorded=False)
RUN = Need(Scope.RUN, recorded=True)


def needs(scope: Scope, *, recorded: bool | None = None) -> Callable[[Handler], Handler]:
    """Say of a handler what its routes need, where that is not what follows from their methods.

    `recorded=False` leaves what changes nothing that stays (a prediction, a preview) out of the audit log.
    """
    need = Need(scope, scope is not Scope.READ if recorded is None else recorded)

    def note(handler: Handler) -> Handler:
        handler.needs = need  # type: ignore[attr-defined]
        return handler

    return note


def need_of(app: Flask, rule: Any) -> Need:
    """What a rule of the application's map needs."""
    said = getattr(app.view_functions.get(rule.endpoint), "needs", None)
    if isinstance(said, Need):
        return said
    return READ if (rule.methods or set()) <= SAFE_METHODS else RUN


def need_of_request() -> Need:
    """What the current request needs; only to read where no route takes it."""
    if request.url_rule is None or _is_answered_by_flask():
        return READ
    return need_of(current_app, request.url_rule)


def only_reads_at(path: str) -> bool:
    """Whether a path, as a browser takes it, is one of this server's that GET only reads."""
    path = unquote(path)
    if {".", ".."} & set(path.split("/")):  # a browser would go elsewhere
        return False
    try:
        rule, _ = current_app.url_map.bind("").match(path.removeprefix(request.script_root) or "/", "GET", return_rule=True)
    except HTTPException:
        return False
    return need_of(current_app, rule).scope is Scope.READ


def check_request(scope: Scope | None, *, needs_proof: bool) -> None:
    """Raises Forbidden when the request lacks what its route needs.

    `scope` is that of its bearer token, None without one; `needs_proof` says that silence is not enough, because a cookie names
    the user. From here on `may_change` and `only_reads` answer for this request.
    """
    need = need_of_request()
    g.scope, g.needs_proof, g.only_reads = scope, needs_proof, need.scope is Scope.READ
    if scope is not None:
        _check_scope(scope, need)
    elif need.scope is not Scope.READ or request.method not in SAFE_METHODS:
        check_change()


def check_change() -> None:
    """Raises NotFromHere unless this request may change something; routes that only read at times call it when they do not."""
    if not may_change():
        raise NotFromHere(
            "The request does not come from a page of this server.",
            advice="Reload the page and try again; a script sends `Authorization: Bearer TOKEN` instead of a cookie.",
        )


def may_change() -> bool:
    """Whether this request might change something: by the scope of its token (unless a browser brings it along from another
    site), or by the page that it comes from."""
    if g.scope is not None:
        return bool(g.scope.holds(Scope.RUN)) and _browser_says() is not False
    return is_from_here(needs_proof=g.needs_proof)


def only_reads() -> bool:
    """Whether the route of this request needs no more than to read."""
    return bool(g.get("only_reads", False))


def is_from_here(*, needs_proof: bool) -> bool:
    """Whether a page of this server sent the request. Where nothing says so or otherwise: only without `needs_proof`.

    The browser says it by `Sec-Fetch-Site`, else by `Origin`, else by `Referer`, none of which a page can forge; a form or a
    script of ours by its token. Of an address that was typed, or that came by mail, nothing is known (`none`).
    """
    said = _browser_says()
    return said is True or _token_fits() or (said is None and not needs_proof)


def own_origin() -> str:
    """Scheme, name and port under which the browser knows this server."""
    return f"{request.scheme}://{request.host}".lower()


def guard(engine: Engine) -> None:
    """Let the database refuse changes by a route that only reads; who the request is from was written down before."""
    event.listen(engine, "before_cursor_execute", _refuse_writes)


def _refuse_writes(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
    if has_request_context() and only_reads() and is_write(statement):
        raise RuntimeError(f"{request.endpoint} says that it only reads, and was about to change the database.")


def _check_scope(scope: Scope, need: Need) -> None:
    if not scope.holds(need.scope):
        raise Forbidden(
            f"This token has the scope {scope} ({MEANINGS[scope]}); {request.method} {request.path[:200]} needs {need.scope}.",
            advice=f"`digits token add NAME --scope {need.scope}` prints one that may.",
        )


def _browser_says() -> bool | None:
    site, origin, referrer = (request.headers.get(name) for name in ("Sec-Fetch-Site", "Origin", "Referer"))
    if site is not None and site != "none":
        return site == "same-origin"
    if origin is not None:
        return origin.lower() == own_origin()
    if referrer is not None:
        parts = urlsplit(referrer)
        return f"{parts.scheme}://{parts.netloc}".lower() == own_origin()
    return None


def _token_fits() -> bool:
    token = request.headers.get("X-CSRF-Token") or request.form.get("csrf_token", "")
    return bool(token) and hmac.compare_digest(str(session.get("csrf", "")).encode(), token.encode())


def _is_answered_by_flask() -> bool:
    return request.method == "OPTIONS" and bool(getattr(request.url_rule, "provide_automatic_options", False))
