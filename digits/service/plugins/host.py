"""Asking the plugin host: what is installed, forms, instances, views. Every question has a time-out.

Holds: a plugin that fails or hangs costs the one answer it was asked for, as a PluginError with its traceback. A host that
is just being restarted is waited for; a question that only shows something is asked once more when the host dies over it.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from digits.errors import BadRequest, DigitsError, FormErrors, NotFound, PluginError
from digits.ipc.messages import Message, UnixConnection, pack, unpack
from digits.ipc.plugin_host_client import socket_of
from digits.service import Service

FORM_SECONDS = 20.0
CREATE_SECONDS = 300.0
VIEW_SECONDS = 120.0
ENCODE_SECONDS = 300.0
RESTART_SECONDS = 20.0
LIST_SECONDS = 5.0
TABLE_SECONDS = 8.0
MENU_SECONDS = 0.5
POLL_SECONDS = 0.1
SHOWS_ONLY = frozenset({"dataset-form", "inference-form", "view-form", "facts"})
DEFAULT_VIEW = "all-raw-data"


class PluginFailure(PluginError):
    """A plugin failed in the host. `trace` is its traceback; `timed_out` says that it never answered."""

    def __init__(self, message: str, *, advice: str = "", trace: str = "", timed_out: bool = False) -> None:
        super().__init__(message, advice=advice)
        self.trace = trace
        self.timed_out = timed_out


class HostAway(DigitsError):
    """The plugin host cannot be reached."""

    status = 503


@dataclass
class _Listing:
    """The last known table of plugins; `at` is when it was asked for (monotonic clock)."""

    rows: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    at: float = -LIST_SECONDS
    good_for: float = LIST_SECONDS
    lock: threading.Lock = field(default_factory=threading.Lock)


_LISTINGS: dict[str, _Listing] = {}


def table(service: Service, timeout: float = TABLE_SECONDS) -> dict[str, list[dict[str, Any]]]:
    """All plugins by kind (`data`, `view`), rows as `digits.extensions.loader.Extension.to_json`. Raises HostAway.

    Those whose import takes longer than `timeout` are unusable rows that say so.
    """
    with contextlib.suppress(HostAway):
        return _rows(_listing(service, "/plugins", timeout))
    return _rows(_listing(service, "/plugins?now", timeout))


def known(service: Service) -> dict[str, list[dict[str, Any]]]:
    """The table of plugins as it was at most a few seconds ago; never waits long, and is empty before the host's first answer."""
    listing = _LISTINGS.setdefault(str(service.jobs_dir.path), _Listing())
    if time.monotonic() - listing.at < listing.good_for or not listing.lock.acquire(blocking=False):
        return listing.rows
    try:
        with contextlib.suppress(DigitsError):
            found = _listing(service, "/plugins?now", MENU_SECONDS)
            listing.good_for = LIST_SECONDS if found["complete"] else MENU_SECONDS
            listing.rows, listing.at = _rows(found), time.monotonic()
    finally:
        listing.lock.release()
    return listing.rows


def _listing(service: Service, address: str, timeout: float) -> dict[str, Any]:
    status, _, body = _get(service, address, timeout)
    if status != 200:
        raise HostAway(f"The plugin host answered {status}.", advice="Its log says more.")
    return dict(json.loads(body))


def _rows(found: Mapping[str, Any]) -> dict[str, list[dict[str, Any]]]:
    return {kind: found[kind] for kind in ("data", "view")}


def forget(service: Service) -> None:
    """Ask anew the next time: something was installed."""
    _LISTINGS.pop(str(service.jobs_dir.path), None)


def menu(service: Service) -> dict[str, list[dict[str, Any]]]:
    """Category -> usable data sources to show in the menu, in the order of the table."""
    result: dict[str, list[dict[str, Any]]] = {}
    for row in known(service).get("data", []):
        if row["ok"] and (row["visible"] or service.settings.all_extensions):
            result.setdefault(row["category"], []).append(row)
    return result


def views(service: Service) -> list[dict[str, Any]]:
    """The usable views to choose from, the default one first."""
    rows = [r for r in known(service).get("view", []) if r["ok"] and (r["visible"] or service.settings.all_extensions)]
    return sorted(rows, key=lambda row: row["id"] != DEFAULT_VIEW)


def ask(
    service: Service,
    operation: str,
    extension_id: str,
    header: Mapping[str, Any],
    arrays: Mapping[str, Any] | None = None,
    timeout: float = FORM_SECONDS,
) -> Message:
    """One question to the host about one plugin.

    Raises FormErrors for a form that does not validate, NotFound for an unknown plugin, PluginFailure when the plugin fails
    or does not answer within `timeout` seconds, HostAway when no host runs.
    """
    body = pack(Message({**header, "limit": timeout}, dict(arrays or {})))
    tries = 2 if operation in SHOWS_ONLY else 1
    while True:
        tries -= 1
        try:
            return _checked(_post(service, f"/do/{operation}/{_quoted(extension_id)}", body, timeout))
        except TimeoutError as error:
            raise PluginFailure(
                f"The plugin {extension_id} did not answer within {timeout:g} seconds.",
                advice="Try again; if it stays so, its author must look at what it does there.",
                timed_out=True,
            ) from error
        except (OSError, http.client.HTTPException) as error:
            if not tries:
                raise PluginFailure(
                    f"The plugin host stopped while the plugin {extension_id} was at work ({type(error).__name__}).",
                    advice="The plugin may have ended its process; the host is started again by itself.",
                ) from error


def static_file(service: Service, kind: str, extension_id: str, name: str) -> tuple[bytes, str]:
    """A static file of a plugin and its content type. Raises NotFound."""
    address = f"/static/{_quoted(kind)}/{_quoted(extension_id)}/{quote(name)}"
    status, content_type, body = _get(service, address, FORM_SECONDS)
    if status != 200:
        raise NotFound(f"The plugin {extension_id} has no static file {name!r}.")
    return body, content_type


def _wait_for_host(service: Service, timeout: float) -> contextlib.closing[UnixConnection]:
    """A connection, as soon as a host listens. Raises HostAway."""
    deadline = time.monotonic() + min(timeout, RESTART_SECONDS)
    while True:
        path = socket_of(service.jobs_dir)
        connection = UnixConnection(path, timeout)
        try:
            if not path:
                raise FileNotFoundError("no plugin host has been started")
            connection.connect()
            return contextlib.closing(connection)
        except OSError as error:
            connection.close()
            if time.monotonic() > deadline:
                raise HostAway(
                    f"The plugin host cannot be reached: {error}.", advice="It runs beside the server: `digits serve`."
                ) from error
        time.sleep(POLL_SECONDS)


def _post(service: Service, address: str, body: bytes, timeout: float) -> Message:
    with _wait_for_host(service, timeout) as connection:
        connection.request("POST", address, body=body)
        answer = connection.getresponse()
        content = answer.read()
    if answer.status != 200:
        raise HostAway(f"The plugin host answered {answer.status} {answer.reason}.", advice="Its log says more.")
    return unpack(content)


def _checked(message: Message) -> Message:
    header = message.header
    if header.get("ok"):
        return message
    if header.get("errors"):
        raise FormErrors(header["errors"])
    if header.get("status") == NotFound.status:
        raise NotFound(str(header["message"]), advice=str(header.get("advice", "")))
    failure = PluginFailure(
        str(header.get("message", "")), advice=str(header.get("advice", "")), trace=str(header.get("trace", ""))
    )
    if header.get("status") == BadRequest.status:  # the files or fields are at fault, not the plugin
        failure.status = BadRequest.status
    raise failure


def _get(service: Service, address: str, timeout: float) -> tuple[int, str, bytes]:
    """Status, content type and body. Raises HostAway, also when the host goes away over it."""
    try:
        with _wait_for_host(service, timeout) as connection:
            connection.request("GET", address)
            answer = connection.getresponse()
            return answer.status, answer.headers.get("Content-Type", "application/octet-stream"), answer.read()
    except (OSError, http.client.HTTPException) as error:
        raise HostAway(
            f"The plugin host went away: {type(error).__name__}: {error}.", advice="It is started again; try again."
        ) from error


def _quoted(text: str) -> str:
    return quote(text, safe="")
