"""Which jobs directory this is: an identity that a copy does not keep.

Holds: `.digits/directory.json` names the directory by a random id together with its device and inode, which a copy of the file
contradicts: a copy gets an id of its own when it is first opened, and says of which directory it is one. A directory that was
renamed, or is reached by a link or a bind mount, stays the same; so does one whose device got another number (a restart, a
network file system mounted anew) but is found at the same path. What workers, servers and databases belong to is this id.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from digits.errors import StorageError
from digits.storage.files import read_json, write_json
from digits.storage.folders import JobsDir

logger = logging.getLogger(__name__)

FILE = "directory.json"
LOCK_SUFFIX = "-lock"


@dataclass(frozen=True)
class DirectoryIdentity:
    """`copy_of` and `copied_from` are the path and the id of the directory that this one was copied from; empty: of none."""

    id: str
    device: int
    inode: int
    path: str
    copy_of: str = ""
    copied_from: str = ""


def place_of(jobs_dir: JobsDir) -> dict[str, Any]:
    """Where a jobs directory lies, to be kept in files that must not count in a copy of it. Raises OSError where it is gone."""
    found = os.stat(jobs_dir.path)
    return {"device": found.st_dev, "inode": found.st_ino, "path": os.path.realpath(jobs_dir.path)}


def lies_here(jobs_dir: JobsDir, place: Mapping[str, Any]) -> bool:
    """Whether `place_of` was written in this very directory, and not in one of which it is a copy."""
    try:
        here = place_of(jobs_dir)
    except OSError:
        return False
    same_device = place.get("device") == here["device"] or place.get("path") == here["path"]
    return place.get("inode") == here["inode"] and same_device


def find(jobs_dir: JobsDir) -> DirectoryIdentity | None:
    """The identity that this directory has; None where it has none yet, such as a copy that was not opened."""
    known = _read(jobs_dir)
    return known if known is not None and lies_here(jobs_dir, asdict(known)) else None


def settle(jobs_dir: JobsDir) -> DirectoryIdentity:
    """The identity of this directory, which gets one where it has none, or that of another. Raises StorageError."""
    known = find(jobs_dir)
    if known is not None and not _has_moved(jobs_dir, known):
        return known
    with _one_at_a_time(jobs_dir):
        known = find(jobs_dir)
        return _make(jobs_dir) if known is None else _keep(jobs_dir, known)


def _has_moved(jobs_dir: JobsDir, known: DirectoryIdentity) -> bool:
    """Whether the place that is known leads here no more; several paths may, such as a link's or a container's."""
    return known.device != place_of(jobs_dir)["device"] or not os.path.exists(known.path)


def _make(jobs_dir: JobsDir) -> DirectoryIdentity:
    other = _read(jobs_dir)
    made = DirectoryIdentity(secrets.token_hex(8), **place_of(jobs_dir))
    if other is not None:
        made = DirectoryIdentity(made.id, made.device, made.inode, made.path, other.path, other.id)
        logger.warning("%s", copy_words(made))
    return _write(jobs_dir, made)


def _keep(jobs_dir: JobsDir, known: DirectoryIdentity) -> DirectoryIdentity:
    """The same directory under another name, or on a device of another number."""
    return _write(jobs_dir, DirectoryIdentity(**{**asdict(known), **place_of(jobs_dir)}))


def copy_words(identity: DirectoryIdentity) -> str:
    """What is said of a copy."""
    return (
        f"The jobs directory {identity.path} is a copy of {identity.copy_of}, or was moved from another file system:"
        " workers of that one are left alone, and jobs that ran there start anew here."
    )


def _read(jobs_dir: JobsDir) -> DirectoryIdentity | None:
    with contextlib.suppress(StorageError, TypeError):
        return DirectoryIdentity(**read_json(jobs_dir.hidden / FILE))
    return None


def _write(jobs_dir: JobsDir, identity: DirectoryIdentity) -> DirectoryIdentity:
    write_json(jobs_dir.hidden / FILE, asdict(identity))
    return identity


@contextlib.contextmanager
def _one_at_a_time(jobs_dir: JobsDir) -> Iterator[None]:
    with open(jobs_dir.hidden / (FILE + LOCK_SUFFIX), "ab") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
