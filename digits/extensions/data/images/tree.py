"""A look at somebody's folder that stays cheap: which folders hold which kinds of files, to a limited depth and number."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field

from digits.extensions.data.files.listing import tree
from digits.utils.confinement import Confinement
from digits.utils.names import is_image_file

DEPTH = 4
FOLDERS = 400
FILES = 3000  # of one folder
SPLIT_WORDS = {
    "train": ("train", "training", "trn"),
    "val": ("val", "valid", "validation", "dev"),
    "test": ("test", "testing"),
}
_SPLIT_OF = {word: split for split, words in SPLIT_WORDS.items() for word in words}


@dataclass
class Folder:
    """One folder: its path and the names of its files that may be read, by kind (`image`, or an extension such as `.txt`)."""

    path: str
    depth: int
    may_read: Callable[[str], bool]
    files: dict[str, list[str]] = field(default_factory=dict)

    def names(self, kind: str) -> list[str]:
        return self.files.get(kind, [])

    def first(self, kind: str) -> str:
        """The path of the first file of a kind."""
        return os.path.join(self.path, self.files[kind][0])

    def stems(self, kind: str) -> set[str]:
        return {os.path.splitext(name)[0] for name in self.names(kind)}

    @property
    def name(self) -> str:
        return os.path.basename(self.path)


def look(root: str, allowed: Confinement) -> list[Folder]:
    """The folders below `root` (it first), hidden ones left out; those that may not be read are not entered."""
    found: list[Folder] = []
    base = root.rstrip("/").count("/")
    for path, folders, names in tree(root):
        depth = path.rstrip("/").count("/") - base
        folders[:] = [name for name in folders if depth < DEPTH and allowed.allows(os.path.join(path, name))]
        found.append(_folder(path, depth, [name for name in names if allowed.allows(os.path.join(path, name))], allowed))
        if len(found) >= FOLDERS:
            break
    return found


def split_of(path: str, root: str) -> str:
    """`train`, `val` or `test` where a part of the path below the root says so (`train2017`, `instances_val`), else empty."""
    for part in reversed(os.path.relpath(path, root).lower().split("/")):
        for word in os.path.splitext(part)[0].replace("-", "_").split("_"):
            plain = word.rstrip("0123456789")
            if plain in _SPLIT_OF:
                return _SPLIT_OF[plain]
    return ""


def _folder(path: str, depth: int, names: list[str], allowed: Confinement) -> Folder:
    folder = Folder(path, depth, allowed.allows)
    for name in names[:FILES]:
        kind = "image" if is_image_file(name) else os.path.splitext(name)[1].lower()
        folder.files.setdefault(kind, []).append(name)
    return folder
