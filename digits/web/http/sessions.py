"""`/sessions`: where one is logged in and the tokens that act for one, each with its last use; ending one or all of them."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from flask import Blueprint, flash, redirect, render_template, session, url_for

from digits.domain.access import MEANINGS, Scope
from digits.errors import BadRequest
from digits.service import sessions, tokens
from digits.web.http.access import needs
from digits.web.http.request import describes, get_service, json_answer, require_user, route, wants_json
from digits.web.http.security import session_id

OWN = (
    "`id`, `created`, `last_used`, `expires`, `address`, `agent`, `browser` (the same in short) and `current`: whether it is "
    "the one of this request"
)
BROWSERS = (("Firefox/", "Firefox"), ("Edg/", "Edge"), ("OPR/", "Opera"), ("Chrome/", "Chrome"), ("Safari/", "Safari"))
SYSTEMS = (
    *(("Android", "Android"), ("iPhone", "iOS"), ("iPad", "iOS")),
    *(("Windows", "Windows"), ("Mac OS", "macOS"), ("CrOS", "ChromeOS"), ("Linux", "Linux")),
)
TOKENS = "`id`, `label`, `scope`, `created`, `expires` (null: until it is revoked), `last_used`"


def blueprint() -> Blueprint:
    """The routes below `/sessions` and `/tokens`."""
    area = Blueprint("sessions", __name__)
    route(area, "/sessions")(index)
    route(area, "/sessions/end", methods=("POST",))(end_all)
    route(area, "/sessions/<session>/end", methods=("POST",))(end)
    route(area, "/tokens/<token>/revoke", methods=("POST",))(revoke)
    return area


@describes(answer=f"`sessions`: {OWN}. `tokens`: {TOKENS}.")
def index() -> Any:
    """The sessions and tokens of the user."""
    user, service = _user(), get_service()
    own = [
        asdict(row) | {"current": row.id == session_id(), "browser": browser_of(row.agent)}
        for row in sessions.list_sessions(service, user)
    ]
    known = [asdict(token) for token in tokens.list_tokens(service, user)]
    if wants_json():
        return json_answer({"sessions": own, "tokens": known})
    meanings = {str(scope): text for scope, text in MEANINGS.items()}
    return render_template("sessions.html", sessions=own, tokens=known, meanings=meanings, days=sessions.SESSION_DAYS)


@describes(form={}, answer="`ended`: how many.")
@needs(Scope.ADMIN)
def end_all() -> Any:
    """End every session of the user, this one too. Tokens stay."""
    ended = sessions.end_all(get_service(), _user())
    session.clear()
    return json_answer({"ended": ended}) if wants_json() else redirect(url_for("auth.login"))


@describes(form={}, answer="`ended`: its id.")
@needs(Scope.ADMIN)
def end(session: str) -> Any:
    """End one session of the user."""
    sessions.end(get_service(), _user(), session)
    if wants_json():
        return json_answer({"ended": session})
    flash("The session has ended.", "success")
    return redirect(url_for("sessions.index"))


@describes(form={}, answer="`revoked`: its id.")
@needs(Scope.ADMIN)
def revoke(token: str) -> Any:
    """Revoke a token of the user."""
    tokens.remove_token(get_service(), token, _user())
    if wants_json():
        return json_answer({"revoked": token})
    flash("The token opens nothing any more.", "success")
    return redirect(url_for("sessions.index"))


def browser_of(agent: str) -> str:
    """What a browser calls itself, in short: `Firefox on Windows`."""
    name = next((name for word, name in BROWSERS if word in agent), agent.partition("/")[0][:40] or "unknown")
    system = next((name for word, name in SYSTEMS if word in agent), "")
    return f"{name} on {system}" if system else name


def _user() -> str:
    user = require_user()
    if not get_service().settings.auth:
        raise BadRequest("There are no sessions under --no-auth.", advice="Start the server without it to log in.")
    return user
