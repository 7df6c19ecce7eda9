"""Files that are either whole or not there: written under a temporary name, synced, renamed."""

from __future__ import annotations

import contextlib
import errno
import json
import logging
import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, TypeVar

from digits.domain.events import Event, WarningEvent
from digits.errors import DiskFull, JobStopped, StorageError
from digits.utils.values import finite

logger = logging.getLogger(__name__)
T = TypeVar("T")

DISK_POLL_SECONDS = 2.0
DEFAULT_MIN_FREE = 32 * 2**20


@contextlib.contextmanager
def atomic(path: Path, mode: str = "wb", *, permissions: int | None = None) -> Iterator[IO[Any]]:
    """Open a temporary neighbour of `path` for writing; it takes the place of `path` when the block ends without an error.

    Raises DiskFull when the disk has no space left; the old file then stays as it was and nothing is left beside it.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with open(temporary, mode) as handle:
            if permissions is not None:
                os.chmod(temporary, permissions)
            yield handle
            handle.flush()
            os.fsync(handle.fileno())
        os.replace(temporary, path)
        sync_directory(path.parent)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise _translate(error, path) from error
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


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
            raise _translate(error, path) from error
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
    """Do `work` (repeatable); while the disk of `folder` is full, wait until `min_free` bytes are free and try again.

    Afterwards a warning event says how long the pause was. Raises JobStopped when requested to stop while waiting.
    """
    paused_since = 0.0
    while True:
        try:
            result = work()
            break
        except DiskFull as error:
            if not paused_since:
                paused_since = time.monotonic()
                logger.warning("The disk of %s is full; the work waits for free space.", folder)
            _wait_for_disk_space(folder, error, should_stop, min_free, poll)
    if paused_since:
        _report_pause(time.monotonic() - paused_since, emit)
    return result


def _wait_for_disk_space(folder: Path, error: DiskFull, should_stop: Callable[[], bool], min_free: int, poll: float) -> None:
    while True:
        if should_stop():
            raise JobStopped("Stopped while waiting for free space on the disk.") from error
        time.sleep(poll)
        if free_bytes(folder) >= min_free:
            return


def _report_pause(seconds: float, emit: Callable[[Event], object]) -> None:
    logger.warning("There is free space again after %.0f s.", seconds)
    message = f"The disk was full: the work paused for {seconds:.0f} seconds."
    try:
        emit(WarningEvent(code="disk-full", message=message, advice="Delete what you no longer need."))
    except DiskFull:
        logger.warning("The disk is full again; the pause is not in the events.")


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


def _translate(error: OSError, path: Path) -> StorageError:
    if is_disk_full(error):
        return DiskFull(f"No space left on the disk of {path.parent}.", advice="Free some space; the work goes on by itself.")
    return StorageError(f"{path} cannot be written: {error.strerror or error}.")
