"""Why a process that answers on a socket was ended: left beside the socket before that happens, read by whoever waited for it."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from digits.errors import LimitExceeded, StorageError
from digits.storage.files import read_json, write_json


def file_of(socket: Path) -> Path:
    """Where they lie."""
    return socket.with_name(f"ended-{socket.name}.json")


def leave(socket: Path, message: str, advice: str) -> None:
    """Say why the process at `socket` is about to be ended."""
    with contextlib.suppress(OSError, StorageError):  # a full disk: then its end is all that is known
        write_json(file_of(socket), {"message": message, "advice": advice})


def read(socket: str | os.PathLike[str]) -> LimitExceeded | None:
    """The error for who waited for an answer of that process; None where nothing was left."""
    try:
        said = read_json(file_of(Path(socket)))
        return LimitExceeded(str(said["message"]), advice=str(said["advice"]))
    except (StorageError, KeyError, TypeError):
        return None


def forget(socket: Path) -> None:
    """Another process listens there now."""
    with contextlib.suppress(OSError):
        file_of(socket).unlink(missing_ok=True)
