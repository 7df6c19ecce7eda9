"""A lock that a file stands for, between threads and processes alike; the system frees it where its holder dies."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Alone with the lock of `path`, a file of a folder that exists, which is there for as long as somebody has the lock. Not to
    be taken twice by one thread. Raises OSError where the file cannot be made."""
    descriptor = _take(path)
    try:
        yield
    finally:
        with contextlib.suppress(FileNotFoundError):  # the whole folder may be gone
            os.unlink(path)
        os.close(descriptor)


def _take(path: Path) -> int:
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            if os.path.samestat(os.stat(path), os.fstat(descriptor)):
                return descriptor
        except FileNotFoundError:  # whoever had it took the file away: take the lock of a new one
            pass
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)
