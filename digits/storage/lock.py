"""One owner (a supervisor, or a reindex) per jobs directory. The lock is the system's, so it cannot outlive its holder."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import socket
import time
from types import TracebackType
from typing import Any

from digits.errors import StorageError
from digits.storage.folders import JobsDir

LOCK_PAUSES = (0.01, 0.02, 0.05)  # seconds


class Locked(StorageError):
    """Another server has the jobs directory; `holder` is what it wrote about itself."""

    status = 409

    def __init__(self, jobs_dir: JobsDir, holder: dict[str, Any]) -> None:
        self.holder = holder
        at = f" at {holder['address']}" if holder.get("address") else ""
        who = f"process {holder.get('pid', 'unknown')} on {holder.get('host', 'this machine')}{at}"
        super().__init__(
            f"The jobs directory {jobs_dir.path} is already in use by {who}.",
            advice="Use that server, stop it first, or choose another directory with --jobs-dir.",
        )


class ServerLock:
    """Held between `__enter__` and `__exit__`; entering raises Locked when another process has it."""

    def __init__(self, jobs_dir: JobsDir, address: str = "") -> None:
        self.jobs_dir = jobs_dir
        self.address = address
        self._descriptor = -1

    def __enter__(self) -> ServerLock:
        descriptor = os.open(self.jobs_dir.lock_file, os.O_RDWR | os.O_CREAT, 0o600)
        if not _lock(descriptor):
            holder_ = _read(descriptor)
            os.close(descriptor)
            raise Locked(self.jobs_dir, holder_)
        self._descriptor = descriptor
        self._write()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        with contextlib.suppress(OSError):
            os.ftruncate(self._descriptor, 0)
        os.close(self._descriptor)

    def problem(self) -> str:
        """Why the jobs directory is not the one any more that was locked: it was moved, replaced or unmounted; empty: it is."""
        try:
            found, held = os.stat(self.jobs_dir.lock_file), os.fstat(self._descriptor)
        except FileNotFoundError:
            return f"The jobs directory {self.jobs_dir.path} is gone: it was moved, deleted or unmounted."
        except OSError as error:
            return f"The jobs directory {self.jobs_dir.path} cannot be reached: {error.strerror or error}."
        if os.path.samestat(found, held):
            return ""
        return f"The jobs directory {self.jobs_dir.path} is another one than this server began with: it was moved or replaced."

    def _write(self) -> None:
        me = {"pid": os.getpid(), "host": socket.gethostname(), "address": self.address, "started": time.time()}
        with contextlib.suppress(OSError):  # a full disk: the lock holds without the words
            os.ftruncate(self._descriptor, 0)
            os.pwrite(self._descriptor, json.dumps(me).encode(), 0)


def holder(jobs_dir: JobsDir) -> dict[str, Any] | None:
    """What the process that has the jobs directory wrote about itself (`pid`, `host`, `address`, `started`); None: it is free."""
    try:
        descriptor = os.open(jobs_dir.lock_file, os.O_RDWR)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _read(descriptor)
    finally:
        os.close(descriptor)
    return None


def _lock(descriptor: int) -> bool:
    """Take the lock; tried a few times, because whoever looks for the `holder` has it for a moment."""
    for pause in (*LOCK_PAUSES, 0.0):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(pause)
        else:
            return True
    return False


def _read(descriptor: int) -> dict[str, Any]:
    try:
        value = json.loads(os.pread(descriptor, 4096, 0) or b"{}")
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
