"""Logging in and out: accounts and the printed token, or (under `--no-auth`) just a name as the original had it (R 8.4)."""

from __future__ import annotations

import threading
import time
from typing import Any
from urllib.parse import urlsplit

from flask import Blueprint, g, make_response, redirect, render_template, request, session, url_for

from digits.errors import BadRequest, DigitsError, Unauthorized
from digits.service import accounts
from digits.web.http import arguments
from digits.web.http.request import HOW_TO_GET_A_TOKEN, describes, get_service, route, wants_json
from digits.web.http.security import came_by_https, start_session

FREE_TRIES = 5
LONGEST_PAUSE = 60.0
COOKIE_DAYS = 30
ACCOUNTS_NOW = "This server has accounts now, so the address with the token opens it no more. Log in with your name and password."
OLD_TOKEN = "That token is not the one of this server: each start prints a new one."


class TooManyTries(DigitsError):
    """Somebody guesses passwords."""

    status = 429


class Throttle:
    """Counts failed log-ins per name and per address; after five, each further try must wait twice as long as the last."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._failures: dict[str, tuple[int, float]] = {}

    def check(self, *keys: str, now: float | None = None) -> None:
        """Raises TooManyTries while one of the keys must still wait."""
        now = time.monotonic() if now is None else now
        with self._lock:
            wait = max((self._wait(key, now) for key in keys), default=0.0)
        if wait > 0:
            raise TooManyTries("Too many failed log-ins.", advice=f"Try again in {int(wait) + 1} s.")

    def failed(self, *keys: str, now: float | None = None) -> None:
        now = time.monotonic() if now is None else now
        with self._lock:
            if len(self._failures) > 10_000:
                self._failures.clear()
            for key in keys:
                self._failures[key] = (self._failures.get(key, (0, 0.0))[0] + 1, now)

    def succeeded(self, *keys: str) -> None:
        with self._lock:
            for key in keys:
                self._failures.pop(key, None)

    def _wait(self, key: str, now: float) -> float:
        count, last = self._failures.get(key, (0, 0.0))
        if count < FREE_TRIES:
            return 0.0
        return last + min(LONGEST_PAUSE, 2.0 ** (count - FREE_TRIES)) - now


def blueprint() -> Blueprint:
    """`/login` and `/logout`."""
    area = Blueprint("auth", __name__)
    throttle = Throttle()

    @describes(
        form={
            "username": "The account.",
            "password": "Its password.",
            "token": "Instead of both: the token of the printed address.",
            "next": "The path to go to afterwards.",
        }
    )
    def login() -> Any:
        if not get_service().settings.auth:
            return _name_yourself()
        if request.method == "GET":
            return _page(_why())
        return _log_in(throttle)

    route(area, "/login", methods=("GET", "POST"))(login)
    route(area, "/logout", methods=("GET", "POST"), json_twin=False)(logout)
    return area


def logout() -> Any:
    """Forget the session and the name, then go to `next` or home."""
    session.clear()
    response = redirect(next_address())
    response.delete_cookie("username", path=request.script_root or "/")
    return response


def next_address() -> str:
    """The argument `next` when it is a path on this server, else home."""
    text = _without_token(arguments.given("next") or "")
    parts = urlsplit(text)
    local = text.startswith("/") and not text.startswith(("//", "/\\")) and not parts.netloc and not parts.scheme
    return text if local and "\\" not in text and not any(ord(c) < 32 for c in text) else url_for("home.index")


def _name_yourself() -> Any:
    name = arguments.given("username")
    if name is None:
        return _page("")
    try:
        accounts.check_name(name)
    except BadRequest as error:
        if wants_json():
            raise
        return _page(str(error), 400)
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
    name, password = request.form.get("username", ""), request.form.get("password")
    token = request.form.get("token", "")
    if not password and not token:
        return _refuse("A name alone does not log you in here.")
    keys = (f"name:{name}", f"address:{request.remote_addr}")
    throttle.check(*keys)
    stamp, user = _credentials(name, password or "", token)
    if not user:
        throttle.failed(*keys)
        return _refuse("That name and password do not belong together." if password else "That is not the token.")
    throttle.succeeded(*keys)
    start_session(user, stamp)
    return redirect(next_address())


def _credentials(name: str, password: str, token: str) -> tuple[str, str]:
    service = get_service()
    if token:
        return "first", accounts.default_user() if accounts.opens_first_session(service, token) else ""
    return accounts.fingerprint(service, name), name if accounts.verify(service, name, password) else ""


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
