"""How the web process and commands call the plugin host: the file `.digits/plugin_host.json`, written by the host, says where."""

from __future__ import annotations

import time
from pathlib import Path

from digits.errors import StorageError, Unavailable
from digits.ipc import messages
from digits.ipc.messages import CommunicationError, Message
from digits.storage.files import read_json
from digits.storage.folders import JobsDir
from digits.storage.identity import lies_here

RESTART_SECONDS = 20.0  # so long a host that is just being started again is waited for
POLL_SECONDS = 0.1


class HostAway(Unavailable):
    """The plugin host cannot be reached."""


def address_file(jobs_dir: JobsDir) -> Path:
    """The file that names the host's socket and process."""
    return jobs_dir.hidden / "plugin_host.json"


def socket_of(jobs_dir: JobsDir) -> str:
    """Path of the host's socket; empty when none has run yet here. Whether it still listens shows when one connects."""
    try:
        value = read_json(address_file(jobs_dir))
        return str(value.get("socket", "")) if lies_here(jobs_dir, value.get("place") or {}) else ""
    except (StorageError, AttributeError):
        return ""


def call(jobs_dir: JobsDir, message: Message, timeout: float, unstarted: float | None = None) -> Message:
    """Send the request as soon as a host listens, and wait at most `timeout` seconds for its answer. Where none was started here,
    `unstarted` says how long it is waited for.

    Raises HostAway where none comes up, NoAnswerInTime, CommunicationError when it ends over the question (LimitExceeded: because
    of one of our limits), and the error it answers with.
    """
    began = time.monotonic()
    while True:
        path = socket_of(jobs_dir)
        try:
            if not path:
                raise CommunicationError("No plugin host has been started.")
            connection = messages.connect(path)
            break
        except CommunicationError as error:
            patience = RESTART_SECONDS if path or unstarted is None else unstarted
            if time.monotonic() - began > min(timeout, patience):
                advice = "It runs beside the server: `digits serve`."
                raise HostAway(f"The plugin host cannot be reached: {error.message}", advice=advice) from error
        time.sleep(POLL_SECONDS)
    with connection:
        return messages.exchange(connection, path, message, timeout, jobs_dir.scratch)
