"""Some room of the disk that is kept for the moment when there is none: with it the database opens and changes, so that jobs and
uploads can be deleted. It is a file in `.digits`, given up when the disk is full and made again when there is room."""

from __future__ import annotations

import contextlib
import logging
import os
from pathlib import Path

from digits.storage.files import free_bytes
from digits.storage.modes import OWNER_FILE

logger = logging.getLogger(__name__)

NAME = "reserve"
SIZE = 8 * 2**20  # more than the database takes when it is opened and its log grows (`jobs.tables.RESERVED_BYTES`)
FULL = 2 * 2**20  # with less than that the disk is full
ROOM = 64 * 2**20  # with that much beside it the reserve is made


def keep(folder: Path) -> None:
    """Make the reserve in `folder` where it is missing and the disk has room; where it cannot be made, there is none."""
    path = folder / NAME
    if path.exists() or free_bytes(folder) < SIZE + ROOM:
        return
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, OWNER_FILE)
        try:
            os.posix_fallocate(descriptor, 0, SIZE)
        finally:
            os.close(descriptor)
    except OSError:
        with contextlib.suppress(OSError):
            path.unlink()


def give_up(folder: Path) -> bool:
    """Free the reserve in `folder` where the disk is full; whether there was one."""
    with contextlib.suppress(OSError):
        if free_bytes(folder) < FULL:
            (folder / NAME).unlink()
            logger.warning("The disk of %s is full; the room kept for that is given up, so that jobs can be deleted.", folder)
            return True
    return False
