"""The same files once more, as a download leaves them that was unpacked twice: one copy is looked at."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import islice

from digits.extensions.data.recognition.proposals import Remark
from digits.extensions.data.recognition.tree import IMAGE, Folder, Tree
from digits.utils.confinement import open_file

COMPARED = 3  # files of two folders that must hold the same bytes
BYTES = 1 << 16


def without_copies(tree: Tree) -> Iterator[Remark]:
    """Takes folders out of the tree that lie once more, file by file, in another one (`kaggle_3m` and `lgg/kaggle_3m`), with a
    remark. Must come before anything else is asked of the tree."""
    looks: dict[Folder, _Look] = {}
    for inner in [folder for folder in tree.root.walk() if folder.folders]:
        for outer in _above(inner):
            if others := _again(inner, outer, looks):
                outer.folders = [folder for folder in outer.folders if folder not in others]
                names = " and ".join(folder.name for folder in others[:3])
                more = f" and {len(others) - 3} more" if len(others) > 3 else ""
                yield Remark(f"{inner.path} holds {names}{more} of {outer.path} once more; one copy is counted.")
                break


class _Look:
    """How many pictures lie below a folder and how many of its folders have some, and a number that is the same for folders with
    the same names in them."""

    def __init__(self, folder: Folder, looks: dict[Folder, _Look]) -> None:
        inner = [(one.name, _look_of(one, looks)) for one in folder.folders]
        own = tuple(sorted((kind, tuple(names)) for kind, names in folder.files.items()))
        self.pictures: int = len(folder.names(IMAGE)) + sum(look.pictures for _, look in inner)
        self.filled: int = sum(look.pictures > 0 for _, look in inner)
        self.names: int = hash((own, tuple((name, look.names) for name, look in inner)))


def _look_of(folder: Folder, looks: dict[Folder, _Look]) -> _Look:
    if folder not in looks:
        looks[folder] = _Look(folder, looks)
    return looks[folder]


def _above(folder: Folder) -> Iterator[Folder]:
    while folder.parent is not None:
        folder = folder.parent
        yield folder


def _again(inner: Folder, outer: Folder, looks: dict[Folder, _Look]) -> list[Folder]:
    """The folders of pictures of `outer`, where all of them lie in `inner` once more."""
    if len(inner.folders) + 1 < _look_of(outer, looks).filled:
        return []
    filled = [folder for folder in outer.folders if not folder.holds(inner) and _look_of(folder, looks).pictures]
    known = {folder.name: folder for folder in inner.folders}
    if not filled or outer.names(IMAGE) or any(folder.name not in known for folder in filled):
        return []
    are_same = all(_look_of(folder, looks).names == _look_of(known[folder.name], looks).names for folder in filled)
    return filled if are_same and all(_hold_the_same(folder, known[folder.name]) for folder in filled) else []


def _hold_the_same(one: Folder, other: Folder) -> bool:
    """Whether a few pictures of the same names have the same bytes."""
    for path in islice((path for folder in one.walk() for path in folder.paths(IMAGE)), COMPARED):
        if _head(path) != _head(other.path + path[len(one.path) :]):
            return False
    return True


def _head(path: str) -> tuple[int, bytes]:
    try:
        with open_file(path) as handle:
            return os.path.getsize(path), handle.read(BYTES)
    except OSError:
        return -1, path.encode(errors="surrogateescape")
