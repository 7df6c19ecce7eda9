"""Files that are either whole or not there: written under a temporary name, synced, renamed."""

from __future__ import annotations

import contextlib
import errno
import json
import logging
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, TypeVar

import psutil

from digits.domain.events import Event, WarningEvent
from digits.errors import DiskFull, JobStopped, ReadOnly, StorageError
from digits.utils.values import finite

logger = logging.getLogger(__name__)
T = TypeVar("T")

DISK_POLL_SECONDS = 2.0
DEFAULT_MIN_FREE = 32 * 2**20
READ_ONLY = "read-only"
PAUSES = {  # code of the warning: what was found, and what to do
    "disk-full": ("The disk was full", "Delete what you no longer need."),
    READ_ONLY: ("The job's folder could not be written", "See to mount options and permissions of the jobs directory."),
}
GOES_ON = "the work goes on by itself."  # what is advised to whoever waits for work, and not to whoever sent a request
_STUCK: set[Path] = set()  # temporary files that could not be removed, because nothing could be written where they are
_STUCK_LOCK = threading.Lock()
DISK_WAS_FULL = "The disk was full; the job starts again now that there is free space."


@contextlib.contextmanager
def atomic(path: Path, mode: str = "wb", *, permissions: int | None = None) -> Iterator[IO[Any]]:
    """Open a temporary neighbour of `path` for writing; it takes the place of `path` when the block ends without an error.

    Raises DiskFull when the disk has no space left; the old file then stays as it was and nothing is left beside it. What cannot
    be removed, since nothing can be written there any more, goes with the next file that this process writes.
    """
    temporary = path.with_name(f".{path.name}.{threading.get_ident()}.{os.getpid()}.tmp")
    with _STUCK_LOCK:
        _STUCK.discard(temporary)
    try:
        with open(temporary, mode) as handle:
            if permissions is not None:
                os.chmod(temporary, permissions)
            yield handle
            handle.flush()
            os.fsync(handle.fileno())
        os.replace(temporary, path)
        sync_directory(path.parent)
        _remove_stuck()
    except BaseException as error:
        _remove_now_or_later(temporary)
        if isinstance(error, OSError):
            raise cannot_write(error, path) from error
        raise


def _remove_now_or_later(temporary: Path) -> None:
    with _STUCK_LOCK:
        try:
            temporary.unlink(missing_ok=True)
            _STUCK.discard(temporary)
        except OSError:  # of a process that ends before, the next worker or server removes it
            _STUCK.add(temporary)


def _remove_stuck() -> None:
    for left in list(_STUCK):
        with _STUCK_LOCK:
            if left in _STUCK:  # its thread does not write it again meanwhile
                with contextlib.suppress(OSError):
                    left.unlink(missing_ok=True)
                    _STUCK.discard(left)


def remove_left_over(folder: Path) -> None:
    """Remove what processes that were killed had begun to write in `folder` (see `atomic`)."""
    for path in folder.glob(".*.tmp"):
        pid = path.name.split(".")[-2]
        if pid.isdigit() and not psutil.pid_exists(int(pid)):
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)


@contextlib.contextmanager
def in_place(path: Path, *, keep: int) -> Iterator[IO[bytes]]:
    """Open a file that is there for writing into, from its start; synced at the end, cut back to `keep` bytes after an error.

    Raises DiskFull when the disk has no space left.
    """
    try:
        with open(path, "r+b") as handle:
            yield handle
            handle.flush()
            os.fsync(handle.fileno())
    except BaseException as error:
        with contextlib.suppress(OSError):
            os.truncate(path, keep)
        if isinstance(error, OSError):
            raise cannot_write(error, path) from error
        raise


def write_json(path: Path, value: Any, *, permissions: int | None = None) -> None:
    """Write `value` as indented JSON, atomically; in UTF-8 whatever the locale, and texts of any characters come back. What is
    NaN or infinite becomes null, for JSON knows no such numbers."""
    text = json.dumps(finite(value), indent=1, ensure_ascii=False, allow_nan=False)
    with atomic(path, permissions=permissions) as handle:
        handle.write(text.encode(errors="surrogatepass"))


def read_json(path: Path) -> Any:
    """Parse a JSON file; StorageError with the file's name when it is missing or not JSON."""
    try:
        return json.loads(path.read_bytes())
    except FileNotFoundError as error:
        raise StorageError(f"{path} does not exist.") from error
    except (OSError, ValueError) as error:
        raise StorageError(f"{path} cannot be read: {error}.") from error


def sync_directory(folder: Path) -> None:
    """Make a rename in `folder` survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def free_bytes(path: Path) -> int:
    """Bytes an ordinary user may still write on the disk of `path`."""
    return shutil.disk_usage(path).free


def retry_when_disk_full(
    work: Callable[[], T],
    folder: Path,
    *,
    emit: Callable[[Event], object],
    should_stop: Callable[[], bool],
    min_free: int = DEFAULT_MIN_FREE,
    poll: float = DISK_POLL_SECONDS,
) -> T:
    """Do `work` (repeatable); while the disk of `folder` is full, wait until `min_free` bytes are free and try again; while it is
    read-only, try now and then.

    Afterwards a warning event says how long the pause was. Raises JobStopped when requested to stop while waiting.
    """
    paused_since, cause = 0.0, ""
    while True:
        try:
            result = work()
            break
        except DiskFull as error:
            if not paused_since:
                paused_since = time.monotonic()
                logger.warning("%s The work waits until it can be written again.", error.message)
            cause = READ_ONLY if isinstance(error, ReadOnly) else "disk-full"
            _wait_for_disk_space(folder, error, should_stop, min_free, poll)
    if paused_since:
        _report_pause(time.monotonic() - paused_since, cause, emit)
    return result


def _wait_for_disk_space(folder: Path, error: DiskFull, should_stop: Callable[[], bool], min_free: int, poll: float) -> None:
    while True:
        if should_stop():
            raise JobStopped("Stopped while waiting until the disk can be written.") from error
        time.sleep(poll)
        if isinstance(error, ReadOnly) or free_bytes(folder) >= min_free:
            return


def _report_pause(seconds: float, cause: str, emit: Callable[[Event], object]) -> None:
    logger.warning("The work goes on after %.0f s.", seconds)
    found, advice = PAUSES[cause]
    try:
        emit(WarningEvent(code=cause, message=f"{found}: the work paused for {seconds:.0f} seconds.", advice=advice))
    except DiskFull:
        logger.warning("It cannot be written again; the pause is not in the events.")


def tree_size(folder: Path) -> int:
    """Sum of the sizes of all files below `folder` in bytes; 0 for an empty folder, ValueError when there is none."""
    if not folder.is_dir():
        raise ValueError(f"{folder} is not a folder")
    total = 0
    for root, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):
                total += os.lstat(os.path.join(root, name)).st_size
    return total


def is_disk_full(error: BaseException) -> bool:
    """Whether an exception, or what caused it, says that a disk or a quota is full."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, DiskFull):
            return True
        if isinstance(seen, OSError) and seen.errno in (errno.ENOSPC, errno.EDQUOT):
            return True
        seen = seen.__cause__ or seen.__context__
    return False


def cannot_write(error: BaseException, path: Path) -> StorageError:
    """What an error that was met in writing `path` means: DiskFull and ReadOnly pass, any other does not."""
    if is_disk_full(error):
        return DiskFull(f"No space left on the disk of {path.parent}.", advice=f"Free some space; {GOES_ON}")
    if isinstance(error, OSError) and error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
        advice = f"Let it be written again (mount options, permissions); {GOES_ON}"
        return ReadOnly(f"{path} cannot be written: {error.strerror}.", advice=advice)
    return StorageError(f"{path} cannot be written: {getattr(error, 'strerror', None) or error}.")


def is_read_only(folder: Path) -> bool:
    """Whether nothing can be written in a folder, however much space there is."""
    return folder.exists() and not os.access(folder, os.W_OK)
