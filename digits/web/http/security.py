"""One check before each request (host, user, what its route needs) and one set of headers after it. See docs/security.md.

Holds: with `auth` on, nothing but the log-in page and static files is shown without a session or a bearer token; what a route
needs beyond that is decided in `access`.
"""

from __future__ import annotations

import hashlib
import ipaddress
import secrets
import socket
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from flask import Flask, Request, Response, g, redirect, request, session
from flask.sessions import SecureCookieSessionInterface
from sqlalchemy.exc import SQLAlchemyError

from digits.config import Settings
from digits.domain.access import Scope
from digits.errors import BadRequest, Unauthorized
from digits.service import Service, accounts, sessions, tokens
from digits.service.sessions import SESSION_DAYS
from digits.web.connections import Connection
from digits.web.http import access, arguments, audit
from digits.web.http.proxies import PROXY_HOST
from digits.web.http.request import HOW_TO_GET_A_TOKEN, get_service, wants_json
from digits.web.serving import admission

STATIC_ENDPOINTS = frozenset({"static", "kept", "bootstrap.static", "vendor", "icon"})
OPEN_ENDPOINTS = STATIC_ENDPOINTS | {
    *("auth.login", "auth.login_json", "auth.log_in", "auth.log_in_json", "auth.logout", "system.health"),
    *("models.netron", "models.netron_file"),  # a package's files for a frame that has no cookies
    *("serving.live", "serving.ready"),  # what an orchestrator asks
}
METRICS = "metrics.metrics"  # open where a setting says so
CSP = (
    "default-src 'self'; script-src 'self' 'nonce-{nonce}'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
    "connect-src 'self'; frame-src 'self'; frame-ancestors 'self'; worker-src 'self'; media-src 'self' blob:; object-src 'none'; "
    "base-uri 'self'; form-action 'self'"
)
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "SAMEORIGIN",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "geolocation=(), microphone=(), payment=(), usb=()",
}


class Sessions(SecureCookieSessionInterface):
    """Flask's signed cookie, for https only where a proxy says that the browser came that way."""

    def get_cookie_secure(self, app: Flask) -> bool:
        return came_by_https()

    def open_session(self, app: Flask, request: Request) -> Any:
        """Without a cookie an empty session, and nothing is made ready to read one: so come programs, often and quickly."""
        has_cookie = self.get_cookie_name(app) in request.cookies
        return super().open_session(app, request) if has_cookie else self.session_class()


def register(app: Flask, service: Service) -> None:
    """Set up sessions, the check before each request and the headers after it."""
    app.session_interface = Sessions()
    app.secret_key = accounts.secret_key(service)
    mark = hashlib.sha256(str(service.jobs_dir.path).encode()).hexdigest()[:8]
    app.config.update(
        SESSION_COOKIE_NAME=f"digits-{mark}",  # cookies do not know ports: two servers on one machine must not share one
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_PATH=f"{service.settings.url_prefix}/",
        PERMANENT_SESSION_LIFETIME=timedelta(days=SESSION_DAYS),
        MAX_CONTENT_LENGTH=service.settings.max_upload_mb * 2**20,
        MAX_FORM_MEMORY_SIZE=32 * 2**20,
    )
    hosts = _known_hosts(service.settings)
    access.guard(service.store.engine)
    app.before_request(lambda: _before(hosts))
    app.after_request(add_headers)
    app.after_request(audit.record_request)
    app.jinja_env.globals.update(csp_nonce=csp_nonce, csrf_token=csrf_token, current_user=lambda: g.get("user", ""))


def came_by_https() -> bool:
    """Whether the browser speaks TLS, to us or to a proxy. Who only claims so gets a cookie that is kept more strictly."""
    forwarded = request.headers.get("X-Forwarded-Proto", "").split(",")[0].strip().lower()
    return request.is_secure or forwarded == "https"


def csp_nonce() -> str:
    """The nonce that inline scripts of this answer carry."""
    if "csp_nonce" not in g:
        g.csp_nonce = secrets.token_urlsafe(16)
    return str(g.csp_nonce)


def csrf_token() -> str:
    """The form token of this session, for forms and for the header `X-CSRF-Token`."""
    if "csrf" not in session:
        session["csrf"] = secrets.token_urlsafe(24)
    return str(session["csrf"])


def add_headers(response: Response) -> Response:
    """The headers of DESIGN promise 4; an answer that brought its own rule keeps it."""
    there = {name.lower() for name, _ in response.headers}
    ours = {**HEADERS, "Content-Security-Policy": CSP.format(nonce=csp_nonce())}
    if not request.endpoint or request.endpoint not in OPEN_ENDPOINTS:
        ours["Cache-Control"] = "private, no-cache"
    response.headers.extend({name: value for name, value in ours.items() if name.lower() not in there})
    return response


def start_session(user: str, stamp: str) -> None:
    """Log `user` in. `stamp` binds the session to a password (or says that the printed address opened it)."""
    secret = sessions.begin(get_service(), user, client_address(), request.user_agent.string)
    session.clear()
    session.permanent = True
    session.update(user=user, stamp=stamp, secret=secret)
    csrf_token()
    g.user, g.by = user, f"session {session_id()}"


def session_id() -> str:
    """The id of the session that the cookie names, as lists of sessions show it; empty where there is none."""
    secret = _secret()
    return sessions.digest(secret)[: sessions.ID_LENGTH] if secret else ""


def client_address() -> str:
    """Where the request comes from: the proxy's word where it is one of `trusted_proxies`."""
    return request.remote_addr or ""


def still_in() -> Callable[[], bool]:
    """A function that says whether who sent this request is still let in; for answers that last longer than a request."""
    service, bearer, secret = get_service(), _bearer(), _secret()
    if not service.settings.auth:
        return lambda: True
    return (lambda: tokens.is_alive(service, bearer)) if bearer else (lambda: sessions.goes_on(service, secret))


def _before(hosts: frozenset[str]) -> Any:
    for name in (request.host, request.environ.get(PROXY_HOST)):
        if name is not None:
            check_host(name, hosts)
    settings = get_service().settings
    scope = _identify(settings)
    _tell_connection(settings)
    if settings.auth and not g.user and not g.get("serve_token"):
        answer = _let_in()
        if answer is not None:
            return answer
    access.check_request(scope, needs_proof=settings.auth and bool(g.user))
    return None


def _tell_connection(settings: Settings) -> None:
    """Let the web server know whom a thread may wait for, before it waits for a body or for somebody to read."""
    connection = request.environ.get("gunicorn.socket")
    if isinstance(connection, Connection) and not connection.known:
        known = not settings.auth or bool(g.user)
        if request.endpoint in STATIC_ENDPOINTS:
            with suppress(SQLAlchemyError):  # a database that is away does not take the style of pages with it
                known = known or bool(_session_user())
        connection.sent_by(client_address(), known=known)


def _identify(settings: Settings) -> Scope | None:
    """Find out who sent the request, and by what this is known; the scope of the bearer token, where there is one."""
    bearer = _bearer()
    if admission.is_serve_token(bearer):
        g.serve_token = admission.let_in(bearer)
        g.user, g.by = "", f"serve token {g.serve_token}"
        return Scope.RUN
    if not settings.auth:
        g.user, g.by = _named_user(), "name"
        return Scope.ADMIN if bearer else None
    if bearer:
        token = tokens.bearer(get_service(), bearer)
        if token is None:
            raise Unauthorized("The bearer token is not known (any more).", advice=HOW_TO_GET_A_TOKEN)
        g.user, g.by = token.user, f"token {token.id}" if token.id else token.label
        return Scope(token.scope)
    g.user = "" if request.endpoint in STATIC_ENDPOINTS else _session_user()
    g.by = f"session {session_id()}"
    return None


def check_host(host: str, known: frozenset[str]) -> None:
    """Raises BadRequest for a name that is not ours: a page elsewhere may have pointed its own name at this machine."""
    name = urlsplit(f"//{host}").hostname or ""
    if name in known or name.endswith(".localhost") or _is_address(name):
        return
    raise BadRequest(
        f"This server is not known as {name[:200]!r}.",
        advice="Use the address that `digits serve` printed, or add the name to the setting allowed_hosts.",
    )


def _bearer() -> str:
    scheme, _, text = request.headers.get("Authorization", "").partition(" ")
    return text.strip() if scheme.lower() == "bearer" else ""


def _session_user() -> str:
    user, stamp = str(session.get("user", "")), str(session.get("stamp", ""))
    if not user:
        return ""
    service = get_service()
    fits = not accounts.any_users(service) if stamp == "first" else stamp != "" and stamp == accounts.fingerprint(service, user)
    return user if fits and _session_goes_on(service, user) else ""


def _session_goes_on(service: Service, user: str) -> bool:
    if "secret" in session:
        return sessions.use(service, user, _secret())
    return bool(_secret()) and sessions.adopt(service, user, _secret(), client_address(), request.user_agent.string)


def _secret() -> str:
    """What tells this session from others. Versions that wrote none down gave each a form token of its own."""
    return str(session.get("secret") or session.get("csrf", "")) if session.get("user") else ""


def _named_user() -> str:
    """Without log-in: the argument `username`, else the cookie of that name (R 8.4)."""
    if request.endpoint in OPEN_ENDPOINTS or admission.is_opened_by_token():  # of those the body is not read yet
        return request.cookies.get("username", "")
    name = arguments.given("username") or request.cookies.get("username", "")
    return accounts.check_name(name) if name else ""


def _let_in() -> Any:
    """Nobody is logged in: open the first session for the printed address, let open pages pass, refuse the rest."""
    token = request.args.get("token", "")
    if token and request.method == "GET" and accounts.opens_first_session(get_service(), token):
        start_session(accounts.default_user(), "first")
        audit.record_login("log in", accounts.default_user(), "printed address")
        return redirect(_without_token())
    if request.endpoint in OPEN_ENDPOINTS or (request.endpoint == METRICS and get_service().settings.metrics_open):
        return None
    if wants_json():
        raise Unauthorized("You are not logged in.", advice=HOW_TO_GET_A_TOKEN)
    raise Unauthorized("You are not logged in.")


def _without_token() -> str:
    rest = "&".join(part for part in request.query_string.decode().split("&") if not part.startswith("token="))
    return f"{request.script_root}{request.path}" + (f"?{rest}" if rest else "")


def _known_hosts(settings: Settings) -> frozenset[str]:
    names = {"localhost", settings.host, socket.gethostname(), socket.getfqdn(), settings.server_name}
    names.update(name.strip() for name in settings.allowed_hosts.split(","))
    return frozenset(name.lower() for name in names if name)


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
