"""Looking through class folders: sorted, links followed, loops cut, one picture's path at a time."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from digits.errors import DataError
from digits.utils.names import is_image_file
from digits.utils.words import readable


def class_folders(root: Path) -> dict[str, list[Path]]:
    """Label (folder name with `_` as a space) to its folders, sorted by folder name; hidden ones are left out.

    Raises DataError when `root` cannot be listed.
    """
    try:
        names = sorted(e.name for e in os.scandir(root) if not e.name.startswith(".") and e.is_dir())
    except OSError as error:
        raise DataError(f"The folder {root} cannot be read: {error.strerror or error}.") from error
    folders: dict[str, list[Path]] = {}
    for name in names:
        folders.setdefault(readable(name.replace("_", " ")), []).append(root / name)
    return folders


def pictures(folder: Path) -> Iterator[str]:
    """Paths of all pictures below a folder, in a fixed order. A folder reached twice (a loop of links) is read once."""
    seen: set[tuple[int, int]] = set()
    for root, folders, names in os.walk(folder, followlinks=True):
        if not _first_visit(root, seen):
            folders.clear()
            continue
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if is_image_file(name) and not name.startswith("."):
                yield os.path.join(root, name)


def _first_visit(root: str, seen: set[tuple[int, int]]) -> bool:
    try:
        place = os.stat(root)
    except OSError:
        return False
    identity = (place.st_dev, place.st_ino)
    if identity in seen:
        return False
    seen.add(identity)
    return True
