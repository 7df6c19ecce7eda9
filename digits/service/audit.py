"""The audit log: one JSON line for each log-in and each changing action: when, who, by what, from where, what, with what result.

Holds: several processes may write at once, and each line is whole; passwords, tokens and form values are never written. That it
cannot be written (a full disk) keeps nobody from working: the server's log says so. docs/security.md describes the keys.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from digits.service import Service
from digits.utils.masking import masked

logger = logging.getLogger(__name__)
FILE_NAME = "audit.log"
FILE_BYTES = 10 * 10**6
FILE_COUNT = 10  # files beside the one that is written
LONGEST_TEXT = 500
MOST_ITEMS = 100


def audit_file(service: Service) -> Path:
    """Where the lines are; `audit.log.1` holds those before, and so on."""
    return service.jobs_dir.hidden / FILE_NAME


def record(service: Service, action: str, *, who: str, by: str, address: str = "", **more: Any) -> None:
    """Write one line. `by` is how `who` is known (a session, a token, a command), `more` what is left of the story."""
    at = datetime.now(UTC).isoformat(timespec="milliseconds")
    entry = {"at": at, "who": who, "by": by, "from": address, "action": action, **more}
    line = json.dumps({key: _short(value) for key, value in entry.items()}, ensure_ascii=True).encode() + b"\n"
    try:
        _append(audit_file(service), line)
    except OSError as error:
        logger.warning("The audit log cannot be written: %s. The line: %s", error, line.decode().strip())


def _short(value: Any) -> Any:
    if isinstance(value, str):
        return masked(value)[:LONGEST_TEXT]
    if isinstance(value, dict):
        return {key: _short(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_short(item) for item in value[:MOST_ITEMS]]
    return value


def _append(path: Path, line: bytes) -> None:
    while True:
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            if not _is_still(path, descriptor):
                continue  # another process began a new file meanwhile
            size = os.fstat(descriptor).st_size
            if size and size + len(line) > FILE_BYTES:
                _rotate(path)
                continue
            os.write(descriptor, line)
            return
        finally:
            os.close(descriptor)


def _is_still(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(os.stat(path), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _rotate(path: Path) -> None:
    for number in range(FILE_COUNT, 0, -1):
        before = path if number == 1 else path.with_name(f"{path.name}.{number - 1}")
        with suppress(FileNotFoundError):
            os.replace(before, path.with_name(f"{path.name}.{number}"))
