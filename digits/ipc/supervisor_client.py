"""How the web process and commands talk to the supervisor: a message each way (`digits.ipc.messages`) over a Unix socket.

The file `.digits/runtime.json` names the socket and the process; it is there while a supervisor runs. Requests have `op`:
`ping`, `queue`, `gpus`, `problems`, `predictor`, `check-network`, `preview-augmentation`, `tensorboard`, `restart-plugin-host`;
docs/jobs.md lists their answers.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from digits.errors import StorageError, Unavailable
from digits.ipc import messages
from digits.storage.files import read_json
from digits.storage.folders import JobsDir
from digits.storage.identity import lies_here

CONNECT_SECONDS = 1.0


class ControlError(Unavailable):
    """The supervisor cannot be reached, or it does not answer in time."""


def runtime_file(jobs_dir: JobsDir) -> Path:
    """Where the running supervisor says how to reach it."""
    return jobs_dir.hidden / "runtime.json"


def read_runtime(jobs_dir: JobsDir) -> dict[str, Any]:
    """`{"socket", "pid", …}` of the supervisor that last had this directory, or an empty dictionary. In a copy the file names
    the processes of another one."""
    try:
        value = read_json(runtime_file(jobs_dir))
    except StorageError:
        return {}
    return value if isinstance(value, dict) and lies_here(jobs_dir, value.get("place") or {}) else {}


def is_listening(jobs_dir: JobsDir) -> bool:
    """Whether a supervisor is there, however busy it is."""
    path = str(read_runtime(jobs_dir).get("socket", ""))
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(CONNECT_SECONDS)
        try:
            with messages.socket_address(path) as address:
                connection.connect(address)
        except TimeoutError:
            return True
        except OSError:
            return False
    return True


def call(jobs_dir: JobsDir, request: Mapping[str, Any], timeout: float = 10.0) -> dict[str, Any]:
    """Send one request and return the answer.

    Raises ControlError when no supervisor runs or it does not answer within `timeout` seconds, else the error it answers with.
    """
    path = str(read_runtime(jobs_dir).get("socket", ""))
    start = "Start the server with `digits serve`."
    if not path:
        raise ControlError(f"No supervisor answers for {jobs_dir.path}: nothing is running.", advice=start)
    try:
        return messages.call(path, messages.Message(dict(request)), timeout).header
    except messages.NoAnswerInTime as error:
        raise ControlError(f"The supervisor did not answer within {timeout:g} s.", advice="Try again; see its log.") from error
    except messages.CommunicationError as error:
        raise ControlError(f"No supervisor answers for {jobs_dir.path}: {error}", advice=start) from error
