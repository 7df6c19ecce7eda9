"""What lies below a folder: one walk for all (sorted, links followed, loops cut, hidden files left out)."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator

from digits.utils.names import is_hidden, is_image_file
from digits.utils.values import counted

MayRead = Callable[[str], bool]
Place = tuple[int, int]  # device and inode
FILE, FOLDER = "file", "folder"
LISTED_KINDS = 6


def walk(folder: str | os.PathLike[str]) -> Iterator[tuple[str, list[str]]]:
    """Each folder with the names of its files, sorted. A folder reached twice (a loop of links) is read once."""
    return ((root, names) for root, _, names in tree(folder))


def tree(folder: str | os.PathLike[str]) -> Iterator[tuple[str, list[str], list[str]]]:
    """The same with the names of the folders in each, which come later; one that is taken out of that list does not."""
    return ((root, folders, names) for root, folders, names, _ in _look(folder))


def _look(folder: str | os.PathLike[str], *, each: bool = False) -> Iterator[tuple[str, list[str], list[str], list[str]]]:
    """The same with the names of what is neither file nor folder. `each`: the folders in it are walked one by one, so that one
    that is a link to what another holds is read too; only what lies in the folder itself is read no second time further down."""
    top = os.fspath(folder)
    waiting, seen = [top], set[Place]()
    own: dict[str, Place | None] = {}  # the folders that are walked one by one
    closed, open_one = set[Place](), None  # what is read elsewhere, but for the folder that is walked now
    while waiting:
        root = waiting.pop()
        if root in own:
            seen, open_one = set(), own[root]
        place = _place(root)
        if place is None or place in seen or (place in closed and place != open_one):
            continue
        seen.add(place)
        folders, names, special = _entries(root)
        yield root, folders, names, special
        inner = [os.path.join(root, name) for name in folders]
        if each and root == top:
            own = {path: found if (found := _place(path)) != place else None for path in inner}
            closed = {place, *(found for path, found in own.items() if found and not os.path.islink(path))}
        waiting += reversed(inner)


def pictures_below(
    folder: str | os.PathLike[str],
    others: Counter[str] | None = None,
    may_read: MayRead = lambda path: True,
    *,
    each: bool = False,
    is_wanted: Callable[[str], bool] = is_image_file,
) -> Iterator[str]:
    """Paths of all pictures below a folder that may be read, in a fixed order; files of other endings are counted in `others`, by
    ending. `each`: of each folder in it, also of one that is a link to what another holds. `is_wanted` tells pictures by their
    names."""
    for root, _, names, special in _look(folder, each=each):
        for name in names:
            if is_wanted(name):
                if may_read(path := os.path.join(root, name)):
                    yield path
            elif others is not None:
                others[os.path.splitext(name)[1].lower()] += 1
        if others is not None:
            others.update(f"{os.path.splitext(name)[1].lower()} that is a pipe or device" for name in special)


def files_with(folder: str, endings: tuple[str, ...], may_read: MayRead, most: int = 0) -> list[str]:
    """Files below a folder with one of the endings that may be read, in the order of `walk`; at most `most` where given."""
    found: list[str] = []
    for root, names in walk(folder):
        paths = (os.path.join(root, name) for name in names if name.lower().endswith(endings))
        found += filter(may_read, paths)
        if most and len(found) >= most:
            return found[:most]
    return found


def other_kinds(others: Counter[str]) -> str:
    """`14 files of other kinds: .heic (12), no ending (2)`; empty where there are none."""
    if not others:
        return ""
    most = [f"{ending or 'no ending'} ({count})" for ending, count in others.most_common(LISTED_KINDS)]
    rest = [f"{len(others) - LISTED_KINDS} more"] if len(others) > LISTED_KINDS else []
    return f"{counted(sum(others.values()), 'file')} of other kinds: {', '.join(most + rest)}"


def kind_of(entry: os.DirEntry[str]) -> str:
    """`file`, `folder`, or empty for what is neither: a pipe or a device would be waited for without end. A link that leads
    nowhere is a file, which is missed when it is read."""
    try:
        if entry.is_file():
            return FILE
        if entry.is_dir():
            return FOLDER
    except OSError:  # a link to itself
        return FILE
    return FILE if entry.is_symlink() and not os.path.exists(entry.path) else ""


def _entries(folder: str) -> tuple[list[str], list[str], list[str]]:
    """Names of folders, files and others in a folder, sorted, without hidden ones; none where it cannot be read."""
    found: dict[str, list[str]] = {FOLDER: [], FILE: [], "": []}
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if not is_hidden(entry.name):
                    found[kind_of(entry)].append(entry.name)
    except OSError:
        return [], [], []
    return sorted(found[FOLDER]), sorted(found[FILE]), found[""]


def _place(folder: str) -> Place | None:
    """What is the same for all names of a folder; None where it cannot be read."""
    try:
        found = os.stat(folder)
    except OSError:
        return None
    return found.st_dev, found.st_ino
