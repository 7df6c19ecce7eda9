"""One check before each request (host, user, origin) and one set of headers after it. See docs/security.md.

Holds: with `auth` on, nothing but the log-in page and static files is shown without a session or a bearer token; a
request that changes something and comes with a cookie must prove that it comes from our own pages; bearer requests are
exempt, because no browser adds a bearer token by itself.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import secrets
import socket
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from flask import Flask, Response, g, redirect, request, session
from flask.sessions import SecureCookieSessionInterface

from digits.config import Settings
from digits.errors import BadRequest, Forbidden, Unauthorized
from digits.service import Service, accounts
from digits.web.http import arguments
from digits.web.http.request import HOW_TO_GET_A_TOKEN, get_service, wants_json

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
OPEN_ENDPOINTS = frozenset(
    {"static", "bootstrap.static", "vendor", "icon", "auth.login", "auth.login_json", "auth.logout", "system.health"}
    | {"models.netron", "models.netron_file"}  # a package's files for a frame that has no cookies
)
SESSION_DAYS = 30
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
    app.before_request(lambda: _before(hosts))
    app.after_request(add_headers)
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
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    response.headers.setdefault("Content-Security-Policy", CSP.format(nonce=csp_nonce()))
    if not request.endpoint or request.endpoint not in OPEN_ENDPOINTS:
        response.headers.setdefault("Cache-Control", "private, no-cache")
    return response


def start_session(user: str, stamp: str) -> None:
    """Log `user` in. `stamp` binds the session to a password (or says that the printed address opened it)."""
    session.clear()
    session.permanent = True
    session.update(user=user, stamp=stamp)
    csrf_token()
    g.user = user


def _before(hosts: frozenset[str]) -> Any:
    check_host(request.host, hosts)
    settings = get_service().settings
    bearer = _bearer()
    if not settings.auth:
        g.user = _named_user()
    else:
        g.user = _bearer_user(bearer) if bearer else _session_user()
    if request.method not in SAFE_METHODS and not bearer:
        check_origin(needs_proof=settings.auth and bool(g.user))
    if settings.auth and not g.user:
        return _let_in()
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


def check_origin(*, needs_proof: bool) -> None:
    """Raises Forbidden when a changing request comes from another site, or (with `needs_proof`) cannot show that it does not."""
    token = request.headers.get("X-CSRF-Token") or request.form.get("csrf_token", "")
    if token and hmac.compare_digest(str(session.get("csrf", "")).encode(), token.encode()):
        return
    proven = "Sec-Fetch-Site" in request.headers or "Origin" in request.headers
    if not comes_from_here() or (needs_proof and not proven):
        raise Forbidden(
            "The request does not come from a page of this server.",
            advice="Reload the page and try again; a script sends `Authorization: Bearer TOKEN` instead of a cookie.",
        )


def comes_from_here() -> bool:
    """Whether the browser says that a page of this server, or the user, sent the request; true where it says nothing."""
    site, origin = request.headers.get("Sec-Fetch-Site"), request.headers.get("Origin")
    if site is not None:
        return site in ("same-origin", "none")
    return origin is None or urlsplit(origin).netloc == request.host


def _bearer() -> str:
    scheme, _, text = request.headers.get("Authorization", "").partition(" ")
    return text.strip() if scheme.lower() == "bearer" else ""


def _bearer_user(text: str) -> str:
    user = accounts.token_user(get_service(), text)
    if not user:
        raise Unauthorized("The bearer token is not known (any more).", advice=HOW_TO_GET_A_TOKEN)
    return user


def _session_user() -> str:
    user, stamp = session.get("user", ""), session.get("stamp", "")
    if not user or request.endpoint in ("static", "bootstrap.static", "vendor", "icon"):
        return ""
    if stamp == "first":
        return "" if accounts.any_users(get_service()) else str(user)
    return str(user) if stamp and stamp == accounts.fingerprint(get_service(), user) else ""


def _named_user() -> str:
    """Without log-in: the argument `username`, else the cookie of that name (R 8.4)."""
    if request.endpoint in OPEN_ENDPOINTS:
        return request.cookies.get("username", "")
    name = arguments.given("username") or request.cookies.get("username", "")
    return accounts.check_name(name) if name else ""


def _let_in() -> Any:
    """Nobody is logged in: open the first session for the printed address, let open pages pass, refuse the rest."""
    token = request.args.get("token", "")
    if token and request.method == "GET" and accounts.opens_first_session(get_service(), token):
        start_session(accounts.default_user(), "first")
        return redirect(_without_token())
    if request.endpoint in OPEN_ENDPOINTS:
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
