"""Asking the plugin host: what is installed, forms, instances, views. Every question has a time-out, at most the setting
request_seconds.

Holds: a plugin that fails or hangs costs the one answer that was requested, as a PluginError with its traceback. A host that
is just being restarted is waited for; a request that only shows something is repeated once when the host dies over it.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from digits.errors import DigitsError, LimitExceeded, PluginFailure, Unavailable
from digits.ipc.messages import CommunicationError, Message, NoAnswerInTime
from digits.ipc.plugin_host_client import HostAway, call, socket_of
from digits.service import Service

FORM_SECONDS = 20.0
VIEW_SECONDS = 120.0
LIST_SECONDS = 5.0
TABLE_SECONDS = 8.0
TABLE_LIMIT = 600.0  # importing many plugins for the first time is no hang
MENU_SECONDS = 0.5
PICTURE_SECONDS = 0.5  # of a page with many: none of them waits longer for a host that nobody started
FIRST_SECONDS = 4.0  # for who needs the table: the host imports plugins when it is asked for the first time
SHOWS_ONLY = frozenset({"dataset-form", "inference-form", "view-form", "view-check"})
DEFAULT_VIEW = "all-raw-data"


@dataclass
class _Listing:
    """The last known table of plugins; `at` is when it was requested (monotonic clock)."""

    rows: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    at: float = -LIST_SECONDS
    good_for: float = LIST_SECONDS
    complete: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)


_LISTINGS: dict[str, _Listing] = {}


def table(service: Service, timeout: float = TABLE_SECONDS) -> dict[str, list[dict[str, Any]]]:
    """All plugins by kind (`data`, `view`), rows as `digits.extensions.loader.Extension.to_json`. Raises HostAway.

    Those whose import takes longer than `timeout` are unusable rows that say so.
    """
    with contextlib.suppress(HostAway):
        return _rows(_listing(service, timeout, now=False))
    return _rows(_listing(service, timeout))


def known(service: Service, *, patient: bool = False) -> dict[str, list[dict[str, Any]]]:
    """The table of plugins as it was at most a few seconds ago; never waits long, and is empty before the host's first answer,
    for which the `patient` wait some seconds."""
    listing = _LISTINGS.setdefault(str(service.jobs_dir.path), _Listing())
    first = patient and not listing.rows and bool(socket_of(service.jobs_dir))
    is_fresh = time.monotonic() - listing.at < listing.good_for
    if (is_fresh and not first) or not listing.lock.acquire(timeout=FIRST_SECONDS if first else 0):
        return listing.rows
    try:
        if first and not listing.rows:
            with contextlib.suppress(DigitsError):
                _keep(listing, _listing(service, FIRST_SECONDS, now=False))
        if not listing.rows or not first:
            with contextlib.suppress(DigitsError):
                _keep(listing, _listing(service, MENU_SECONDS))
    finally:
        listing.lock.release()
    return listing.rows


def _keep(listing: _Listing, found: Mapping[str, Any]) -> None:
    listing.good_for = LIST_SECONDS if found["complete"] else MENU_SECONDS
    listing.rows, listing.at, listing.complete = _rows(found), time.monotonic(), bool(found["complete"])


def is_complete(service: Service) -> bool:
    """Whether the table that is known holds all plugins; while the host imports them it does not."""
    return _LISTINGS.get(str(service.jobs_dir.path), _Listing()).complete


def _listing(service: Service, timeout: float, *, now: bool = True) -> dict[str, Any]:
    return _call(service, Message({"op": "plugins", "now": now, "limit": TABLE_LIMIT}), timeout).header


def _rows(found: Mapping[str, Any]) -> dict[str, list[dict[str, Any]]]:
    return {kind: found[kind] for kind in ("data", "view")}


def forget(service: Service) -> None:
    """Request anew the next time: something was installed."""
    _LISTINGS.pop(str(service.jobs_dir.path), None)


def menu(service: Service, *, patient: bool = False) -> dict[str, list[dict[str, Any]]]:
    """Category -> usable data sources to show in the menu, in the order of the table."""
    result: dict[str, list[dict[str, Any]]] = {}
    for row in known(service, patient=patient).get("data", []):
        if row["ok"] and (row["visible"] or service.settings.all_extensions):
            result.setdefault(row["category"], []).append(row)
    return result


def views(service: Service) -> list[dict[str, Any]]:
    """The usable views to choose from, the default one first."""
    rows = [
        r for r in known(service, patient=True).get("view", []) if r["ok"] and (r["visible"] or service.settings.all_extensions)
    ]
    return sorted(rows, key=lambda row: row["id"] != DEFAULT_VIEW)


def fitting_views(service: Service, task_views: Sequence[str], dataset_extension: str) -> list[dict[str, Any]]:
    """Those of `views` that fit a model's answers: of the built-in ones those of its task, of plugins those that go with no data
    source or, by their id, with the one that made the model's data set (`dataset_extension`). That one comes first, then the
    task's in their order."""
    sources = {row["id"] for row in known(service, patient=True).get("data", [])}
    order = {name: number for number, name in enumerate((dataset_extension, *task_views)) if name}
    found = [
        row
        for row in views(service)
        if row["id"] in order or (not row["builtin"] and (row["id"] not in sources or row["id"] == dataset_extension))
    ]
    return sorted(found, key=lambda row: order.get(row["id"], len(order)))


def testers(service: Service) -> list[dict[str, Any]]:
    """The usable data sources to choose from that have a form of their own to test models with."""
    rows = [row for rows in menu(service, patient=True).values() for row in rows]
    return [row for row in rows if row["tests_models"]]


def request(
    service: Service,
    operation: str,
    extension_id: str,
    header: Mapping[str, Any],
    arrays: Mapping[str, Any] | None = None,
    timeout: float = FORM_SECONDS,
) -> Message:
    """One request to the host about one plugin.

    Raises what the plugin raised: FormErrors for a form that does not validate, NotFound for an unknown plugin, PluginFailure for
    anything unforeseen and where it does not answer within `timeout` seconds; LimitExceeded where it needed too much memory;
    HostAway when no host runs.
    """
    timeout = min(timeout, service.settings.request_seconds)
    message = Message({**header, "op": operation, "extension_id": extension_id, "limit": timeout}, dict(arrays or {}))
    tries = 2 if operation in SHOWS_ONLY else 1
    while True:
        tries -= 1
        try:
            return call(service.jobs_dir, message, timeout)
        except NoAnswerInTime as error:
            failure = PluginFailure(
                f"The plugin {extension_id} did not answer within {timeout:g} seconds.",
                advice="Try again; if it stays so, its author must look at what it does there." + _who_limits(service, timeout),
            )
            failure.timed_out = True
            raise failure from error
        except LimitExceeded as error:
            raise LimitExceeded(f"{extension_id}: {error.message}", advice=error.advice) from error
        except CommunicationError as error:
            if not tries:
                raise PluginFailure(
                    f"The plugin host stopped while the plugin {extension_id} was at work ({error.message}).",
                    advice="The plugin may have ended its process; the host is started again by itself.",
                ) from error


def read_foreign(service: Service, operation: str, header: Mapping[str, Any]) -> Message:
    """What the host reads of a file of others, whose `path` the header names (`plugin_host.records`, `plugin_host.pictures`).

    Raises what that raises, LimitExceeded where it took too long or too much memory, HostAway when no host runs, Unavailable when
    it ended over it."""
    seconds = service.settings.request_seconds
    try:
        message = Message({**header, "op": operation, "limit": seconds})
        return call(service.jobs_dir, message, seconds, unstarted=PICTURE_SECONDS)
    except NoAnswerInTime as error:
        words = f"{header['path']} could not be read within {seconds:g} seconds."
        raise LimitExceeded(words, advice=_who_limits(service, seconds).strip()) from error
    except LimitExceeded as error:
        raise LimitExceeded(f"{header['path']}: {error.message}", advice=error.advice) from error
    except HostAway:
        raise
    except CommunicationError as error:
        words = f"The process that reads {header['path']} ended over it: {error.message}"
        raise Unavailable(words, advice="The file may be damaged. The process is started again by itself.") from error


def _who_limits(service: Service, timeout: float) -> str:
    reached = timeout >= service.settings.request_seconds
    return " The setting request_seconds (DIGITS_REQUEST_SECONDS) says how long it may take." if reached else ""


def static_file(service: Service, kind: str, extension_id: str, name: str) -> tuple[bytes, str]:
    """A static file of a plugin and its content type. Raises NotFound."""
    header = {"op": "static-file", "kind": kind, "extension_id": extension_id, "name": name, "limit": FORM_SECONDS}
    answer = _call(service, Message(header), FORM_SECONDS)
    return answer.arrays["body"].tobytes(), str(answer.header["content_type"])


def _call(service: Service, message: Message, timeout: float) -> Message:
    """As `plugin_host_client.call`; HostAway also when the host goes away over it, or takes too long."""
    try:
        return call(service.jobs_dir, message, timeout)
    except CommunicationError as error:
        raise HostAway(f"The plugin host went away: {error.message}", advice="It is started again; try again.") from error
