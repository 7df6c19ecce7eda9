"""Who else on the machine may read what the server keeps: nobody, or a group that the setting `jobs_mode` lets in.

Holds: `.digits` and each file in it belong to the user who runs digits alone, whatever the setting says (the database has the
hashes of passwords and tokens). Folders of jobs and of uploads have the mode `jobs_mode`, files in them as much of it as files
can have; what other libraries write there gets it by the umask of our processes. `userdata.pkl`, which Python would run, stays
its owner's. Bits beyond the lower nine (set-group-ID, by which files stay the group's) are kept.
"""

from __future__ import annotations

import contextlib
import logging
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from digits.utils.confinement import PRIVATE

logger = logging.getLogger(__name__)

OWNER_ONLY = 0o700
OWNER_FILE = 0o600
BITS = 0o777

_users_umask: int | None = None  # of the user who started this process


def limit_process(mode: int) -> None:
    """Whatever this process and its children write from now on gets at most `mode`, whichever library writes it."""
    global _users_umask
    before = os.umask(umask_of(mode))
    _users_umask = before if _users_umask is None else _users_umask


def release_process() -> None:
    """Undo `limit_process`."""
    global _users_umask
    if _users_umask is not None:
        os.umask(_users_umask)
        _users_umask = None


@contextlib.contextmanager
def of_the_user() -> Iterator[None]:
    """While the block runs, files are made as the user's own umask says: for what a command writes where its user asked."""
    limited = os.umask(_users_umask) if _users_umask is not None else None
    try:
        yield
    finally:
        if limited is not None:
            os.umask(limited)


def umask_of(mode: int) -> int:
    """The umask under which new folders have `mode` at most."""
    return BITS & ~mode


def make_folder(path: Path, mode: int = OWNER_ONLY, *, exist_ok: bool = False) -> None:
    """A new folder with just this mode, whatever the umask; its parent must be there."""
    path.mkdir(mode=mode, exist_ok=exist_ok)
    set_mode(path, mode)


def private_file(path: Path) -> None:
    """Make the file, where it is not there, and keep everybody else out. Raises OSError when it cannot be made."""
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, OWNER_FILE))
    set_mode(path, OWNER_FILE)


def close_hidden(hidden: Path) -> None:
    """Let nobody else into `.digits`, nor read a file that lies directly in it: once open, it may have been opened by others."""
    set_mode(hidden, OWNER_ONLY)
    with os.scandir(hidden) as entries:
        for entry in entries:
            if entry.is_file(follow_symlinks=False):
                set_mode(Path(entry.path), OWNER_FILE)


def settle_tree(folder: Path, mode: int) -> None:
    """Give a folder of an earlier version, or from elsewhere, its mode, and all in it; cheap where the folder has it already."""
    with contextlib.suppress(OSError):
        if stat.S_IMODE(folder.lstat().st_mode) & BITS == mode or not stat.S_ISDIR(folder.lstat().st_mode):
            return
    for root, folders, files in os.walk(folder):
        for name in folders:
            set_mode(Path(root, name), mode)
        for name in files:
            set_mode(Path(root, name), OWNER_FILE if name in PRIVATE else mode)
    set_mode(folder, mode)


def set_mode(path: Path, mode: int) -> None:
    """Give a file or folder `mode`, a file only those of its execute bits that it has. Links are left alone; what cannot be
    changed (somebody else's file, a file system without modes) is said in the log."""
    try:
        now = path.lstat().st_mode
        if stat.S_ISDIR(now):
            wanted = mode
        elif stat.S_ISREG(now):
            wanted = mode & (0o777 if now & stat.S_IXUSR else 0o666)
        else:
            return
        if stat.S_IMODE(now) & BITS != wanted:
            os.chmod(path, stat.S_IMODE(now) & ~BITS | wanted)
    except FileNotFoundError:
        return
    except OSError as error:
        logger.warning("%s may be open to other users: its mode cannot be changed: %s.", path, error.strerror or error)


def too_open(path: Path, mode: int = OWNER_ONLY) -> bool:
    """Whether others have more rights on a file or folder than `mode` gives them."""
    try:
        return bool(stat.S_IMODE(path.lstat().st_mode) & BITS & ~mode)
    except OSError:
        return False
