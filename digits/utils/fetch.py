"""Fetching from http(s) addresses: pictures where DIGITS_ALLOW_URLS is set, never from private addresses; files of the stores
that a setting names, wherever these are. Redirects are not followed."""

from __future__ import annotations

import contextlib
import errno
import http.client
import ipaddress
import os
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from typing import IO
from urllib.parse import urlsplit

from digits.errors import LoadImageError
from digits.utils.values import boolean, sizeof_fmt

TIMEOUT_SECONDS = 6.0
MAX_BYTES = 64 * 2**20
ALL_SECONDS = 60.0  # for a whole answer, however slowly it comes
LEAST_RATE = 1000  # bytes a second of a long file, after the first minute
CHUNK = 1 << 18
NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
SITE_LOCAL = ipaddress.IPv6Network("fec0::/10")  # of an older time


def fetch_if_allowed(url: str) -> bytes:
    """`fetch(url)` where the variable DIGITS_ALLOW_URLS permits it, else a LoadImageError that names the setting."""
    if not boolean(os.environ.get("DIGITS_ALLOW_URLS", "")):
        raise LoadImageError(
            f"{url} is not fetched: addresses are switched off.",
            advice="Upload the picture, or start the server with the setting allow_urls (DIGITS_ALLOW_URLS=1).",
        )
    return fetch(url)


def fetch(url: str, *, private: bool = False, most: int = MAX_BYTES, seconds: float = 0) -> bytes:
    """The body behind an http(s) address, at most `most` bytes in at most `seconds` (0: `ALL_SECONDS`): a public one, unless
    `private` is set.

    The name is resolved once and the connection goes to that very address, so a name that changes its mind cannot lead
    inside. Raises LoadImageError for private, local or unknown hosts, redirects, time-outs and answers other than 200.
    """
    with _opened(url, private, seconds or ALL_SECONDS) as response:
        return _body(url, response, most)


def download(
    url: str, target: IO[bytes], *, private: bool = False, most: int, on_bytes: Callable[[int], None] = lambda count: None
) -> int:
    """Write what is behind an http(s) address to `target`, however long that takes as long as something comes; the number of
    bytes. `on_bytes` gets the number so far and may raise. Raises LoadImageError as `fetch` does, and for more than `most`."""
    began, count = time.monotonic(), 0
    with _opened(url, private, 0) as response:
        _check_answer(url, response)
        while chunk := response.read1(CHUNK):
            count += len(chunk)
            if count > most:
                raise LoadImageError(f"{url} is larger than {sizeof_fmt(most)}.")
            seconds = time.monotonic() - began
            if seconds > ALL_SECONDS and count < LEAST_RATE * seconds:
                raise LoadImageError(f"{url} comes too slowly: {count:,} bytes in {seconds:.0f} s.")
            target.write(chunk)
            on_bytes(count)
        if response.length:
            raise LoadImageError(f"{url} broke off after {count:,} bytes.")
    return count


@contextlib.contextmanager
def _opened(url: str, private: bool, seconds: float) -> Iterator[http.client.HTTPResponse]:
    """The answer of an address; after `seconds` (0: never) nothing more of it is read. What goes wrong meanwhile is a
    LoadImageError."""
    try:
        parts = urlsplit(url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError as error:
        raise LoadImageError(f"{url} is not an http(s) address: {error}.") from error
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise LoadImageError(f"{url} is not an http(s) address.")
    try:
        addresses = [parts.hostname] if private else public_addresses(parts.hostname, port)
        connection = _connect(parts.scheme, parts.hostname, port, addresses)
        with contextlib.closing(connection), _until(connection.sock, seconds) as is_late:
            target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
            connection.request("GET", target, headers={"User-Agent": "digits"})
            yield connection.getresponse()
            if is_late.is_set():
                raise LoadImageError(f"{url} was not there whole after {seconds:g} s.")
    except (OSError, ValueError, http.client.HTTPException) as error:
        if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT):  # the disk's, not the address's
            raise
        raise LoadImageError(f"{url} cannot be fetched: {error}.") from error


def post(url: str, body: bytes, headers: dict[str, str], *, private: bool = False) -> tuple[int, str]:
    """Send `body` to an http(s) address: status and reason of the answer, whatever they are; redirects are not followed.

    As `fetch`, it never reaches a private address unless `private` is set, and takes a minute at most. Raises OSError where
    nobody answers, LoadImageError for an address that is not reached.
    """
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    addresses = [host] if private else public_addresses(host, port)
    try:
        connection = _connect(parts.scheme, host, port, addresses)
        with contextlib.closing(connection), _until(connection.sock, ALL_SECONDS):
            target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
            connection.request("POST", target, body=body, headers=headers)
            response = connection.getresponse()
            return response.status, response.reason
    except (ValueError, http.client.HTTPException) as error:
        raise OSError(f"{type(error).__name__}: {error}") from error


def public_addresses(host: str, port: int) -> list[str]:
    """The addresses of `host`, the one to try first first. Raises LoadImageError when any of them is not public."""
    try:
        found = list(dict.fromkeys(str(info[4][0]) for info in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)))
    except (OSError, UnicodeError) as error:
        raise LoadImageError(f"The host {host} is unknown: {error}.") from error
    for text in found:
        if not is_public(text):
            raise LoadImageError(f"{host} leads to {text}, which is not a public address; only public ones are fetched.")
    return found


def is_public(text: str) -> bool:
    """Whether an address is one of the public network: not private, local, reserved or for many, and none that only carries
    such a one for IPv4 (mapped, NAT64, 6to4, Teredo)."""
    address = ipaddress.ip_address(text.partition("%")[0])
    if isinstance(address, ipaddress.IPv4Address):
        return _is_open(address)
    if address.ipv4_mapped is not None or address in NAT64:  # the IPv4 address is reached
        return _is_open(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
    carried = [address.sixtofour, *(address.teredo or ())]
    return _is_open(address) and address not in SITE_LOCAL and all(_is_open(one) for one in carried if one is not None)


def _is_open(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    closed = address.is_multicast or address.is_reserved or address.is_unspecified or address.is_link_local
    return address.is_global and not closed


def _connect(scheme: str, host: str, port: int, addresses: list[str]) -> http.client.HTTPConnection:
    """A connection to the first of the addresses that takes one: a machine without IPv6 reaches names that have both."""
    for address in addresses[:-1]:
        with contextlib.suppress(OSError):
            raw = socket.create_connection((address, port), timeout=TIMEOUT_SECONDS)
            break
    else:
        raw = socket.create_connection((addresses[-1], port), timeout=TIMEOUT_SECONDS)
    connection = http.client.HTTPConnection(host, port, timeout=TIMEOUT_SECONDS)
    try:
        connection.sock = ssl.create_default_context().wrap_socket(raw, server_hostname=host) if scheme == "https" else raw
    except OSError:
        raw.close()
        raise
    return connection


@contextlib.contextmanager
def _until(connection: socket.socket, seconds: float) -> Iterator[threading.Event]:
    """While the block runs: after `seconds` (0: never) nothing more is read, however slowly it comes; the event says that this
    happened."""
    is_late = threading.Event()
    if not seconds:
        yield is_late
        return

    def end() -> None:
        is_late.set()
        with contextlib.suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()
    try:
        yield is_late
    finally:
        timer.cancel()


def _check_answer(url: str, response: http.client.HTTPResponse) -> None:
    if response.status != 200:
        raise LoadImageError(
            f"{url} answered {response.status} {response.reason}; 200 was expected (redirects are not followed)."
        )


def _body(url: str, response: http.client.HTTPResponse, most: int) -> bytes:
    _check_answer(url, response)
    body = response.read(most + 1)
    if len(body) > most:
        raise LoadImageError(f"{url} is larger than {sizeof_fmt(most)}.")
    return body
