"""Fetching pictures from http(s) addresses: off unless DIGITS_ALLOW_URLS is set, never to private addresses, no redirects."""

from __future__ import annotations

import http.client
import ipaddress
import os
import socket
import ssl
from urllib.parse import urlsplit

from digits.errors import LoadImageError
from digits.utils.values import boolean

TIMEOUT_SECONDS = 6.0
MAX_BYTES = 64 * 2**20


def fetch_if_allowed(url: str) -> bytes:
    """`fetch(url)` where the variable DIGITS_ALLOW_URLS permits it, else a LoadImageError that names the setting."""
    if not boolean(os.environ.get("DIGITS_ALLOW_URLS", "")):
        raise LoadImageError(
            f"{url} is not fetched: addresses are switched off.",
            advice="Upload the picture, or start the server with the setting allow_urls (DIGITS_ALLOW_URLS=1).",
        )
    return fetch(url)


def fetch(url: str) -> bytes:
    """The body behind a public http(s) address, at most `MAX_BYTES`.

    The name is resolved once and the connection goes to that very address, so a name that changes its mind cannot lead
    inside. Raises LoadImageError for private, local or unknown hosts, redirects, time-outs and answers other than 200.
    """
    try:
        parts = urlsplit(url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError as error:
        raise LoadImageError(f"{url} is not an http(s) address: {error}.") from error
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise LoadImageError(f"{url} is not an http(s) address.")
    try:
        connection = _connect(parts.scheme, parts.hostname, port, public_address(parts.hostname, port))
        try:
            target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
            connection.request("GET", target, headers={"User-Agent": "digits"})
            return _body(url, connection.getresponse())
        finally:
            connection.close()
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise LoadImageError(f"{url} cannot be fetched: {error}.") from error


def public_address(host: str, port: int) -> str:
    """The first address of `host`. Raises LoadImageError when any of its addresses is not public."""
    try:
        found = {info[4][0] for info in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)}
    except (OSError, UnicodeError) as error:
        raise LoadImageError(f"The host {host} is unknown: {error}.") from error
    for text in found:
        if not ipaddress.ip_address(str(text).partition("%")[0]).is_global:
            raise LoadImageError(f"{host} leads to {text}, which is not a public address; only public ones are fetched.")
    return str(sorted(found)[0])


def _connect(scheme: str, host: str, port: int, address: str) -> http.client.HTTPConnection:
    raw = socket.create_connection((address, port), timeout=TIMEOUT_SECONDS)
    connection = http.client.HTTPConnection(host, port, timeout=TIMEOUT_SECONDS)
    try:
        connection.sock = ssl.create_default_context().wrap_socket(raw, server_hostname=host) if scheme == "https" else raw
    except OSError:
        raw.close()
        raise
    return connection


def _body(url: str, response: http.client.HTTPResponse) -> bytes:
    if response.status != 200:
        raise LoadImageError(
            f"{url} answered {response.status} {response.reason}; 200 was expected (redirects are not followed)."
        )
    body = response.read(MAX_BYTES + 1)
    if len(body) > MAX_BYTES:
        raise LoadImageError(f"{url} is larger than {MAX_BYTES // 2**20} MiB.")
    return body
