"""Logging in and out: accounts and the printed token, or (under `--no-auth`) just a name as the original had it (R 8.4)."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from flask import Blueprint, g, make_response, redirect, render_template, request, session, url_for

from digits.domain.access import Scope
from digits.errors import BadRequest, Unauthorized
from digits.service import accounts, sessions
from digits.web.http import access, arguments, audit
from digits.web.http.access import needs
from digits.web.http.request import HOW_TO_GET_A_TOKEN, describes, get_service, route, wants_json
from digits.web.http.security import came_by_https, client_address, session_id, start_session
from digits.web.http.throttle import Throttle, TooManyTries, keys_of

COOKIE_DAYS = 30
LONGEST_PASSWORD = 4096
CREDENTIALS = {
    "username": "The account.",
    "password": "Its password.",
    "token": "Instead of both: the token of the printed address.",
    "next": "The path to go to afterwards.",
}
ACCOUNTS_NOW = "This server has accounts now, so the address with the token opens it no more. Log in with your name and password."
OLD_TOKEN = "That token is not the one of this server: each start prints a new one."


def blueprint() -> Blueprint:
    """`/login` and `/logout`."""
    area = Blueprint("auth", __name__)
    throttle = Throttle()

    @describes(form=CREDENTIALS)
    @needs(Scope.RUN, recorded=False)  # it writes its own lines
    def log_in() -> Any:
        """Log in by an account, by the token of the printed address, or (under --no-auth) by a name."""
        return _log_in(throttle) if get_service().settings.auth else _name_yourself()

    route(area, "/login")(login)
    route(area, "/login", methods=("POST",))(log_in)
    route(area, "/logout", methods=("GET", "POST"), json_twin=False)(logout)
    return area


@describes(arguments={"next": "The path to go to afterwards.", "username": "Under --no-auth: the name to be known by."})
def login() -> Any:
    """The log-in page; under --no-auth a name in the address logs in, as scripts of the original do it."""
    return _page(_why()) if get_service().settings.auth else _name_yourself()


def logout() -> Any:
    """End the session and forget the name, then go to `next` or home."""
    if get_service().settings.auth and g.user and session_id():
        sessions.end(get_service(), g.user, session_id())
    session.clear()
    response = redirect(next_address())
    response.delete_cookie("username", path=request.script_root or "/")
    return response


def next_address() -> str:
    """The argument `next` when it is a path on this server that only reads, else home: a link on another site may have brought
    it, and what follows a log-in comes from a page of ours."""
    text = _without_token(arguments.text("next"))
    parts = urlsplit(text)
    local = text.startswith("/") and not text.startswith(("//", "/\\")) and not parts.netloc and not parts.scheme
    plain = local and "\\" not in text and not any(ord(c) < 32 for c in text)
    return text if plain and access.only_reads_at(parts.path) else url_for("home.index")


def _name_yourself() -> Any:
    name = arguments.given("username")
    if name is None:
        return _page("")
    access.check_change()
    try:
        accounts.check_name(name)
    except BadRequest as error:
        if wants_json():
            raise
        return _page(str(error), 400)
    audit.record_login("log in", name, "name")
    response = make_response(redirect(next_address()))
    seconds = COOKIE_DAYS * 86400
    response.set_cookie(
        "username",
        name,
        max_age=seconds,
        secure=came_by_https(),
        httponly=True,
        samesite="Lax",
        path=request.script_root or "/",
    )
    return response


def _log_in(throttle: Throttle) -> Any:
    service, address = get_service(), client_address()
    name, password, token = (request.form.get(field, "") for field in ("username", "password", "token"))
    if not password and not token:
        return _refuse("A name alone does not log you in here.")
    name = name if accounts.is_name(name) and not token else ""
    keys = keys_of(name, address, was_in=bool(name) and sessions.was_in(service, name, address))
    by = "printed address" if token else "password"
    try:
        throttle.begin(*keys)
    except TooManyTries as error:
        if error.first:
            audit.record_login("log-in refused", name, by, result="too many tries")
        raise
    stamp, user = _credentials(name, password, token)
    if not user:
        audit.record_login("log-in failed", name, by)
        return _refuse("That is not the token." if token else "That name and password do not belong together.")
    throttle.succeeded(*keys)
    start_session(user, stamp)
    audit.record_login("log in", user, by, session=session_id())
    return redirect(next_address())


def _credentials(name: str, password: str, token: str) -> tuple[str, str]:
    service = get_service()
    if token:
        return "first", accounts.default_user() if accounts.opens_first_session(service, token) else ""
    right = len(password) <= LONGEST_PASSWORD and accounts.verify(service, name, password)
    return (accounts.fingerprint(service, name), name) if right else ("", "")


def _why() -> str:
    """The message for somebody whom the printed address did not let in (any more)."""
    sent_token = _without_token(arguments.given("next") or "") != (arguments.given("next") or "")
    if accounts.any_users(get_service()):
        return ACCOUNTS_NOW if sent_token or session.get("stamp") == "first" else ""
    return OLD_TOKEN if sent_token else ""


def _without_token(address: str) -> str:
    path, mark, query = address.partition("?")
    rest = "&".join(part for part in query.split("&") if not part.startswith("token="))
    return f"{path}?{rest}" if mark and rest else path


def _refuse(message: str) -> Any:
    if wants_json() or "password" not in request.form and "token" not in request.form:
        raise Unauthorized(message, advice=HOW_TO_GET_A_TOKEN)
    return _page(message, 401)


def _page(message: str, status: int = 200) -> Any:
    settings = get_service().settings
    has_accounts = settings.auth and accounts.any_users(get_service())
    g.user = ""
    next_ = _without_token(arguments.given("next") or "")
    page = render_template("login.html", message=message, has_accounts=has_accounts, next=next_)
    return page, status
